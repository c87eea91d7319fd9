"""Wrong ways to keep the promise, each a single change. A test that does not catch them is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

__all__ = ["VARIANTS"]


def ignores_the_mark() -> None:
    """An output that goes on at the end of what it finds."""
    from penstock_files.writing import FileWriter

    resume = FileWriter.resume

    def go_on(self: FileWriter, mark: Any = None) -> None:
        if mark is not None and self._target is not None:
            length = os.fstat(self._file.fileno()).st_size
            mark = {"length": length, "tail": None}
            self._has = lambda *_: True  # type: ignore[method-assign]
        resume(self, mark)

    FileWriter.resume = go_on  # type: ignore[method-assign]


def saves_positions_first() -> None:
    """A run that stores where it is before its outputs are flushed."""
    from penstock_files.writing import FileWriter

    def flush(_: FileWriter) -> None:
        """Later."""

    FileWriter.flush = flush  # type: ignore[method-assign, assignment]


def forgets_the_states() -> None:
    """A run that does not keep what its stages hold."""
    from penstock.components import Stage
    from penstock_shape.pack import Pack
    from penstock_streams.window import Window

    for kind in (Pack, Window):
        kind.snapshot = Stage.snapshot  # type: ignore[method-assign]


def leaves_folders() -> None:
    """An output that does not make the name of its file durable."""
    import penstock_files.writing as writing

    def leave(folder: Path) -> None:
        """As if closing it were enough."""

    writing._sync_folder = leave


def keeps_the_position_apart() -> None:
    """An output whose rows are committed by themselves; where the run is, is noted afterwards."""
    from penstock_sink_sql.output import SqlOutput

    def prepare(self: SqlOutput, epoch: int) -> None:
        session = self._session
        session.begin(self._checkpoints).commit()
        session._begun = False
        session.dirty.clear()
        time.sleep(0.005)  # as when the machine is busy, so that few kills are enough

    SqlOutput.delivery = "append"
    SqlOutput.prepare = prepare  # type: ignore[method-assign]
    SqlOutput.finish = lambda self: None  # type: ignore[method-assign]


def commits_every_batch() -> None:
    """An output that does not wait for the end of the epoch."""
    from penstock_sink_sql.output import SqlOutput

    write = SqlOutput.write

    def write_at_once(self: SqlOutput, batch: Any) -> Any:
        failures = write(self, batch)
        session = self._session
        session.begin(self._checkpoints).commit()
        session._begun = False
        session.dirty.clear()
        return failures

    SqlOutput.delivery = "append"
    SqlOutput.write = write_at_once  # type: ignore[method-assign]
    SqlOutput.prepare = lambda self, epoch: None  # type: ignore[method-assign]
    SqlOutput.finish = lambda self: None  # type: ignore[method-assign]


def closes_letters_afterwards() -> None:
    """A store that forgets the letters of a retry only after it has kept what became of them."""
    from penstock.stores.sqlite import SqliteStore

    save = SqliteStore.save

    def save_and_close(
        self: SqliteStore, checkpoint: Any, letters: Any = (), keys: Any = (), closed: Any = ()
    ) -> None:
        save(self, checkpoint, letters, keys)
        time.sleep(0.02 if closed else 0)
        self.drop_letters(closed)

    SqliteStore.save = save_and_close  # type: ignore[method-assign]


def keeps_no_checkpoint() -> None:
    """A stream that does not say which epochs it has."""
    from penstock_broker_file.output import FileStreamOutput

    def checkpoint(_: FileStreamOutput, pipeline: str) -> None:
        """Only the store knows."""

    FileStreamOutput.checkpoint = checkpoint  # type: ignore[method-assign, assignment]
    FileStreamOutput.delivery = "append"
    FileStreamOutput.prepare = _commit_at_once  # type: ignore[method-assign]


def _commit_at_once(self: Any, epoch: int) -> None:
    from dataclasses import replace

    from penstock import Checkpoint

    before = self._stream.head().writers.get(self._writer, {"epoch": 0})
    made = Checkpoint(self.context.pipeline, self.context.run_id, before["epoch"] + 1)
    self.commit(replace(made, generation=1 << 30))


def appends_at_the_end() -> None:
    """A stream whose head counts what somebody who died has left behind."""
    from penstock_broker_file.stream import Stream, Tip

    append = Stream.append

    def go_on(self: Stream, head: Any, staged: Any, limits: Any) -> None:
        for number in staged:
            tip = head.tips[number]
            path = self.segment(number, tip.segment)
            if path.exists():
                there = path.read_bytes()
                missed = there[tip.size :].count(b"\n")
                head.tips[number] = Tip(tip.segment, len(there), tip.records + missed)
        append(self, head, staged, limits)

    Stream.append = go_on  # type: ignore[method-assign]


def inserts_documents() -> None:
    """An output that inserts documents with ids of their own; where the run is, is noted apart.
    Nor does the client library number its writes, which hides most of what that repeats."""
    from penstock_mongodb import client
    from penstock_sink_mongodb.output import MongoOutput

    connect = client.connect

    def write(self: MongoOutput, batch: Any) -> None:
        self._target.insert_many([dict(record) for record in batch.records])

    client.connect = partial(connect, retryWrites=False)
    MongoOutput.delivery = "append"  # type: ignore[method-assign, assignment]
    MongoOutput.write = write  # type: ignore[method-assign]
    MongoOutput.prepare = lambda self, epoch: None  # type: ignore[method-assign]
    MongoOutput.finish = lambda self: None  # type: ignore[method-assign]


def leaves_the_states_behind() -> None:
    """A run that takes a partition over at the right position, with nothing that belongs to it."""
    from penstock.partitions import Partitioned

    take = Partitioned.take

    def take_nothing(self: Partitioned, source: str, kept: Any) -> int:
        return take(self, source, None)

    Partitioned.take = take_nothing  # type: ignore[method-assign]


VARIANTS: dict[str, Callable[[], None]] = {
    "ignores the mark": ignores_the_mark,
    "saves positions first": saves_positions_first,
    "forgets the states": forgets_the_states,
    "leaves folders": leaves_folders,
    "keeps the position apart": keeps_the_position_apart,
    "commits every batch": commits_every_batch,
    "closes letters afterwards": closes_letters_afterwards,
    "keeps no checkpoint": keeps_no_checkpoint,
    "appends at the end of the file": appends_at_the_end,
    "inserts documents": inserts_documents,
    "leaves the states behind": leaves_the_states_behind,
}
