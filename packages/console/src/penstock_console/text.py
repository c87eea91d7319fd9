"""Text that people see in columns: how wide it is, how it is cut, and what must not get through."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Line", "Span", "clean", "columns", "cut", "cut_line", "duration", "number", "width_of"]


class Span(NamedTuple):
    """A piece of a line; `style` is one of `terminal.STYLES` or empty."""

    text: str
    style: str = ""


Line = Sequence[Span]

_GAP = "  "
_LEAST = 8


def clean(text: str) -> str:
    """The text with everything that could steer a terminal made visible: data may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else " " if one in "\t\n\r\xa0" else _escaped(one) for one in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def width_of(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """At most `width` columns of the text, with `…` where it is cut."""
    if width_of(text) <= width:
        return text
    kept, room = "", width - 1
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…" if width > 0 else ""


def cut_line(line: Line, width: int) -> list[Span]:
    """The spans of a line that fit into `width` columns."""
    kept = []
    for span in line:
        kept.append(Span(cut(span.text, width), span.style))
        width -= width_of(span.text)
        if width < 0:
            break
    return kept


def columns(
    rows: Sequence[Line], *, left: int, width: int | None = None, least: Sequence[int] = ()
) -> list[list[Span]]:
    """Rows of cells as aligned lines: the first `left` columns to the left, the others to the
    right. The columns to the left are cut until a line fits into `width`; `least` are widths that
    columns have at least."""
    cells = [[span._replace(text=clean(span.text)) for span in row] for row in rows]
    widths = [max(map(width_of, texts)) for texts in zip(*([s.text for s in row] for row in cells))]
    widths = [max(pair) for pair in zip(widths, [*least, *[0] * len(widths)])]
    if width is not None:
        _narrow(widths, left, width)
    return [_aligned(row, widths, left) for row in cells]


def _narrow(widths: list[int], left: int, width: int) -> None:
    """Take from the widest of the columns to the left, one by one, what is too much."""
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        widest = max(range(left), key=lambda index: widths[index])
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _aligned(row: Line, widths: Sequence[int], left: int) -> list[Span]:
    line: list[Span] = []
    for index, (span, width) in enumerate(zip(row, widths)):
        text = cut(span.text, width)
        blanks = " " * (width - width_of(text))
        if index:
            line.append(Span(_GAP))
        around = (Span(text, span.style), Span(blanks))
        line.extend(around if index < left else around[::-1])
    return _stripped(line)


def _stripped(line: list[Span]) -> list[Span]:
    """Without blanks at the end."""
    while line and not line[-1].text.strip():
        line.pop()
    return line


def number(value: float) -> str:
    """A count or a rate: 1 234 567, and 0.5 where whole numbers say too little."""
    if 0 < value < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{round(value):,}".replace(",", " ")


def duration(seconds: float) -> str:
    """0:05, 12:40 or 3:00:00."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
