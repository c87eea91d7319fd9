"""What components have put into a report with `context.observe`: any JSON value, made readable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .text import Line, Span, clean, columns

__all__ = ["observed"]

_MOST = 20
_DEEPEST = 4


def observed(observations: Mapping[str, Any], width: int | None) -> Iterator[Line]:
    """The lines for what one component has observed."""
    for name, value in observations.items():
        yield from _lines(name, value, 1, width)


def _lines(name: str, value: Any, depth: int, width: int | None) -> Iterator[Line]:
    indent = "  " * depth
    if table := _table(name, value):
        room = None if width is None else width - len(indent)
        for line in columns(table[: _MOST + 1], left=1, width=room):
            yield [Span(indent), *line]
        yield from _more(len(table) - 1, depth)
    elif (text := _inline(value)) is not None or depth == _DEEPEST:
        yield [Span(f"{indent}{clean(name)}: {clean(str(value)) if text is None else text}")]
    else:
        yield [Span(f"{indent}{clean(name)}")]
        items = list(value.items() if isinstance(value, Mapping) else enumerate(value, 1))
        for key, inner in items[:_MOST]:
            yield from _lines(str(key), inner, depth + 1, width)
        yield from _more(len(items), depth + 1)


def _more(count: int, depth: int) -> Iterator[Line]:
    if count > _MOST:
        yield [Span(f"{'  ' * depth}… and {count - _MOST} more; --json shows all", "dim")]


def _table(name: str, value: Any) -> list[list[Span]]:
    """Rows, the head first, when the value is a mapping or a list of flat mappings."""
    if isinstance(value, Mapping):
        rows = {str(key): inner for key, inner in value.items()}
    elif _is_list(value):
        rows = {str(number): inner for number, inner in enumerate(value, 1)}
    else:
        return []
    if not rows or not all(isinstance(row, Mapping) and row for row in rows.values()):
        return []
    if not all(_is_scalar(cell) for row in rows.values() for cell in row.values()):
        return []
    head = list(dict.fromkeys(key for row in rows.values() for key in row))
    return [
        [Span(name, "dim"), *(Span(str(key), "dim") for key in head)],
        *([Span(key), *(Span(_scalar(row.get(one))) for one in head)] for key, row in rows.items()),
    ]


def _inline(value: Any) -> str | None:
    """A value that reads well in one line; None for another one."""
    if _is_scalar(value):
        return clean(_scalar(value))
    if not value:
        return "none"
    if _is_list(value) and all(map(_is_scalar, value)):
        shown = [clean(_scalar(one)) for one in value[:_MOST]]
        rest = len(value) - len(shown)
        return ", ".join(shown) + (f", … and {rest} more" if rest else "")
    if isinstance(value, Mapping) and len(value) <= _MOST and all(map(_is_scalar, value.values())):
        return ", ".join(clean(f"{key} {_scalar(one)}") for key, one in value.items())
    return None


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, Mapping) and not _is_list(value)


def _scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # From five digits on, as is the custom, which also keeps years whole.
        return f"{value:,}".replace(",", " ") if abs(value) >= 10_000 else str(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
