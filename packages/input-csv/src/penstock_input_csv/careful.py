"""Rows of a block in which something is not plain, and which of its lines cannot be read.

Whether a line fails depends only on what the file has from that line on, never on where a block
begins or ends: so a resumed run sets the same lines aside as an uninterrupted one.
"""

from __future__ import annotations

import io
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

from penstock import RecordError

from .encoding import Encoding
from .parser import Parser, RanOut, Row, allow_fields_of, hide_nul
from .problems import BadBytes, BadQuotes, LongRow, ShortRow, TooLarge

__all__ = ["Careful", "Failed", "Limits", "decode_lines", "too_long"]


class Failed(NamedTuple):
    """A row that is set aside: its text, or its bytes if they mean nothing, and why."""

    record: str | bytes
    error: RecordError


class Limits(NamedTuple):
    """What a row may be like."""

    width: int
    record: int
    field: int
    fill: bool = False
    cut: bool = False


class Careful:
    """The rows and failures of a block, in `items`; `ends[i]` is the line after item i.

    `used` is the number of lines that were read to the end, `offsets[i]` where line i begins;
    `failed` says whether there are failures among the items.
    """

    def __init__(
        self,
        parser: Parser,
        encoding: Encoding,
        limits: Limits,
        block: bytes,
        place: Callable[[int], str],
        *,
        final: bool,
        held: int,
    ) -> None:
        self.items: list[Row | Failed] = []
        self.ends: list[int] = []
        self.used = 0
        self.failed = False
        self._parser = parser
        self._encoding = encoding
        self._limits = limits
        self._place = place
        self._final = final
        self._beyond = held - len(block)  # of a line whose end is not in sight
        self._block = block
        lines, sizes, self._bad = decode_lines(encoding, block)
        self.offsets = [0, *accumulate(sizes)]
        self._lines, self._nul = hide_nul(lines)
        comment = parser.dialect.comment
        self._comments: list[int] = []
        if comment:
            self._comments = [
                index for index, line in enumerate(self._lines) if line.startswith(comment)
            ]
        self._small = len(block) <= min(limits.record, limits.field)
        allow_fields_of(len(block))

    def read(self) -> None:
        count, within = len(self._lines), False
        while self.used < count:
            # A line that begins as a comment does is one unless the row before it goes on there.
            stop = count if within else self._next_comment()
            if stop == self.used:
                self.used += 1
                continue
            rows, ends, trouble = self._parser.carefully(
                self._lines,
                self.used,
                stop,
                final=self._final and stop == count,
                most=1 if within else None,
            )
            went_on = self._accept(rows, ends)
            ran_out = isinstance(trouble, RanOut)
            if went_on and ran_out and stop < count:
                within = True
                continue
            within = False
            if not went_on or trouble is None:
                continue
            if ran_out and not self._final and not self._exceeds():
                return
            self._fail(self.used + 1, self._explain(trouble))

    def _next_comment(self) -> int:
        index = bisect_left(self._comments, self.used)
        return self._comments[index] if index < len(self._comments) else len(self._lines)

    def _exceeds(self) -> bool:
        """Whether the row that begins in the next line is too large, as far as it is known."""
        known = self.offsets[-1] - self.offsets[self.used] + self._beyond
        return known > self._limits.record

    def _accept(self, rows: list[Row], ends: list[int]) -> bool:
        """Take over parsed rows; False if one of them is not to be believed."""
        if not rows:
            return True
        if self._nul:
            rows = [[self._restore(value) for value in row] for row in rows]
        done = 0
        for index in self._odd(rows, ends):
            if index > done:
                self._accept_plain(rows[done:index], ends[done:index])
            row, end, done = rows[index], ends[index], index + 1
            if not row:  # a blank line
                self.used = end
            elif error := self._oversize(row, end):
                # Perhaps its quote was closed by accident, so only its first line is given up.
                self._fail(self.used + 1, error)
                return False
            else:
                self._take(row, end)
        if done < len(rows):
            self._accept_plain(rows[done:], ends[done:])
        return True

    def _accept_plain(self, rows: list[Row], ends: list[int]) -> None:
        self.items += rows
        self.ends += ends
        self.used = ends[-1]

    def _odd(self, rows: list[Row], ends: list[int]) -> Iterable[int]:
        """Which rows need to be looked at."""
        if not self._small:
            return range(len(rows))
        width = self._limits.width
        if not self._bad and set(map(len, rows)) == {width}:
            return ()
        odd = {index for index, row in enumerate(rows) if len(row) != width}
        odd.update(bisect_right(ends, line) for line in self._bad if line >= self.used)
        return sorted(odd.intersection(range(len(rows))))

    def _take(self, row: Row, end: int) -> None:
        width, limits = len(row), self._limits
        if self._bad and any(line in self._bad for line in range(self.used, end)):
            self._fail(end, None)
            return
        if width < limits.width:
            if not limits.fill:
                self._fail(end, ShortRow(f"{self._where} {_count(width)}{self._expected(True)}"))
                return
            row = row + [None] * (limits.width - width)
        elif width > limits.width:
            if not limits.cut:
                self._fail(end, LongRow(f"{self._where} {_count(width)}{self._expected(False)}"))
                return
            row = row[: limits.width]
        self.items.append(row)
        self.ends.append(end)
        self.used = end

    def _expected(self, short: bool) -> str:
        there_are = f" for {self._limits.width} column{'s' * (self._limits.width != 1)}"
        if short:
            return f"{there_are}; mend the line or set short_rows: fill"
        sign = self._parser.dialect.delimiter
        return f"{there_are}; quote values that contain {sign!r} or set long_rows: cut"

    def _oversize(self, row: Row, end: int) -> TooLarge | None:
        size = self.offsets[end] - self.offsets[self.used]
        if size > self._limits.record:
            return self._too_large()
        limit = self._limits.field
        if size <= limit:
            return None
        for number, value in enumerate(row, 1):
            if len(value) * 4 > limit and len(value.encode(self._encoding.name, "replace")) > limit:
                what = f"value {number} is larger than {limit} bytes; raise max_field_size"
                return TooLarge(f"{self._where} {what}")
        return None

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{self._where} the row is larger than {self._limits.record} bytes; "
            f"close its quote or raise max_record_size"
        )

    def _explain(self, trouble: Exception) -> RecordError:
        if not isinstance(trouble, RanOut):
            return BadQuotes(
                f"{self._where} not valid CSV, {trouble}; double each quote inside of quotes, "
                f"close the quote in this line or set strict: false"
            )
        if self._exceeds():
            return self._too_large()
        return BadQuotes(f"{self._where} the quote that opens here is never closed; close it")

    def _fail(self, end: int, error: RecordError | None) -> None:
        """Set the lines up to `end` aside; bytes that mean nothing outweigh most other reasons."""
        record: str | bytes
        bad = [line for line in range(self.used, end) if line in self._bad]
        if (
            end == self.used + 1
            and self.offsets[end] - self.offsets[self.used] > self._limits.record
        ):
            where, limit = self._place(self.used), self._limits.record
            record, error = too_long(self._bytes(end), self._encoding, where, limit)
        elif bad:
            why = self._bad[bad[0]]
            error = BadBytes(
                f"{self._place(bad[0])}: byte {why.object[why.start]:#04x} at position "
                f"{why.start + 1} is not {self._encoding.name} ({why.reason}); "
                f"mend it or set encoding"
            )
            record = self._bytes(end)
        else:
            record = _without_end(self._restore("".join(self._lines[self.used : end])))
        assert error is not None
        self.failed = True
        self.items.append(Failed(record, error))
        self.ends.append(end)
        self.used = end

    def _bytes(self, end: int) -> bytes:
        """The next lines up to `end`, as they are in the file."""
        return self._block[self.offsets[self.used] : self.offsets[end]]

    def _restore(self, text: str) -> str:
        return text.replace(self._nul, "\0") if self._nul else text

    @property
    def _where(self) -> str:
        return f"{self._place(self.used)}:"


