"""File formats a pipeline can be written in: reading the text safely, and what they all refuse.

Each syntax turns text into a `Document`. None of them runs code, and each gives up early on a
file that is too large, too deep or that grows out of proportion when it is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Place, Problem, nearest
from ..spec import Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_PROBLEMS",
    "MAX_VALUES",
    "Lines",
    "clean",
    "duplicate",
    "finish",
    "kind",
    "read_text",
    "refuse",
    "refuse_characters",
    "too_deep",
    "too_many",
]

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 100_000
MAX_PROBLEMS = 100
MAX_DIGITS = 4300
"""Reading longer numbers takes quadratic time; newer Pythons refuse them by themselves."""

_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_BOM = "\ufeff"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark; ConfigError says why there is none."""
    place = Place(str(path))
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refuse(place, "no such file", _other_file(path)) from None
    except IsADirectoryError:
        raise refuse(place, "is a folder", "name the file in it") from None
    except PermissionError:
        raise refuse(place, "may not be read", "ask its owner, or change its mode") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refuse(place, f"cannot be read: {reason.lower()}", "check the path") from None
    if len(content) > MAX_BYTES:
        raise _too_large(place)
    try:
        return content.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").removeprefix(_BOM)
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        wrong = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise refuse(Place(str(path), line, column), wrong, "save the file as UTF-8") from None


def _other_file(path: Path) -> str:
    try:
        found = nearest(path.name, [other.name for other in path.parent.iterdir()])
    except OSError:
        found = None
    return f"did you mean {found!r}?" if found else "check the path"


def clean(text: str, name: str) -> str:
    """What a syntax may parse: no byte order mark, not too long, no stray control characters."""
    text = text.removeprefix(_BOM)
    if len(text) > MAX_BYTES:
        raise _too_large(Place(name))
    refuse_characters(_UNWANTED, text, name)
    return text


def refuse_characters(unwanted: re.Pattern[str], text: str, name: str) -> None:
    found = unwanted.search(text)
    if found:
        what = f"character {found.group()!r} is not allowed in a file"
        hint = "remove it, or write it as an escape in double quotes"
        raise refuse(Lines(text, name).place(found.start()), what, hint)


def finish(
    data: Any, places: Mapping[tuple[str | int, ...], Place], name: str, problems: Iterable[Problem]
) -> Document:
    """The document, unless there are problems or it is not a mapping of anything."""
    found = list(problems)
    if found:
        raise ConfigError(found)
    if data is None or data == {}:
        raise refuse(Place(name), "is empty", "declare inputs and pipes")
    if not isinstance(data, dict):
        what = f"must be a mapping of sections, got {kind(data)}"
        raise refuse(places.get((), Place(name)), what, "declare inputs and pipes")
    return Document(data, places, name)


def kind(value: Any) -> str:
    """What a person calls a parsed value."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    names = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), "a date or time")


def refuse(place: Place, what: str, hint: str) -> ConfigError:
    return ConfigError([Problem(what, place=place, hint=hint)])


def duplicate(path: tuple[str | int, ...], place: Place, first: Place) -> Problem:
    what = f"this key was given before, at {first}"
    return Problem(what, ".".join(map(str, path)), place, "keep one of the two")


def too_deep(place: Place) -> ConfigError:
    return refuse(place, f"is nested more than {MAX_DEPTH} levels deep", "make it flatter")


def too_many(place: Place) -> ConfigError:
    what = f"the file holds more than {MAX_VALUES} values"
    return refuse(place, what, "keep data in files that inputs read")


def _too_large(place: Place) -> ConfigError:
    what = f"is larger than {MAX_BYTES // 1024**2} MiB"
    return refuse(place, what, "keep data in files that inputs read")


class Lines:
    """Turns an offset in a text into the line and column that an editor shows.

    It goes on from the last offset asked for, so asking in ascending order costs one pass.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at, self.line, self.start = 0, 1, 0

    def place(self, offset: int) -> Place:
        if offset < self.at:
            self.at, self.line, self.start = 0, 1, 0
        passed = self.text.count("\n", self.at, offset)
        if passed:
            self.line += passed
            self.start = self.text.rindex("\n", self.at, offset) + 1
        self.at = offset
        return Place(self.name, self.line, offset - self.start + 1)
