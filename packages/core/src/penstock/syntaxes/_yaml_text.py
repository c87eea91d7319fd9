"""PyYAML's two parsers made to agree: on tabs, and on how a mistake is told to a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import ConfigError, Place
from . import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PlainLoader", "explain"]

_BREAKS = "\r\n\x85\u2028\u2029"

# What either parser says, what is told instead, what to do, and whether the place is where the
# construct began rather than where the parser gave up.
_EXPLAINED: Iterable[tuple[str, str, str, bool]] = (
    ("incompatible", "only YAML 1.1 and 1.2 can be read", "remove the %YAML line", False),
    (
        "[Dd]irective|duplicate tag handle",
        "a line that begins with '%' is not a directive YAML knows",
        "remove the line, or put the text in quotes",
        False,
    ),
    ("tab character", "a tab cannot indent a line", "use spaces", False),
    ("<document start>", "more text after a whole value", "write 'key: value' on each line", False),
    (
        "mapping keys are not",
        "a key cannot begin here",
        "put text that begins with '?' in quotes",
        False,
    ),
    (
        "unexpected ':'",
        "a ':' cannot stand here",
        "put a space after it, or the text in quotes",
        False,
    ),
    (
        "block scalar",
        "text cannot stand beside '|' or '>'",
        "begin it on the next line, indented",
        False,
    ),
    (
        "mapping values are not allowed",
        "a second ':' in one value",
        "put the text in quotes, or the key on a line of its own",
        False,
    ),
    (
        "expected ',' or ']'",
        "this list is not closed",
        "add ',' or ']', or quotes around text",
        True,
    ),
    (
        "expected ',' or '}'",
        "this mapping is not closed",
        "add ',' or '}', or quotes around text",
        True,
    ),
    (
        "unexpected end of stream|unexpected document (separator|indicator)",
        "this quote is never closed",
        "add a quote at the end of the text",
        True,
    ),
    (
        "could not find expected ':'",
        "a key without a ':'",
        "write 'key: value', and indent text of many lines",
        True,
    ),
    (
        "expected <block end>|expected key|expected '-'",
        "this does not line up with the lines above",
        "indent it like its neighbours, or put text in quotes",
        False,
    ),
    (
        "unknown escape|expected escape sequence|invalid Unicode character|hexdecimal number",
        "a '\\' that begins no known escape",
        "write '\\\\' for a backslash, or use single quotes",
        False,
    ),
    (
        "(block sequence entries|sequence entries) are not allowed",
        "a list cannot begin here",
        "put '- ' on a line of its own, or the text in quotes",
        False,
    ),
    (
        "expected (the )?node content",
        "no value before this",
        "add the value, or put text in quotes",
        False,
    ),
    (
        "expected alphabetic or numeric character",
        "an anchor or alias without a name",
        "put text that begins with '&' or '*' in quotes",
        False,
    ),
    (
        "undefined tag handle|while (scanning|parsing) a tag",
        "this is not a tag that YAML knows",
        "put text that begins with '!' in quotes",
        False,
    ),
)


def explain(error: yaml.YAMLError, text: str, name: str) -> ConfigError:
    """The parser's error as a sentence with a place."""
    said = (
        f"{getattr(error, 'problem', None) or ''} {getattr(error, 'context', None) or ''}".strip()
    )
    mark = getattr(error, "problem_mark", None)
    start = getattr(error, "context_mark", None) or mark
    if "cannot start any token" in said and mark:
        found = _character(text, mark)
        if found == "\t":
            return refuse(_place(mark, name), "a tab cannot indent a line", "use spaces")
        what = f"text cannot begin with {found!r}"
        return refuse(_place(mark, name), what, "put it in quotes")
    if "node content" in said and mark and mark.index >= len(text.rstrip()):
        what = "the file ends inside a list or mapping"
        return refuse(_place(start, name), what, "add ']' or '}', or put text in quotes")
    for pattern, what, hint, at_start in _EXPLAINED:
        if re.search(pattern, said):
            return refuse(_place(start if at_start else mark, name), what, hint)
    what = said or " ".join(str(error).split())
    return refuse(_place(mark, name), what, "correct the YAML, or put text in quotes")


def _place(mark: Any, name: str) -> Place:
    return Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)


def _character(text: str, mark: Any) -> str:
    lines = re.split(f"\r\n|[{_BREAKS}]", text)
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""


class PlainLoader(yaml.SafeLoader):
    """PyYAML's parser in Python, allowing tabs between words on a line as the fast one does.

    It still refuses some that the fast one takes: spaces and a tab before a text's second line.
    """

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> Any:
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        blank = self.prefix(length)
        if "\t" not in blank:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        if self.peek() in _BREAKS:
            return super().scan_plain_spaces(indent, start_mark)
        return [blank]