def too_long(line: bytes, encoding: Encoding, place: str, limit: int) -> Failed:
    """A line that is larger than a row may be; only its beginning is kept."""
    text = line[:limit].decode(encoding.name, "replace")
    what = f"{place}: the line is larger than {limit} bytes; raise max_record_size"
    return Failed(text, TooLarge(what))


def decode_lines(
    encoding: Encoding, block: bytes
) -> tuple[list[str], list[int], dict[int, UnicodeDecodeError]]:
    """The lines of a block, how many bytes each has, and which have some that mean nothing.

    Those bytes are replaced.
    """
    name = encoding.name
    try:
        text = block.decode(name)
    except UnicodeDecodeError:
        pass  # some line is bad: look at each by itself
    else:
        lines = io.StringIO(text, newline="").readlines()
        same = len(text) == len(block)  # a byte is a character
        return lines, list(map(len, lines if same else encoding.lines(block))), {}
    lines, bad = [], {}
    raw = encoding.lines(block)
    for index, line in enumerate(raw):
        try:
            lines.append(line.decode(name))
        except UnicodeDecodeError as error:
            bad[index] = error
            lines.append(line.decode(name, "replace"))
    return lines, list(map(len, raw)), bad


def _without_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _count(width: int) -> str:
    return "1 value" if width == 1 else f"{width} values"
