"""The lines of a stream of bytes, many at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

__all__ = ["BLOCK", "Lines", "LongLine", "read_lines"]

BLOCK = 1 << 16
_SHOWN = 1000


class Lines(NamedTuple):
    """Whole lines: their bytes without the last line feed, and how many bytes they took."""

    data: bytes
    size: int


class LongLine(NamedTuple):
    """A line above the limit: how it begins, and how many bytes it took."""

    beginning: bytes
    size: int


def read_lines(stream: BinaryIO, limit: int, head: bytes = b"") -> Iterator[Lines | LongLine]:
    """Every line after `head`, which was read from the stream before.

    What a sender has written so far is handed on without waiting for more.
    """
    parts: list[bytes] = []  # of a line whose end is not read yet
    size = 0
    while True:
        block = head or _read(stream)
        head = b""
        end = block.rfind(b"\n")
        if end < 0:
            size += len(block)
            if size <= limit:
                parts.append(block)
            elif parts or size == len(block):
                parts = [b"".join([*parts, block])[:_SHOWN]]
            if not block:
                if size:
                    yield from _whole(b"".join(parts), size, limit, last=True)
                return
            continue
        first = block.find(b"\n")
        if size + first > limit:
            beginning = b"".join([*parts, block[:first]])[:_SHOWN]
            yield LongLine(beginning, size + first + 1)
            parts, block, end = [], block[first + 1 :], end - first - 1
        if end >= 0:
            data = b"".join([*parts, block[:end]])
            yield from _whole(data, len(data) + 1, limit)
        parts = [block[end + 1 :]]
        size = len(parts[0])


def _whole(data: bytes, size: int, limit: int, last: bool = False) -> Iterator[Lines | LongLine]:
    if last and size > limit:
        yield LongLine(data, size)
    elif len(data) <= limit or max(map(len, data.split(b"\n"))) <= limit:
        yield Lines(data, size)
    else:
        for line in data.split(b"\n"):
            took = len(line) + (not last)
            yield LongLine(line[:_SHOWN], took) if len(line) > limit else Lines(line, took)


def _read(stream: BinaryIO) -> bytes:
    data: bytes = stream.read1(BLOCK)  # type: ignore[attr-defined]
    return data
