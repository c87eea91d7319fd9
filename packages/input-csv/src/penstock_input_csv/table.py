"""One file: its header, and then its rows in batches, from the start or from a position."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from penstock import Batch, ConfigError, ConnectError, Failure, Place, Problem, Rows
from penstock_files.identity import identity_of, is_same_file, sample
from penstock_files.reading import is_seekable, open_binary, share_read

from .blocks import Blocks
from .careful import Careful, Failed, Limits, decode_lines, too_long
from .encoding import NoMark, encoding_of
from .parser import Dialect, Parser, RanOut, allow_fields_of

__all__ = ["Form", "Table"]

_SMALLEST, _FIRST, _LARGEST = 1 << 11, 1 << 14, 1 << 16
"""Bytes in a block, which is made to fit a batch: what it gives should stay in the cache."""


class Form(NamedTuple):
    """How the files of an input are to be read; its options, checked and put in order."""

    dialect: Dialect
    encoding: str
    header: bool
    columns: Sequence[str] | None
    skip_rows: int
    nulls: frozenset[str]
    fill: bool
    cut: bool
    record_size: int
    field_size: int
    batch_size: int


class Table:
    """An open file; the header is read by the constructor, so that its errors come early."""

    def __init__(self, path: Path, source: str, name: str, form: Form) -> None:
        self.columns: tuple[str, ...] = ()
        self._path, self._source, self._name, self._form = path, source, name, form
        self._parser = Parser(form.dialect)
        self._stream: BinaryIO = open_binary(path)
        self._identity = identity_of(path)
        # What a sender has written so far is read at once, without waiting for a full block.
        stream: Any = self._stream
        read = stream.read1 if share_read(stream) is None else stream.read
        self._blocks = Blocks(read, form.record_size)
        self._line = 0
        self._record = 0
        self._patience = self._failed_before = 0
        try:
            self._begin()
        except BaseException:
            self._stream.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def share_read(self) -> float | None:
        return share_read(self._stream)

    def batches(self, position: Any) -> Iterator[Batch]:
        """The batches after `position`, as an earlier batch gave it in `resume`, or all."""
        if position is not None:
            self._go_to(position)
        form, blocks = self._form, self._blocks
        size, more = _FIRST, False
        while block := blocks.take(size, more):
            if blocks.cut_off:
                yield from self._pass_over(block)
                more = False
                continue
            used, batches = self._parse(block)
            blocks.advance(used)
            yield from batches
            more = used < len(block)
            if more:  # a row is longer than the block
                size = 2 * blocks.held
            else:
                count = sum(batch.consumed for batch in batches) or 1
                size = used * form.batch_size * 15 // (16 * count)
                size = max(_SMALLEST, min(_LARGEST, size))

    def _parse(self, block: bytes) -> tuple[int, list[Batch]]:
        """How many bytes of a block were used, and for what."""
        if not self._patience:
            if quick := self._quick(block):
                self._failed_before = 0
                return quick
            # Where one block is not plain, the next are likely not to be: do not try in vain.
            self._failed_before = min(self._failed_before + 1, 4)
            self._patience = 2**self._failed_before
        self._patience -= 1
        return self._slow(block)

    def _quick(self, block: bytes) -> tuple[int, list[Batch]] | None:
        """Batches of a block in which every line is a row as it should be; None for another."""
        try:
            text = block.decode(self._encoding.name)
        except UnicodeDecodeError:
            return None
        parsed = self._parser.quickly(text)
        if parsed is None:
            return None
        lines, rows, line_end = parsed
        if set(map(len, rows)) != {len(self.columns)} or self._may_exceed(block, lines):
            return None
        ends: Sequence[int] = ()
        if len(lines) > self._form.batch_size:
            if len(text) == len(block):  # a byte is a character
                ends = list(accumulate(map(len(line_end).__add__, map(len, lines))))
            else:
                ends = list(accumulate(map(len, self._encoding.lines(block))))
        numbers = range(1, len(rows) + 1)
        return len(block), self._pack(block, rows, numbers, ends, len(block), len(lines))

    def _may_exceed(self, block: bytes, lines: list[str]) -> bool:
        """Whether a row could be larger than allowed, which the careful way finds out."""
        limit = min(self._form.record_size, self._form.field_size)
        return len(block) > limit and (max(map(len, lines)) + 2) * 4 > limit

    def _slow(self, block: bytes) -> tuple[int, list[Batch]]:
        form, blocks = self._form, self._blocks
        limits = Limits(len(self.columns), form.record_size, form.field_size, form.fill, form.cut)
        careful = Careful(
            self._parser,
            self._encoding,
            limits,
            block,
            self._place,
            final=blocks.ended,
            held=blocks.held,
        )
        careful.read()
        used = careful.offsets[careful.used]
        ends = [careful.offsets[end] for end in careful.ends]
        return used, self._pack(
            block, careful.items, careful.ends, ends, used, careful.used, mixed=careful.failed
        )

    def _pass_over(self, block: bytes) -> list[Batch]:
        """Set a line aside that is too long, of which `block` is the beginning."""
        failed = too_long(block, self._encoding, self._place(0), self._form.record_size)
        self._blocks.skip_line()
        comment = self._form.dialect.comment
        is_comment = comment and str(failed.record).startswith(comment)
        return self._pack(b"", [] if is_comment else [failed], [], [], 0, 1, mixed=True)

    def _pack(
        self,
        block: bytes,
        items: list[Any],
        lines: Sequence[int],
        offsets: Sequence[int],
        used: int,
        used_lines: int,
        *,
        mixed: bool = False,
    ) -> list[Batch]:
        """The items of `block` in batches of nearly the same size, none above `batch_size`.

        `lines` and `offsets` say where each item ends, from the beginning of the block; the last
        batch ends with what was `used` of it, which may be further on by blank lines.
        `mixed`: there may be failures among the items.
        """
        line, offset, record = self._line, self._blocks.offset, self._record
        self._line += used_lines
        self._record += len(items)
        count = len(items)
        size = -(-count // max(1, -(-count // self._form.batch_size)))
        batches = []
        for start in range(0, count, size or 1):
            stop = min(start + size, count)
            end = used if stop == count else offsets[stop - 1]
            position = {
                "offset": offset + end,
                "line": line + (used_lines if stop == count else lines[stop - 1]),
                "records": record + stop,
                "tail": sample(block, end),
                "file": self._identity,
            }
            batches.append(self._batch(items[start:stop], record + start + 1, position, mixed))
        return batches

    def _batch(self, items: list[Any], first: int, position: Any, mixed: bool) -> Batch:
        ordinals: Sequence[int] = range(first, first + len(items))
        failures: Sequence[Failure] = ()
        rows: list[Any] = items
        if mixed:
            failures = [
                Failure(item.record, ordinal, item.error)
                for item, ordinal in zip(items, ordinals)
                if isinstance(item, Failed)
            ]
            ordinals = [n for item, n in zip(items, ordinals) if type(item) is not Failed]
            rows = [item for item in items if type(item) is not Failed]
        if nulls := self._form.nulls:
            rows = [
                row
                if nulls.isdisjoint(row)
                else [None if value in nulls else value for value in row]
                for row in rows
            ]
        return Batch(Rows(self.columns, rows), self._source, ordinals, position, failures=failures)

    # ---- the beginning of the file --------------------------------------------------------------

    def _begin(self) -> None:
        form, blocks = self._form, self._blocks
        try:
            self._encoding, mark = encoding_of(form.encoding, blocks.peek(4))
        except ValueError as error:
            raise self._error(
                f"starts with the byte order mark of {str(error)!r}, but encoding is "
                f"{form.encoding!r}",
                hint=f"set encoding: {error}",
            ) from None
        except NoMark as error:
            raise self._error(
                "has no byte order mark",
                hint=f"set encoding: {error}-le, {error}-be or what the file is in",
            ) from None
        blocks.encoding = self._encoding
        blocks.advance(mark)
        for _ in range(form.skip_rows):
            if not blocks.skip_line():
                break
            self._line += 1
        if form.header:
            self.columns = self._columns(self._header())
        else:
            self.columns = tuple(form.columns or ())

    def _header(self) -> list[str]:
        form, blocks = self._form, self._blocks
        more = False
        while block := blocks.take(2 * blocks.held if more else _FIRST, more):
            lines, sizes, bad = decode_lines(self._encoding, block)
            comment = form.dialect.comment
            start = next(
                (
                    index
                    for index, line in enumerate(lines)
                    if line.strip("\r\n") and not (comment and line.startswith(comment))
                ),
                len(lines),
            )
            if start == len(lines):
                if blocks.cut_off:
                    blocks.skip_line()
                else:
                    blocks.advance(len(block))
                self._line += len(lines)
                more = False
                continue
            allow_fields_of(len(block))
            rows, ends, trouble = self._parser.carefully(
                lines, start, len(lines), final=blocks.ended, most=1
            )
            if isinstance(trouble, RanOut) and not blocks.ended and blocks.held <= form.record_size:
                more = True
                continue
            self._check_header(start, ends[0] if ends else start + 1, bad, trouble)
            blocks.advance(sum(sizes[: ends[0]]))
            self._line += ends[0]
            return rows[0]
        raise self._error(
            "is empty", hint="a header row is expected; with header: false, give the columns"
        )

    def _check_header(
        self,
        start: int,
        end: int,
        bad: dict[int, UnicodeDecodeError],
        trouble: csv.Error | RanOut | None,
    ) -> None:
        line = self._line + start + 1
        if self._blocks.cut_off:
            what = f"the header is larger than {self._form.record_size} bytes"
            raise self._error(what, line, "raise max_record_size if this is a CSV file")
        for index in range(start, end):
            if index in bad:
                what = f"the header is not {self._encoding.name} ({bad[index].reason})"
                raise self._error(what, self._line + index + 1, "set encoding")
        if isinstance(trouble, RanOut):
            raise self._error("a quote in the header is never closed", line, "close it")
        if trouble is not None:
            hint = "double each quote inside of quotes or set strict: false"
            raise self._error(f"the header is not valid CSV, {trouble}", line, hint)

    def _columns(self, found: list[str]) -> tuple[str, ...]:
        given = self._form.columns
        if given is not None:
            if len(given) != len(found):
                what = f"the header has {len(found)} columns, but columns names {len(given)}"
                raise self._wrong_header(what, f"the file has {_listed(found)}")
            return tuple(given)
        hint = "rename it in the file, or name all columns with the option columns"
        for number, name in enumerate(found, 1):
            if not name.strip():
                raise self._wrong_header(f"column {number} has no name in the header", hint)
            if name in found[: number - 1]:
                raise self._wrong_header(f"the header has {name!r} twice", hint)
        return tuple(found)

    def _wrong_header(self, what: str, hint: str) -> ConfigError:
        return ConfigError([Problem(what, place=Place(str(self._path), self._line), hint=hint)])

    def _error(self, what: str, line: int = 0, hint: str | None = None) -> ConnectError:
        return ConnectError(what, where=str(Place(str(self._path), line)), hint=hint)

    # ---- where reading stands -------------------------------------------------------------------

    def _place(self, line: int) -> str:
        """A line of the file, for one counted from 0 in the block that is being read."""
        return f"{self._name}:{self._line + line + 1}"

    def _go_to(self, position: Any) -> None:
        offset, tail = position["offset"], position.get("tail") or sample(b"")
        before = self._seek(offset, tail[0])
        if before is None:
            raise self._error(
                f"ends before byte {offset}, where an earlier run stopped reading",
                hint="it was replaced or cut; start over with --fresh",
            )
        identity = position.get("file")
        same = self._identity is None or identity is None or is_same_file(self._path, identity)
        if not same or (tail[0] and sample(before[-tail[0] :]) != list(tail)):
            raise self._error(
                f"was replaced or changed since an earlier run stopped reading at byte {offset}",
                hint="put back what it was, or start over with --fresh",
            )
        self._line, self._record = position["line"], position["records"]

    def _seek(self, offset: int, size: int) -> bytes | None:
        """Go on at an offset: at least the `size` bytes before it; None if the file ends before."""
        if not is_seekable(self._path):
            return self._blocks.skip_to(offset)
        if offset > os.fstat(self._stream.fileno()).st_size:
            return None
        self._stream.seek(offset - size)
        before = self._stream.read(size)
        self._blocks.jump_to(offset)
        return before


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return f"{shown}, …" if len(names) > 8 else shown
