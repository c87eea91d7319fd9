"""How commands show things: tables, moments, the width of the terminal, and asking yes or no."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..errors import EXIT_FAILED, UsageError
from ..failures import describe

__all__ = [
    "confirm",
    "fields_of",
    "fitting",
    "plain",
    "print_json",
    "show_error",
    "shown",
    "summary",
    "table",
    "when",
    "width",
]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Rows under a head, in columns as wide as they need; columns in `right` stand to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(size) if index in right else cell.ljust(size)
            for index, (cell, size) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def fitting(text: str) -> str:
    """Lines no wider than the terminal; in a file or a pipe, as they are."""
    if not sys.stdout.isatty():
        return text
    most = max(width(), 40)
    lines = text.splitlines()
    return "\n".join(line if len(line) <= most else f"{line[: most - 1]}…" for line in lines)


def width() -> int:
    """Columns of the terminal; 80 when there is none."""
    from shutil import get_terminal_size  # brings every compression module with it

    return get_terminal_size((80, 24)).columns


def when(seconds: float) -> str:
    """A moment as a person near this machine reads it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def summary(documented: Any) -> str:
    """The first line of a docstring."""
    text: str = (getattr(documented, "__doc__", None) or "").strip()
    return text.partition("\n")[0].strip()


def print_json(value: Any, indent: int | None = 2) -> None:
    """JSON on standard output; escaped where that could not show every character."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    print(json.dumps(value, indent=indent, ensure_ascii=not unicode, default=str))


def plain(record: Any) -> Any:
    """A record as JSON values; what JSON lacks becomes its text."""
    if isinstance(record, Mapping):
        if record.keys() == {"$repr"}:  # what a store could keep only as text
            return record["$repr"]
        return {str(key): plain(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [plain(value) for value in record]
    if record is None or isinstance(record, (str, int, float, bool)):
        return record
    return str(record)


def shown(value: Any) -> str:
    """A value for people: as JSON, and what JSON lacks without quotes, so that "10" is not 10."""
    if isinstance(value, Mapping):
        if value.keys() == {"$repr"}:
            return str(value["$repr"])
        return f"{{{', '.join(f'{shown(key)}: {shown(one)}' for key, one in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if value is None or isinstance(value, (str, int, float, bool)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def fields_of(record: Any) -> list[str]:
    """A record with one field on each line."""
    if isinstance(record, Mapping) and record and record.keys() != {"$repr"}:
        return [f"{name}: {shown(value)}" for name, value in record.items()]
    return [shown(record)]


def confirm(question: str, *, yes: bool) -> bool:
    """Ask before something is destroyed; refused where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} nobody is here to answer", where="penstock", hint="add --yes")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_error(error: BaseException) -> int:
    """Print what ended a run; the exit code for it."""
    print(describe(error), file=sys.stderr)
    code: int = getattr(error, "exit_code", EXIT_FAILED)
    return code
