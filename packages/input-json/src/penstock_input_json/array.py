"""The elements of a JSON array of any length, in memory for a few of them.

Elements are read many at a time where it is certain where one ends; else one by one, with the
scanner of the standard library.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from penstock import BATCH_SIZE, RecordError, RunError
from penstock_files.reading import share_read

from .lines import BLOCK
from .parse import Parser

__all__ = ["Elements", "read_array"]

_SPACE = re.compile(rb"[ \t\n\r]*")
_LOOKS, _GUESSES = 64, 4
_WINDOW = 1 << 10
_CUT_OFF = "the file may be cut off, or still be written"

# Only finds where a value ends, so it takes all that any parser of ours may accept.
_scan = json.JSONDecoder().raw_decode


class Elements(NamedTuple):
    """Values in order, and what was wrong with others: their index, line, text and error."""

    values: list[Any]
    bad: list[tuple[int, int, bytes, RecordError]]


def read_array(
    stream: BinaryIO,
    parser: Parser,
    *,
    where: str,
    limit: int,
    pointer: str = "",
    head: bytes = b"",
) -> Iterator[Elements]:
    """Every element of the array at the dotted path `pointer`, or RunError after the good ones."""
    scanner = _Scanner(stream, head, where, limit)
    scanner.enter(pointer)
    yield from scanner.elements(parser)
    if not pointer:
        scanner.expect_end()


class _NothingSentError(Exception):
    """There are elements to give on, and the next one has not been sent yet."""


class _Scanner:
    """A buffer of bytes and a place in it that only goes forward."""

    def __init__(self, stream: BinaryIO, head: bytes, where: str, limit: int) -> None:
        self._stream = stream
        self._buffer = head
        self._at = 0
        self._line = 1  # of the start of the buffer
        self._ended = False
        self._where = where
        self._limit = limit
        # What a sender has written so far is given on before more of it is waited for.
        self._sent = share_read(stream) is None
        self._must_not_wait = False
        self._behind_value = False  # whose comma is not read yet

    # ---- what is read ---------------------------------------------------------------------------

    def enter(self, pointer: str) -> None:
        """Go to the first element of the array at `pointer`."""
        for depth, key in enumerate(pointer.split(".") if pointer else []):
            path = ".".join(pointer.split(".")[: depth + 1])
            if self._peek() != b"{":
                raise self._error(f"there is no object with {path!r}", "look at records")
            self._to_member(key, path)
        if self._peek() == b"[":
            self._at += 1
        elif pointer:
            raise self._error(f"{pointer!r} is no array", "look at records")
        elif not self._peek():
            raise self._error("there is no array in it", _CUT_OFF)
        else:
            hint = "set format: lines, or records: to the path of the array"
            raise self._error("the file does not begin with an array", hint)

    def elements(self, parser: Parser) -> Iterator[Elements]:
        if self._peek() == b"]":
            self._at += 1
            return
        while True:
            values = self._many(parser)
            if values is not None:
                for start in range(0, len(values), BATCH_SIZE):
                    yield Elements(values[start : start + BATCH_SIZE], [])
            else:
                group = Elements([], [])
                try:
                    more = self._few(parser, group)
                finally:  # what was read before an error still goes on its way
                    if group.values or group.bad:
                        yield group
                if not more:
                    return

    def expect_end(self) -> None:
        if self._peek():
            raise self._error("there is more after the array", "a file holds one array")

    # ---- many at a time -------------------------------------------------------------------------

    def _many(self, parser: Parser) -> list[Any] | None:
        """The elements up to an end that is certain, and the comma after it; None if in doubt.

        If what stands before a `},` reads as a list, then that is where an element ends: a parser
        that reads on from there would have come to the same place.
        """
        if self._behind_value or (self._sent and not self._at_hand()):
            return None
        if not self._sent and len(self._buffer) - self._at < BLOCK // 2:
            self._fill()
        self._peek()
        if self._buffer[self._at : self._at + 1] != b"{":
            return None
        like = self._buffer[self._at : self._at + 8].partition(b":")[0]  # most begin like the first
        end, guesses = len(self._buffer), 0
        for _ in range(_LOOKS):
            end = self._buffer.rfind(b"},", self._at, end)
            if end < 0 or guesses == _GUESSES:
                return None
            after = _SPACE.match(self._buffer, end + 2)
            if after and self._buffer.startswith(like, after.end()):
                values = parser.parse_list(self._buffer, self._at, end + 1)
                if values is not None:
                    self._at = end + 2
                    return values
                guesses += 1
        return None

    # ---- one by one -----------------------------------------------------------------------------

    def _few(self, parser: Parser, group: Elements) -> bool:
        """Add elements to `group`; False after the last one."""
        try:
            while len(group.values) + len(group.bad) < BATCH_SIZE:
                if not self._behind_value:
                    self._one(parser, group)
                self._must_not_wait = self._sent and bool(group.values or group.bad)
                following = self._peek()
                if following not in (b",", b"]"):
                    raise self._unfinished(following, "',' or ']'")
                self._at += 1
                self._behind_value = False
                if following == b"]":
                    return False
        except _NothingSentError:
            pass
        finally:
            self._must_not_wait = False
        return True

    def _one(self, parser: Parser, group: Elements) -> None:
        self._peek()
        text = self._value()
        self._behind_value = True
        try:
            value = parser.exact(text)
            if value is None:
                raise RecordError("null is no record")
            group.values.append(value)
        except RecordError as error:
            line = self._line_here() - text.count(b"\n")
            group.bad.append((len(group.values) + len(group.bad), line, text, error))

    def _to_member(self, key: str, path: str) -> None:
        self._at += 1
        while self._peek() == b'"':
            name = json.loads(self._value())
            if self._peek() != b":":
                raise self._unfinished(self._peek(), "':'")
            self._at += 1
            self._peek()
            if name == key:
                return
            self._value()
            if self._peek() != b",":
                break
            self._at += 1
        if self._peek() == b"}":
            raise self._error(f"there is no {path!r}", "look at records")
        raise self._unfinished(self._peek(), "a key")

    def _value(self) -> bytes:
        """The text of the value that begins here; go behind it."""
        window = _WINDOW
        while True:
            part = self._buffer[self._at : self._at + window]
            last = self._ended and self._at + window >= len(self._buffer)
            text, _ = codecs.utf_8_decode(part, "surrogateescape", last)
            try:
                _, end = _scan(text)
                if end < len(text) or last or text[0] in '{["':  # else a number may go on
                    found = text[:end].encode("utf-8", "surrogateescape")
                    self._at += len(found)
                    return found
            except json.JSONDecodeError as error:
                if last:
                    raise self._wrong_at(text, error) from None
            except (ValueError, RecursionError):
                what = "a value is nested too deeply, or a number in it is too long"
                raise self._error(what, "leave it out") from None
            window *= 4
            if self._at + window // 4 >= len(self._buffer):
                if len(self._buffer) - self._at > self._limit:
                    what = f"a value is malformed or longer than {self._limit} bytes"
                    raise self._error(what, "mend the file, or raise max_line_size")
                self._fill()

    # ---- the buffer -----------------------------------------------------------------------------

    def _peek(self) -> bytes:
        """Go behind white space; the byte that stands there, or nothing at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at : self._at + 1]
            if self._ended:
                return b""
            self._fill()

    def _at_hand(self) -> bool:
        space = _SPACE.match(self._buffer, self._at)
        return space is not None and space.end() < len(self._buffer)

    def _fill(self) -> None:
        """Read on; by as much as is waiting, so that a long value costs no more than its length."""
        if self._must_not_wait:
            raise _NothingSentError
        self._line += self._buffer.count(b"\n", 0, self._at)
        rest = self._buffer[self._at :]
        read = self._stream.read1 if self._sent else self._stream.read  # type: ignore[attr-defined]
        block = read(max(BLOCK, len(rest)))
        self._ended = not block
        self._buffer, self._at = rest + block, 0

    # ---- what is wrong --------------------------------------------------------------------------

    def _line_here(self) -> int:
        return self._line + self._buffer.count(b"\n", 0, self._at)

    def _error(self, what: str, hint: str) -> RunError:
        return RunError(what, where=f"{self._where}:{self._line_here()}", hint=hint)

    def _unfinished(self, found: bytes, expected: str) -> RunError:
        if not found:
            return self._error("the array ends too early", _CUT_OFF)
        return self._error(
            f"expected {expected}, found {found.decode('latin-1')!r}", "mend the file"
        )

    def _wrong_at(self, text: str, error: json.JSONDecodeError) -> RunError:
        if error.msg.startswith("Unterminated") or error.pos >= len(text.rstrip()):
            return self._unfinished(b"", "")
        self._at += len(text[: error.pos].encode("utf-8", "surrogateescape"))
        what = f"{error.msg[:1].lower()}{error.msg[1:]}"
        return self._error(what, f"mend the file at {text[error.pos : error.pos + 20]!r}")
