"""The input `json`: files of JSON Lines, or of one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

from penstock import (
    BATCH_SIZE,
    Batch,
    ByteSize,
    ConnectError,
    Context,
    Failure,
    Input,
    RecordError,
    component,
    option,
)
from penstock_files.identity import TAIL, identity_of, is_same_file, sample
from penstock_files.reading import find, is_seekable, open_binary, share_read

from .array import read_array
from .lines import BLOCK, LongLine, read_lines
from .parse import Parsed, Parser

__all__ = ["JsonInput"]

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_AFRESH = "the file was replaced or changed; start over with --fresh"


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be 1 or more")


@component
class JsonInput(Input):
    """Read every line of a JSON Lines file, or every element of a JSON array, as a record."""

    path: Path = option(
        help="File to read, or a pattern such as data/*.jsonl; '-' is standard input.",
        example="orders.jsonl",
    )
    format: Literal["auto", "lines", "array"] = option(
        default="auto", help="What a file holds; auto takes one that begins with '[' for an array."
    )
    records: str = option(
        default="", help="Dotted path of the array in an object.", example="data.orders"
    )
    duplicates: Literal["refuse", "allow"] = option(
        default="refuse", help="What to do with a key that occurs twice; allow keeps the last."
    )
    nan: Literal["refuse", "allow"] = option(
        default="refuse", help="What to do with NaN and Infinity."
    )
    surrogates: Literal["refuse", "allow"] = option(
        default="refuse", help=r"What to do with escapes such as \ud800 that stand alone."
    )
    max_line_size: ByteSize = option(
        default=16 * 1024**2, help="Longest line or element to read.", check=_positive
    )

    def check(self) -> None:
        if self.records and self.format == "lines":
            raise ValueError("records names an array, and format: lines has none; leave one out")

    @property
    def capability(self) -> str:  # type: ignore[override]
        """Only files can be read again; what came through standard input is gone."""
        return "ephemeral" if str(self.path) == "-" else "replayable"

    def open(self, context: Context) -> None:
        super().open(context)
        self._parser = Parser(
            duplicates=self.duplicates == "allow",
            nan=self.nan == "allow",
            surrogates=self.surrogates == "allow",
        )
        self._files = find(self.path)
        self._finished = 0
        self._stream: BinaryIO | None = None

    def close(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._stream.close()  # type: ignore[union-attr]

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        for partition, path in self._files:
            source = f"{self.context.name}/{partition}" if partition else ""
            position = positions.get(source or self.context.name) or {}
            with open_binary(path) as self._stream:
                yield from self._read_file(self._stream, path, source, position)
            self._finished += 1

    def progress(self) -> float | None:
        sizes = [path.stat().st_size if path.is_file() else 0 for _, path in self._files]
        if self._finished == len(sizes):
            return 1.0
        share = share_read(self._stream) if self._stream and not self._stream.closed else 0.0
        if share is None or not all(sizes):
            return None
        return (sum(sizes[: self._finished]) + share * sizes[self._finished]) / sum(sizes)

    # ---- one file -------------------------------------------------------------------------------

    def _read_file(
        self, stream: BinaryIO, path: Path, source: str, position: Mapping[str, Any]
    ) -> Iterator[Batch]:
        head = b""
        self._identity = identity_of(path)
        if "offset" in position:
            _go_to(stream, path, position)
        if position:
            self._check_identity(path, position)
        if "offset" not in position:
            head = _beginning(stream, path, self.max_line_size)
        if "offset" in position or (not position and self._has_lines(head)):
            yield from self._read_lines(stream, source, position, head)
        else:
            yield from self._read_array(stream, path, source, position.get("records", 0), head)

    def _check_identity(self, path: Path, position: Mapping[str, Any]) -> None:
        """Raise if this is not the file that an earlier run has read from; lines may follow."""
        before = position.get("file")
        if before is None or self._identity is None:
            return
        if not is_same_file(path, before, whole="offset" not in position):
            what = f"is not as it was when {position['records']} records had been read from it"
            raise ConnectError(what, where=str(path), hint=_AFRESH)

    def _has_lines(self, head: bytes) -> bool:
        if self.format != "auto" or self.records:
            return self.format == "lines"
        return not head.removeprefix(_UTF8_MARK).lstrip().startswith(b"[")

    def _read_lines(
        self, stream: BinaryIO, source: str, position: Mapping[str, Any], head: bytes
    ) -> Iterator[Batch]:
        offset, line, count = (position.get(name, 0) for name in ("offset", "line", "records"))
        for found in read_lines(stream, self.max_line_size, head):
            if isinstance(found, LongLine):
                offset, line, count = offset + found.size, line + 1, count + 1
                what = f"is longer than {self.max_line_size} bytes; raise max_line_size"
                failure = _failure(count, line, found.beginning, RecordError(what))
                position = self._at(offset, line, count, sample(b""))
                yield Batch([], source, [], position, failures=[failure])
                continue
            data, start, last = found.data, 0, offset + found.size
            lines = data.split(b"\n")
            for first in range(0, len(lines), BATCH_SIZE):
                texts = lines[first : first + BATCH_SIZE]
                size = sum(map(len, texts)) + len(texts)
                if not offset and texts[0].startswith(_UTF8_MARK):
                    texts[0] = texts[0][len(_UTF8_MARK) :]
                parsed = self._parser.parse(texts, data, start, start + size - 1)
                batch = _batch(parsed, texts, line, count)
                start, line = start + size, line + len(texts)
                offset = min(last, offset + size)  # the last line may end without a line feed
                count += batch.consumed
                # Without the line feed, which may be missing at the end of the file.
                tail = sample(data, min(len(data), start - 1))
                batch.source, batch.resume = source, self._at(offset, line, count, tail)
                yield batch

    def _read_array(
        self, stream: BinaryIO, path: Path, source: str, skip: int, head: bytes
    ) -> Iterator[Batch]:
        count = 0
        groups = read_array(
            stream,
            self._parser,
            where=str(path),
            limit=self.max_line_size,
            pointer=self.records,
            head=head.removeprefix(_UTF8_MARK),
        )
        for values, bad in groups:
            numbers = range(count + 1, count + len(values) + len(bad) + 1)
            wrong = {count + 1 + index for index, *_ in bad}
            ordinals = [n for n in numbers if n not in wrong] if bad else numbers
            failures = [
                _failure(count + 1 + index, line, text, error) for index, line, text, error in bad
            ]
            count += len(numbers)
            if count > skip:
                done = sum(n <= skip for n in ordinals) if numbers[0] <= skip else 0
                yield Batch(
                    values[done:],
                    source,
                    ordinals[done:],
                    {"records": count, "file": self._identity},
                    failures=[one for one in failures if one.ordinal > skip],
                )
        if count < skip:
            what = f"has {count} records, and {skip} were read before"
            raise ConnectError(what, where=str(path), hint=_AFRESH)

    def _at(self, offset: int, line: int, records: int, tail: list[int]) -> dict[str, Any]:
        place = {"offset": offset, "line": line, "records": records}
        return {**place, "tail": tail, "file": self._identity}


def _batch(parsed: Parsed, texts: list[bytes], line: int, count: int) -> Batch:
    """The values as a batch; `line` and `count` are the numbers of the last ones before it."""
    values, bad, blank = parsed
    if not bad and not blank:
        return Batch(values, "", range(count + 1, count + len(values) + 1))
    records, ordinals, failures = [], [], []
    for index, value in enumerate(values):
        if index in blank:
            continue
        count += 1
        if index in bad:
            failures.append(_failure(count, line + index + 1, texts[index], bad[index]))
        else:
            records.append(value)
            ordinals.append(count)
    return Batch(records, "", ordinals, failures=failures)


def _failure(ordinal: int, line: int, text: bytes, error: RecordError) -> Failure:
    raw = text.rstrip(b"\r").decode("utf-8", "backslashreplace")
    return Failure(raw, ordinal, RecordError(f"line {line}: {error}"))


def _beginning(stream: BinaryIO, path: Path, limit: int) -> bytes:
    """What stands at the beginning, up to something that is not white space."""
    head = b""
    while len(head) < limit and not (len(head) > 3 and head.removeprefix(_UTF8_MARK).strip()):
        block: bytes = stream.read1(BLOCK)  # type: ignore[attr-defined]
        if not block:
            break
        head += block
    if head[:2] in _UTF16_MARKS:
        raise ConnectError("is encoded as UTF-16", where=str(path), hint="save it as UTF-8")
    return head


def _go_to(stream: BinaryIO, path: Path, position: Mapping[str, Any]) -> None:
    """Go to the end of a line that was read by an earlier run."""
    offset, tail = position["offset"], position.get("tail") or sample(b"")
    left = offset
    if is_seekable(path):
        stream.seek(max(0, offset - TAIL - 1))
        left = min(offset, TAIL + 1)
    before = b""
    while left:
        block = stream.read(min(left, BLOCK))
        if not block:
            break
        before, left = (before + block)[-TAIL - 1 :], left - len(block)
    if left:
        what = f"is shorter than the {offset} bytes that were read before"
        raise ConnectError(what, where=str(path), hint=_AFRESH)
    if before[-1:] != b"\n" and offset and stream.read(1):
        what = f"has no line that ends at byte {offset}, where reading would go on"
        raise ConnectError(what, where=str(path), hint=_AFRESH)
    text = before.removesuffix(b"\n")
    if sample(text[len(text) - tail[0] :]) != list(tail):
        what = f"has another line before byte {offset}, where reading would go on"
        raise ConnectError(what, where=str(path), hint=_AFRESH)
