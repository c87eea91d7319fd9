"""A durable log in front of an input that cannot be read again: `spool: true`.

What the input gives is in a file, and fsynced, before it goes on; a run that died is followed by
one that reads first what was not committed. With it an ephemeral input is a replayable one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any
from urllib.parse import quote

from .batch import Batch, Failure, moved
from .components import Context, Input
from .errors import RecordError, RunError
from .failures import describe
from .spool import kept
from .store import decode_record, encode_record

__all__ = ["SpooledInput"]

_WORTH = 1 << 20  # bytes of committed entries that are worth writing the log anew


class SpooledInput(Input):
    """Reads `inner` through a log in the state folder.

    `inner.commit` is called as soon as a batch is durable: an input that answers a sender does so
    there. Its position is the number of the entry, which grows from run to run, as ordinals do.
    """

    finite = False  # a new run goes on after the last entry

    def __init__(self, inner: Input) -> None:
        self.inner = inner
        self.log: _Log | None = None

    def open(self, context: Context) -> None:
        super().open(context)
        if context.state is None:
            raise RunError(
                "an input that is spooled needs a state folder",
                where=context.name,
                hint="give the run a store with a folder",
            )
        name = quote(f"{context.pipeline}.{context.name}", safe=" ")
        self.log = _Log(context.state / f"{name}.log")
        self._before = dict(self.log.ordinals)  # the inner input numbers from one each time
        self.inner.open(context)

    def close(self) -> None:
        try:
            if self.log is not None and (rest := self.inner.partial()) is not None:
                self._keep(rest)  # taken from the sender, who does not send it again
        finally:
            self.inner.close()
            if self.log is not None:
                self.log.close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        log = self.log
        assert log is not None
        for number, kept_one in log.entries():
            if number > positions.get(kept_one.source, 0):
                yield kept_one
        for batch in self.inner.read({}):
            yield self._keep(batch) if batch is not None else None

    def _keep(self, batch: Batch) -> Batch:
        """Make a batch durable and tell the input; the batch as it goes on."""
        assert self.log is not None
        batch.source = batch.source or self.context.name
        made = moved(batch, self._before.get(batch.source, 0))
        made.resume = self.log.append(made)
        self.inner.commit({batch.source: batch.resume})
        return made

    def commit(self, positions: Mapping[str, Any]) -> None:
        if self.log is not None:
            self.log.forget({source: int(number) for source, number in positions.items()})

    def progress(self) -> float | None:
        return self.inner.progress()


class _Log:
    """One line for each batch, after a line that says what was forgotten.

    The reading thread appends while the run's thread forgets, so both hold the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.ordinals: dict[str, int] = {}
        self._lock = Lock()
        self._ends: list[tuple[int, str, int]] = []  # number, source and end of each entry
        path.parent.mkdir(exist_ok=True)
        self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115
        self._recover()

    def _recover(self) -> None:
        """Learn what is there; cut off an entry that was not written whole."""
        self._file.seek(0)
        end = 0
        for line in self._file:
            entry = _parsed(line)
            if entry is None:
                break
            end += len(line)
            self._learn(entry, end)
        self._file.truncate(end)
        if not end:
            self._add(self._header(), make_durable=True)
            _sync_folder(self.path.parent)

    def _learn(self, entry: dict[str, Any], end: int) -> None:
        self.number = entry["number"]
        self.ordinals.update(entry["last"])
        if "source" in entry:
            self._ends.append((self.number, entry["source"], end))

    def _header(self) -> dict[str, Any]:
        return {"number": self.number, "last": self.ordinals}

    def entries(self) -> Iterator[tuple[int, Batch]]:
        """What is in the log, with its numbers, as it stood at the first entry asked for."""
        with self._lock:
            self._file.flush()
            lines = self.path.read_bytes().splitlines(keepends=True)
        for line in lines:
            entry = _parsed(line)
            if entry is not None and "source" in entry:
                yield entry["number"], _batch(entry)

    def append(self, batch: Batch) -> int:
        """Keep a batch durably; its number."""
        why = "cannot be kept in the log of a spooled input"
        last = max([*batch.ordinals, *(one.ordinal for one in batch.failures)], default=0)
        with self._lock:
            self.number += 1
            if last:
                self.ordinals[batch.source] = last
            entry = {
                **self._header(),
                "source": batch.source,
                "ordinals": list(batch.ordinals),
                "records": [kept(record, why) for record in batch.records],
                "failures": [
                    [encode_record(one.record), one.ordinal, describe(one.error)]
                    for one in batch.failures
                ],
            }
            self._learn(entry, self._add(entry, make_durable=True))
            return self.number

    def _add(self, entry: dict[str, Any], *, make_durable: bool) -> int:
        self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        if make_durable:
            os.fsync(self._file.fileno())
        return self._file.tell()

    def forget(self, positions: Mapping[str, int]) -> None:
        """Drop the entries that are committed, when that is worth a new file."""

        with self._lock:
            start = 0
            done = 0
            for number, source, end in self._ends:
                if number > positions.get(source, 0):
                    break
                done, start = done + 1, end
            if start and (start >= _WORTH or done == len(self._ends)):
                del self._ends[:done]
                self._rewrite(start)

    def _rewrite(self, start: int) -> None:
        self._file.seek(start)
        rest = self._file.read()
        fresh = self.path.with_suffix(".new")
        with open(fresh, "wb") as file:
            head = json.dumps(self._header()).encode() + b"\n"
            file.write(head + rest)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.path)
        _sync_folder(self.path.parent)
        self._file.close()
        self._file = open(self.path, "a+b")  # noqa: SIM115
        shift = len(head) - start
        self._ends = [(number, source, end + shift) for number, source, end in self._ends]

    def close(self) -> None:
        self._file.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """An entry; None when it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _batch(entry: Mapping[str, Any]) -> Batch:
    failures = [
        Failure(decode_record(record), ordinal, RecordError(message))
        for record, ordinal, message in entry["failures"]
    ]
    records = [decode_record(record) for record in entry["records"]]
    return Batch(records, entry["source"], entry["ordinals"], entry["number"], failures)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
