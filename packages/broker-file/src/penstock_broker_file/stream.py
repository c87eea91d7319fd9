"""A stream on disk: its partitions, their segments, and the one file that says what is in them.

    clicks/
        head.json                      what is committed, replaced in one step
        lock                           held by whoever is committing
        0/00000000000000000001.jsonl   a segment, named after its first record
        0/00000000000000065001.jsonl
        1/…

Whoever commits appends to the segments, makes that durable, and then replaces `head.json`: that is
the moment at which all of it is there, in every partition at once. Bytes beyond what the head says
were left by somebody who died; no reader looks at them and the next to commit cuts them off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from penstock import ConfigError, ConnectError

from .locks import Lock, sync_folder, write_safely

__all__ = ["MARK", "Head", "Limits", "Staged", "Stream", "Tip", "plain_name"]

MARK = b'{"eos__":true}'
"""The line that ends a stream."""


class Tip(NamedTuple):
    """How far a partition goes: its last segment, that one's bytes, and all records ever."""

    segment: int
    size: int
    records: int


@dataclass
class Head:
    """What is committed. `writers` holds the last checkpoint of each writer."""

    identity: str
    tips: list[Tip]
    writers: dict[str, dict[str, Any]]

    def to_json(self) -> bytes:
        return json.dumps(
            {"identity": self.identity, "partitions": self.tips, "writers": self.writers}
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Head:
        found = json.loads(data)
        return cls(found["identity"], [Tip(*tip) for tip in found["partitions"]], found["writers"])


class Staged(NamedTuple):
    """Lines that wait to be appended to a partition, and how many they are."""

    lines: BinaryIO
    records: int


class Limits(NamedTuple):
    """When a segment is full, and which ones are kept: by age in seconds and by size in bytes of a
    partition. None keeps everything."""

    segment: int
    age: float | None = None
    size: int | None = None


class Stream:
    """The folder of one stream."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / "head.json"
        self._lock = Lock(folder / "lock")
        self._seen: tuple[int, int] | None = None
        self._head: Head | None = None

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def create(self, partitions: int) -> None:
        """Make the stream if it is not there yet; several may do so at once."""
        if self.exists:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock:
                if not self.exists:
                    for number in range(partitions):
                        (self.folder / str(number)).mkdir(exist_ok=True)
                    head = Head(os.urandom(8).hex(), [Tip(1, 0, 0)] * partitions, {})
                    write_safely(self._path, head.to_json())
        except OSError as error:
            raise ConnectError(
                f"cannot be made: {error.strerror}", where=str(self.folder), hint="see its folder"
            ) from error

    def head(self) -> Head:
        """What is committed now; cheap when nothing has changed."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen != self._seen or self._head is None:
                self._head = Head.from_json(self._path.read_bytes())
                self._seen = seen
        except FileNotFoundError:
            raise ConnectError(
                "is gone", where=str(self.folder), hint="put the stream back"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectError(
                f"is not the head of a stream: {error}", where=str(self._path), hint="put it back"
            ) from error
        return self._head

    @contextmanager
    def committing(self) -> Iterator[Head]:
        """Be the only one to commit; what the head says at that time, without what others left."""
        with self._lock:
            self._seen = None
            yield self.head()

    def append(self, head: Head, staged: Mapping[int, Staged], limits: Limits) -> None:
        """Put staged lines behind what `head` says and make them durable; for `committing`. They
        are there once `publish` is called."""
        for number, (lines, records) in staged.items():
            tip = head.tips[number]
            for left in self.segments(number, after=tip.segment):
                left.unlink()
            full = tip.size >= limits.segment or (
                limits.age is not None and tip.size and self._age(number, tip) > limits.age
            )
            segment, size = (tip.records + 1, 0) if full else (tip.segment, tip.size)
            path = self.segment(number, segment)
            made = not path.exists()
            with open(path, "wb" if made else "r+b") as file:
                file.truncate(size)
                file.seek(size)
                lines.seek(0)
                shutil.copyfileobj(lines, file, 1 << 20)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            if made:
                sync_folder(path.parent)
            head.tips[number] = Tip(segment, size, tip.records + records)

    def publish(self, head: Head, limits: Limits) -> None:
        """The commit itself; then, what need not be kept is deleted."""
        write_safely(self._path, head.to_json())
        if limits.age is not None or limits.size is not None:
            for number, tip in enumerate(head.tips):
                self._let_go(number, tip, limits)

    def segment(self, partition: int, first: int) -> Path:
        return self.folder / str(partition) / f"{first:020d}.jsonl"

    def segments(self, partition: int, *, after: int = 0) -> list[Path]:
        """The segments whose first record comes after this one, oldest first."""
        found = (self.folder / str(partition)).glob("*.jsonl")
        return sorted(path for path in found if int(path.stem) > after)

    def _let_go(self, number: int, tip: Tip, limits: Limits) -> None:
        """Delete the oldest segments; the last one is kept, whatever its age and size."""
        old = [path for path in self.segments(number) if int(path.stem) < tip.segment]
        sizes = {path: path.stat().st_size for path in old}
        total = tip.size + sum(sizes.values())
        now = time.time()
        for path in old:
            late = limits.age is not None and now - path.stat().st_mtime > limits.age
            if not late and (limits.size is None or total <= limits.size):
                return
            total -= sizes[path]
            path.unlink()

    def _age(self, number: int, tip: Tip) -> float:
        """Seconds since the last append to a segment."""
        try:
            return time.time() - self.segment(number, tip.segment).stat().st_mtime
        except FileNotFoundError:
            return 0.0


def plain_name(name: str) -> str:
    """The name of a stream or a group, if a file can be called so."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"{name!r} is no name for a stream or group; use letters, digits, '_', '-' and '.'"
        )
    return name
