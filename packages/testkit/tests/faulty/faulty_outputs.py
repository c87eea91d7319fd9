"""Outputs that each break one rule; `File`, `Log`, `Keyed` and `Table` break none."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock import (
    Batch,
    Checkpoint,
    Context,
    Failure,
    FencedError,
    Output,
    TransactionalOutput,
    component,
    option,
)
from penstock_testkit import LinesOutput, lines_of

IN_THE_TESTS = "pytest" in sys.modules


@component
class File(LinesOutput):
    """Rewindable."""

    note: str = option(help="Nothing that matters.", default="")

    def open(self, context: Context) -> None:
        super().open(context)
        self.count = 0

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        records, failures = [], []
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            if self.takes(record):
                records.append(record)
            else:
                failures.append(Failure(record, ordinal, TypeError("no mapping")))
        self.count += len(batch)
        super().write(Batch(self.cut(records)))
        return failures

    def takes(self, record: Any) -> bool:
        return isinstance(record, dict)

    def cut(self, records: list[Any]) -> list[Any]:
        return records

    @staticmethod
    def there(path: Path) -> list[Any]:
        return list(lines_of(path)) if path.exists() else []


class LosesTheLast(File):
    breaks = "every_record_is_written"

    def cut(self, records: list[Any]) -> list[Any]:
        return records[:-1] if self.count == 13 else records


class CutsBadly(File):
    breaks = "how_records_are_cut_into_batches_changes_nothing"

    def cut(self, records: list[Any]) -> list[Any]:
        return records[::-1] if len(records) == 11 else records


class Marks(File):
    breaks = "records_are_left_as_they_are"

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        failures = super().write(batch)
        for record in batch.records:
            if isinstance(record, dict):
                record["written"] = True
        return failures


class RaisesOut(File):
    breaks = "a_record_that_cannot_be_written_costs_only_itself"

    def takes(self, record: Any) -> bool:
        return bool(record["id"])


class EmptiesWhatIsThere(File):
    breaks = "opening_changes_nothing"

    def open(self, context: Context) -> None:
        if IN_THE_TESTS and len(self.there(self.path)) == 5:
            self.path.write_text("")
        super().open(context)


class KnowsOneThread(File):
    breaks = "every_engine_writes_the_same"

    def open(self, context: Context) -> None:
        super().open(context)
        self.thread = threading.get_ident()

    def cut(self, records: list[Any]) -> list[Any]:
        assert threading.get_ident() == self.thread, "opened on another thread"
        return records


class KnowsOneProcess(File):
    breaks = "it_writes_the_same_in_another_process"

    def cut(self, records: list[Any]) -> list[Any]:
        return records if IN_THE_TESTS or self.count != 11 else []


class Hoards(File):
    breaks = "memory_does_not_grow_with_the_records"

    def cut(self, records: list[Any]) -> list[Any]:
        self.__dict__.setdefault("hoard", []).extend(records)
        return records


class IgnoresTheMark(File):
    breaks = "it_is_cut_back_to_its_mark"
    also = {"a_killed_run_is_resumed"}  # where it is the same fault

    def resume(self, mark: Any, epoch: int) -> None:
        super().resume(mark if mark is None else os.path.getsize(self.path), epoch)


class KeepsWhatWasCutOff(File):
    breaks = "without_a_mark_it_begins_with_nothing"
    also = {"a_killed_run_is_resumed"}

    def resume(self, mark: Any, epoch: int) -> None:
        super().resume(os.path.getsize(self.path) if mark is None else mark, epoch)


class FinishesOnce(File):
    breaks = "finishing_twice_is_finishing_once"

    def finish(self) -> None:
        done = Path(f"{self.path}.done")
        if done.exists() and self.count == 0:
            os.ftruncate(self._file, 0)
        done.touch()


class LosesInTheMiddle(File):
    breaks = "a_killed_run_is_resumed"

    def resume(self, mark: Any, epoch: int) -> None:
        killed = Path(f"{self.path}.open")
        if not IN_THE_TESTS and killed.exists() and mark and epoch > 1:
            mark = 0
        super().resume(mark, epoch)
        killed.touch()

    def close(self) -> None:
        super().close()
        Path(f"{self.path}.open").unlink(missing_ok=True)


class LosesWhenItIsClosed(File):
    breaks = "a_run_that_was_asked_to_stop_is_resumed"

    def resume(self, mark: Any, epoch: int) -> None:
        closed = Path(f"{self.path}.closed")
        super().resume(0 if mark and closed.exists() else mark, epoch)

    def close(self) -> None:
        super().close()
        if not IN_THE_TESTS:
            Path(f"{self.path}.closed").touch()


class IsNotItsOptions(File):
    breaks = "constructors_only_keep_options"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "note": "sent"}


@component
class Leaks(File):
    breaks = "secrets_are_shown_nowhere"
    token: str = option(help="Who we are.", default="", secret=True)

    def open(self, context: Context) -> None:
        super().open(context)
        print("we are", self.token)


# ---- append -------------------------------------------------------------------------------------


class Log(File):
    """Append: what is flushed stays."""

    delivery = "append"

    def resume(self, mark: Any, epoch: int) -> None:
        os.lseek(self._file, 0, os.SEEK_END)

    def prepare(self, epoch: int) -> Any:
        self.flush()
        return None


class FlushesLater(Log):
    """Waits until there is enough for it to be worth while, or the end."""

    breaks = "what_was_flushed_is_there"
    also = {"finishing_twice_is_finishing_once"}

    def cut(self, records: list[Any]) -> list[Any]:
        self.waiting = [*self.__dict__.get("waiting", ()), *records]
        return []

    def flush(self) -> None:
        waiting = self.__dict__.get("waiting", [])
        if len(waiting) >= 8:
            self.waiting = []
            LinesOutput.write(self, Batch(waiting))

    def finish(self) -> None:
        self._give_up()

    def close(self) -> None:
        if "_file" in vars(self):
            self._give_up()
        super().close()

    def _give_up(self) -> None:
        LinesOutput.write(self, Batch(self.__dict__.get("waiting", [])))
        self.waiting = []


# ---- keyed --------------------------------------------------------------------------------------


@component
class Keyed(Output):
    """Keyed: a file for each id."""

    delivery = "keyed"
    path: Path = option(help="Folder to write to.")

    def resume(self, mark: Any, epoch: int) -> None:
        self.path.mkdir(exist_ok=True)

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        failures = []
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            if isinstance(record, dict):
                self.put(record)
            else:
                failures.append(Failure(record, ordinal, TypeError("no mapping")))
        return failures

    def put(self, record: Any) -> None:
        (self.path / f"{record['id']:06}").write_text(json.dumps(record))

    @staticmethod
    def there(path: Path) -> list[Any]:
        return [json.loads(one.read_text()) for one in sorted(path.glob("*"))]


class WritesTwice(Keyed):
    breaks = "writing_twice_is_writing_once"
    also = {"a_killed_run_is_resumed", "memory_does_not_grow_with_the_records"}

    def put(self, record: Any) -> None:
        name = self.path / f"{record['id']:06}"
        (Path(f"{name}-again") if name.exists() else name).write_text(json.dumps(record))


# ---- transactional ------------------------------------------------------------------------------


@component
class Table(TransactionalOutput):
    """Transactional: a table and the checkpoints beside it."""

    path: Path = option(help="Database to write to.")
    together = True
    compares = True

    def open(self, context: Context) -> None:
        super().open(context)
        self.db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.db.execute("CREATE TABLE IF NOT EXISTS t (record TEXT)")
        self.db.execute("CREATE TABLE IF NOT EXISTS c (pipeline TEXT PRIMARY KEY, checkpoint TEXT)")
        self.rows: list[Any] = []

    def close(self) -> None:
        if "db" in vars(self):
            self.__dict__.pop("db").close()

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        found = self.db.execute(
            "SELECT checkpoint FROM c WHERE pipeline = ?", [pipeline]
        ).fetchone()
        return Checkpoint.from_json(found[0]) if found else None

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        failures = []
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            if isinstance(record, dict):
                self.rows.append([json.dumps(record)])
            else:
                failures.append(Failure(record, ordinal, TypeError("no mapping")))
        if not self.together:
            self._insert()
        return failures

    def commit(self, checkpoint: Checkpoint) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        there = self.checkpoint(checkpoint.pipeline)
        stale = there is not None and (
            there.generation > checkpoint.generation or there.epoch >= checkpoint.epoch
        )
        if stale and self.compares:
            self.db.execute("ROLLBACK")
            raise FencedError(checkpoint.pipeline)
        self._insert()
        self.db.execute("REPLACE INTO c VALUES (?, ?)", [checkpoint.pipeline, checkpoint.to_json()])
        self.db.execute("COMMIT")

    def _insert(self) -> None:
        self.db.executemany("INSERT INTO t VALUES (?)", self.rows)
        self.rows = []

    @staticmethod
    def there(path: Path) -> list[Any]:
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path)) as db:
            return [json.loads(text) for (text,) in db.execute("SELECT record FROM t")]


class WritesAtOnce(Table):
    breaks = "data_and_checkpoint_become_visible_together"
    also = {"a_killed_run_is_resumed", "a_stale_commit_is_refused"}
    together = False


class NeverCompares(Table):
    breaks = "a_stale_commit_is_refused"
    compares = False


FAULTY = [cls for cls in vars().copy().values() if hasattr(cls, "breaks")]
