"""TOML: the standard parser gives the data, a scan of the text tells where each key stood.

The scan comes first and never needs to be stricter than the parser: at anything odd it stops and
the parser says what is wrong there. What it has passed by then is known to be flat and small
enough, so the parser, which is recursive, cannot be made to overflow.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, Place, Problem
from . import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_PROBLEMS,
    MAX_VALUES,
    Lines,
    clean,
    duplicate,
    finish,
    refuse,
    too_deep,
    too_many,
)

if TYPE_CHECKING:
    from ..spec import Document

__all__ = ["TomlSyntax"]

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"[ \t\n]+(?:#[^\n]*)?|#[^\n]*")
_LINE_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\[\]{}\n#\"']+")
_WHERE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)

_HINTS = (
    ("Invalid value", "put text in quotes; true and false are in lower case"),
    ("Invalid date", "correct it, or put it in quotes"),
    ("Expected newline", "put each key on a line of its own, and text in quotes"),
    ("Expected '='", "write key = value"),
    ("Invalid statement", "write key = value or [table]; quote keys with other characters"),
    ("Invalid initial character", "write a key; quote keys with other characters"),
    ("Unclosed array", "add ',' or ']'"),
    ("Unclosed inline table", "add ',' or '}'"),
    ("Unterminated", "close the quote"),
    ('Expected "\'"', "close the quote"),
    ("Unescaped", "write '\\\\' for a backslash, or use single quotes"),
    (
        "Illegal character",
        "remove it, or write it as an escape; a text of many lines has three quotes",
    ),
    ("Cannot", "keep one of the two"),
    ("Duplicate", "keep one of the two"),
)


class TomlSyntax:
    """Files that end in .toml."""

    suffixes: tuple[str, ...] = (".toml",)

    def parse(self, text: str, name: str) -> Document:
        """The document; ConfigError has the place of what is wrong."""
        text = clean(text, name).replace("\r\n", "\n")
        scanner = _Scanner(text, name)
        scanner.run()
        try:
            data = _loads(text)
        except RecursionError:
            raise too_deep(Place(name)) from None
        except ValueError as error:
            raise self._explained(error, text, scanner) from None
        return finish(data, scanner.places, name, [])

    def _explained(self, error: ValueError, text: str, scanner: _Scanner) -> ConfigError:
        found = _WHERE.fullmatch(str(error))
        what = found[1] if found else str(error)
        if scanner.duplicates and what.startswith(("Cannot", "Duplicate")):
            return ConfigError(scanner.duplicates)
        place = scanner.lines.place(len(text))
        if found and found[2]:
            place = Place(scanner.name, int(found[2]), int(found[3]))
        hint = next((hint for start, hint in _HINTS if what.startswith(start)), "correct the TOML")
        return refuse(place, what[:1].lower() + what[1:], hint)


def _loads(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    document: dict[str, Any] = tomllib.loads(text)
    return document


class _OddError(Exception):
    """The text is not TOML here; the parser will say so."""


class _Scanner:
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.at = 0
        self.lines = Lines(text, name)
        self.places: dict[tuple[str | int, ...], Place] = {(): self.lines.place(0)}
        self.duplicates: list[Problem] = []
        self.declared: dict[tuple[str | int, ...], Place] = {}  # by [header] or by key = value
        self.last: dict[tuple[str | int, ...], int] = {}  # of each array of tables

    def run(self) -> None:
        table: tuple[str | int, ...] = ()
        try:
            while self.skip_blank() < len(self.text):
                if self.text[self.at] == "[":
                    table = self.header()
                else:
                    self.pair(table)
                self.skip(_LINE_END, needed=True)
        except _OddError:
            pass

    def header(self) -> tuple[str | int, ...]:
        """The path of the table that `[a.b]` or `[[a.b]]` begins."""
        start = self.here()
        double = self.text.startswith("[[", self.at)
        self.at += 1 + double
        path: tuple[str | int, ...] = ()
        parts = self.key(())
        for number, (part, place) in enumerate(parts, start=1):
            path = (*path, part)
            self.note(path, place)
            if double and number == len(parts):
                self.last[path] = self.last.get(path, -1) + 1
                path = (*path, self.last[path])
                self.note(path, start)
            elif path in self.last:
                path = (*path, self.last[path])
        if not double:
            self.declare(path, parts[-1][1])
        self.take("]" * (1 + double))
        if len(path) >= MAX_DEPTH:
            raise too_deep(start)
        return path

    def pair(self, table: tuple[str | int, ...]) -> None:
        """`a.b = value`, in a table or an inline table."""
        path = table
        parts = self.key(table)
        for part, place in parts:
            path = (*path, part)
            self.note(path, place)
        self.declare(path, parts[-1][1])
        self.take("=")
        self.skip(_SPACE)
        self.value(path)

    def key(self, table: tuple[str | int, ...]) -> list[tuple[str, Place]]:
        parts: list[tuple[str, Place]] = []
        while True:
            self.skip(_SPACE)
            place, start = self.here(), self.at
            if self.text[start : start + 1] in ('"', "'"):
                self.string()
                part = self.decoded(self.text[start : self.at])
            else:
                self.skip(_BARE_KEY, needed=True)
                part = self.text[start : self.at]
            parts.append((part, place))
            if len(table) + len(parts) > MAX_DEPTH:
                raise too_deep(place)
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def decoded(self, quoted: str) -> str:
        try:
            return str(_loads(f"key = {quoted}")["key"])
        except ValueError:
            raise _OddError from None

    def value(self, path: tuple[str | int, ...]) -> None:
        start = self.text[self.at : self.at + 1]
        if start in ("[", "{") and len(path) >= MAX_DEPTH:
            raise too_deep(self.here())
        if start == "[":
            self.array(path)
        elif start == "{":
            self.inline_table(path)
        elif start in ('"', "'"):
            self.string()
        else:
            self.bare()

    def bare(self) -> None:
        start, place = self.at, self.here()
        digits = len(self.text[start : self.skip(_BARE_VALUE, needed=True)].strip())
        if digits > MAX_DIGITS:
            raise refuse(place, f"a number of {digits} digits", "put it in quotes")

    def array(self, path: tuple[str | int, ...]) -> None:
        self.at += 1
        index = 0
        while not self.text.startswith("]", self.skip_blank()):
            self.note((*path, index), self.here())
            self.value((*path, index))
            index += 1
            if not self.text.startswith("]", self.skip_blank()):
                self.take(",")
        self.at += 1

    def inline_table(self, path: tuple[str | int, ...]) -> None:
        self.at += 1  # newer parsers allow line breaks and a last comma; the others complain
        while not self.text.startswith("}", self.skip_blank()):
            self.pair(path)
            if not self.text.startswith("}", self.skip_blank()):
                self.take(",")
        self.at += 1

    def string(self) -> None:
        """Step over a string; one of three quotes may end in up to five."""
        quote = self.text[self.at]
        end = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        at = self.at + len(end)
        closing = re.compile(end + r"|\\" if quote == '"' else end)
        while True:
            found = closing.search(self.text, at)
            if found is None:
                raise _OddError
            if found.group() == end:
                break
            at = found.end() + 1
        self.at = found.end()
        if len(end) == 3:
            extra = self.text[self.at : self.at + 2]
            self.at += len(extra) - len(extra.lstrip(quote))

    def note(self, path: tuple[str | int, ...], place: Place) -> None:
        self.places.setdefault(path, place)
        if len(self.places) > MAX_VALUES:
            raise too_many(place)

    def declare(self, path: tuple[str | int, ...], place: Place) -> None:
        first = self.declared.setdefault(path, place)
        if first is not place:
            self.duplicates.append(duplicate(path, place, first))
            if len(self.duplicates) >= MAX_PROBLEMS:
                raise _OddError

    def take(self, expected: str) -> None:
        if not self.text.startswith(expected, self.at):
            raise _OddError
        self.at += len(expected)

    def skip(self, pattern: re.Pattern[str], needed: bool = False) -> int:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        elif needed:
            raise _OddError
        return self.at

    def skip_blank(self) -> int:
        """Step over white space, line ends and comments."""
        before = -1  # a loop, as a repeated group would remember every round
        while before != self.at:
            before = self.at
            self.skip(_BLANK)
        return self.at

    def here(self) -> Place:
        return self.lines.place(self.at)
