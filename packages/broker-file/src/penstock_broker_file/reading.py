"""Reading one partition: whole, committed lines, a block at a time, from a position on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from penstock import ConnectError, RunError

from .stream import Head, Stream

__all__ = ["PartitionReader"]

_BLOCK = 1 << 18


class PartitionReader:
    """Where somebody is in a partition. `record` is the number of the last record taken, `lost`
    how many were deleted before they could be read."""

    def __init__(self, stream: Stream, partition: int, position: Mapping[str, Any] | None) -> None:
        self.stream = stream
        self.partition = partition
        self.lost = 0
        self._file: BinaryIO | None = None
        self._pending = b""  # read and not yet taken
        if position is None:
            oldest = self._oldest()
            first = int(oldest.stem) if oldest else 1
            self.segment, self.offset, self.record = first, 0, first - 1
            self.ended = False
        else:
            self._check(position)
            self.segment, self.offset = position["segment"], position["offset"]
            self.record, self.ended = position["record"], bool(position.get("ended"))

    def position(self) -> dict[str, Any]:
        """Goes on after the last record taken; JSON."""
        made: dict[str, Any] = {
            "stream": self.stream.head().identity,
            "segment": self.segment,
            "offset": self.offset,
            "record": self.record,
        }
        return {**made, "ended": True} if self.ended else made

    def to_end(self, head: Head) -> None:
        """Leave out everything that is there."""
        tip = head.tips[self.partition]
        self.segment, self.offset, self.record = tip.segment, tip.size, tip.records

    def lines(self, limit: int) -> list[bytes]:
        """At most `limit` committed lines after the last one taken; none when there are no more.
        `take` says which of them were taken."""
        head = self.stream.head()
        tip = head.tips[self.partition]
        if self.record >= tip.records:
            return []
        while True:
            end = tip.size if self.segment == tip.segment else None
            found = self._whole(end)
            if found:
                return found.split(b"\n", limit)[:limit]
            if end is not None:
                what = f"ends before record {self.record + 1}, which was committed"
                raise RunError(what, where=str(self._path), hint="put the stream back")
            self._go_to(self.record + 1)

    def take(self, lines: list[bytes]) -> None:
        """Go on after these, the first of the lines that were given."""
        size = sum(map(len, lines)) + len(lines)
        self._pending = self._pending[size:]
        self.offset += size
        self.record += len(lines)

    def close(self) -> None:
        file, self._file = self._file, None
        self._pending = b""
        if file is not None:
            file.close()

    @property
    def _path(self) -> Path:
        return self.stream.segment(self.partition, self.segment)

    def _whole(self, end: int | None) -> bytes:
        """The whole lines that are read, more of them if there are none."""
        while b"\n" not in self._pending:
            file = self._open()
            if file is None:
                return b""
            at = self.offset + len(self._pending)
            room = _BLOCK if end is None else min(_BLOCK, end - at)
            file.seek(at)
            block = file.read(room) if room > 0 else b""
            if not block:
                return b""
            self._pending += block
        return self._pending[: self._pending.rfind(b"\n")]

    def _open(self) -> BinaryIO | None:
        if self._file is None:
            try:
                self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115
            except FileNotFoundError:
                self._skip_deleted()
        return self._file

    def _go_to(self, segment: int) -> None:
        self.close()
        self.segment, self.offset = segment, 0

    def _skip_deleted(self) -> None:
        """Go to the oldest record that is left, and count what is not."""
        oldest = self._oldest()
        if oldest is None or int(oldest.stem) <= self.record:
            raise ConnectError("is gone", where=str(self._path), hint="put the stream back")
        first = int(oldest.stem)
        self.lost += first - 1 - self.record
        self._go_to(first)
        self.record = first - 1
        self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115

    def _oldest(self) -> Path | None:
        tip = self.stream.head().tips[self.partition]
        found = self.stream.segments(self.partition)
        return found[0] if found and int(found[0].stem) <= tip.segment else None

    def _check(self, position: Mapping[str, Any]) -> None:
        head = self.stream.head()
        there = head.tips[self.partition].records
        if position["stream"] != head.identity or position["record"] > there:
            what = f"is not the stream of which {position['record']} records were read"
            where = str(self.stream.folder / str(self.partition))
            raise ConnectError(what, where=where, hint="put it back, or start over with --fresh")
