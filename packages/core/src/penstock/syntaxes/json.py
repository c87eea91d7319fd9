"""JSON, read with the place of every key and with help for what JSON does not have."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
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
    from ..errors import Place, Problem
    from ..spec import Document

__all__ = ["JsonSyntax"]

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[-+]?[\w.$]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS = {"true": True, "false": False, "null": None}
_MEANT = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}


class JsonSyntax:
    """Files that end in .json."""

    suffixes: tuple[str, ...] = (".json",)

    def parse(self, text: str, name: str) -> Document:
        """The document; ConfigError has the place of what is wrong."""
        text = clean(text, name)
        reader = _Reader(text, name)
        data = reader.whole() if text.strip() else None
        return finish(data, reader.places, name, reader.problems)


class _Reader:
    """Recursive, which is safe: a path is never longer than MAX_DEPTH."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.at = 0
        self.lines = Lines(text, name)
        self.places: dict[tuple[str | int, ...], Place] = {}
        self.problems: list[Problem] = []
        self.strings = json.JSONDecoder()

    def whole(self) -> Any:
        self.peek()
        self.places[()] = self.here()
        value = self.value(())
        if self.peek():
            raise self.wrong("text after the end of the document", "remove it, or a bracket above")
        return value

    def value(self, path: tuple[str | int, ...]) -> Any:
        if len(self.places) > MAX_VALUES:
            raise too_many(self.here())
        start = self.peek()
        if start == '"':
            return self.string()
        if start in ("{", "["):
            if len(path) >= MAX_DEPTH:
                raise too_deep(self.here())
            return self.mapping(path) if start == "{" else self.sequence(path)
        number = _NUMBER.match(self.text, self.at)
        if number:
            return self.number(number)
        return self.word()

    def mapping(self, path: tuple[str | int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, Place] = {}
        opened = self.at
        more = self.opens("}")
        while more:
            place = self.here()
            if self.text[self.at] != '"':
                raise self.no_key()
            key = self.string()
            inner = (*path, key)
            if key in result:
                self.problems.append(duplicate(inner, place, first[key]))
                if len(self.problems) >= MAX_PROBLEMS:
                    raise ConfigError(self.problems)
            else:
                first[key] = self.places[inner] = place
            if self.peek() != ":":
                raise self.wrong(f"no ':' after the key {key!r}", "write ': ' and a value", opened)
            self.at += 1
            result[key] = self.value(inner)
            more = self.goes_on("}", opened)
        return result

    def sequence(self, path: tuple[str | int, ...]) -> list[Any]:
        result: list[Any] = []
        opened = self.at
        more = self.opens("]")
        while more:
            inner = (*path, len(result))
            self.places[inner] = self.here()
            result.append(self.value(inner))
            more = self.goes_on("]", opened)
        return result

    def opens(self, end: str) -> bool:
        """Step into a list or mapping; False when it is empty."""
        opened = self.at
        self.at += 1
        found = self.peek()
        if not found:
            raise self.unclosed(opened)
        self.at += found == end
        return found != end

    def goes_on(self, end: str, opened: int) -> bool:
        """Step over a comma to the next item, or over the end of a list or mapping."""
        found = self.peek()
        if found == end:
            self.at += 1
            return False
        if found != ",":
            raise self.wrong(f"no ',' or {end!r} after the value", f"add a ',' or {end!r}", opened)
        comma = self.at
        self.at += 1
        found = self.peek()
        if found and found in ",]}":
            self.at = comma
            raise self.wrong("a ',' with no value after it", "remove the ','")
        if not found:
            raise self.unclosed(opened)
        return True

    def string(self) -> str:
        start = self.at
        try:
            text, self.at = self.strings.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            raise self.no_string(error) from None
        if _SURROGATE.search(text):
            what = "the text has half of a surrogate pair"
            raise refuse(self.lines.place(start), what, "write both halves, or the character")
        return str(text)

    def number(self, found: re.Match[str]) -> int | float:
        literal = found.group()
        if len(literal) > MAX_DIGITS:
            raise self.wrong(f"a number of {len(literal)} digits", "put it in quotes")
        value = float(literal) if found.lastindex else int(literal)
        if value in (float("inf"), float("-inf")):
            raise self.wrong(f"{literal[:40]} is too large for a number", "put it in quotes")
        self.at = found.end()
        return value

    def word(self) -> Any:
        found = _WORD.match(self.text, self.at)
        word = found.group() if found else ""
        if found and word in _WORDS:
            self.at = found.end()
            return _WORDS[word]
        if word in _MEANT:
            raise self.wrong(f"{word} is not JSON", f"did you mean {_MEANT[word]}?")
        if word.lstrip("+-") in ("NaN", "Infinity"):
            raise self.wrong(f"{word} is not JSON", "use null, or put it in quotes")
        if word and (word[0] in "+-." or word[0].isdigit()):
            raise self.wrong(f"{word[:40]} is not a JSON number", "correct it, or put it in quotes")
        if word:
            raise self.wrong(f"{word[:40]} stands without quotes", "put text in double quotes")
        if self.text.startswith("'", self.at):
            raise self.wrong("text in single quotes", "use double quotes")
        if self.at >= len(self.text):
            raise self.wrong("the file ends where a value should be", "add the value")
        raise self.wrong(f"no value before {self.text[self.at]!r}", "add the value")

    def peek(self) -> str:
        """The next character that is not white space, or "" at the end."""
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        start = self.text[self.at : self.at + 2]
        if start in ("//", "/*") or start[:1] == "#":
            raise self.wrong(
                "a comment, which JSON does not have", "remove it, or write YAML or TOML"
            )
        return start[:1]

    def here(self) -> Place:
        return self.lines.place(self.at)

    def wrong(self, what: str, hint: str, opened: int | None = None) -> ConfigError:
        if opened is not None and self.at >= len(self.text):
            return self.unclosed(opened)
        return refuse(self.here(), what, hint)

    def unclosed(self, opened: int) -> ConfigError:
        bracket = self.text[opened]
        end = {"{": "}", "[": "]"}[bracket]
        return refuse(self.lines.place(opened), f"this {bracket!r} is never closed", f"add {end!r}")

    def no_key(self) -> ConfigError:
        if self.text[self.at] == "'":
            return self.wrong("a key in single quotes", "use double quotes")
        found = _WORD.match(self.text, self.at)
        if found:
            what = f"the key {found.group()[:40]} stands without quotes"
            return self.wrong(what, "put it in double quotes")
        return self.wrong(f"no key before {self.text[self.at]!r}", 'write "key": value')

    def no_string(self, error: json.JSONDecodeError) -> ConfigError:
        place = self.lines.place(error.pos)
        if error.msg.startswith("Unterminated"):
            return refuse(place, "this quote is never closed", "add '\"' at the end of the text")
        if "control character" in error.msg:
            found = self.text[error.pos]
            what = f"{found!r} inside a text in quotes"
            return refuse(place, what, f"write it as {json.dumps(found)[1:-1]}")
        return refuse(place, "a '\\' that begins no known escape", "write '\\\\' for a backslash")
