"""Stages that each break one rule; `Good` breaks none."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from penstock import Batch, Context, Failure, Inspector, Stage, component, option

IN_THE_TESTS = "pytest" in sys.modules


@component
class Good(Stage):
    """Gives every record the number it has, and lets each wait for the next."""

    note: str = option(help="Nothing that matters.", default="")
    folder: Path = option(help="Where a faulty one keeps things.", default=Path())

    def open(self, context: Context) -> None:
        super().open(context)
        self.count = 0
        self.waiting: list[Any] = []  # source, ordinal, record

    def process(self, batch: Batch) -> Iterable[Batch]:
        out: list[Any] = []
        failures = []
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            if not self.takes(record):
                failures.append(Failure(record, ordinal, TypeError("no mapping")))
                continue
            self.count += 1
            out.extend(self.waiting)
            self.waiting = [[batch.source, ordinal, {**record, "nr": self.count}]]
        yield self.answer(batch.source, self.cut(out, batch), failures)

    def answer(self, source: str, rows: list[Any], failures: Any = ()) -> Batch:
        ordinals = [self.ordinal(row[1]) for row in rows]
        return Batch([row[2] for row in rows], source, ordinals, failures=failures)

    def takes(self, record: Any) -> bool:
        return isinstance(record, dict)

    def cut(self, out: list[Any], batch: Batch) -> list[Any]:
        return out

    def ordinal(self, ordinal: int) -> int:
        return ordinal

    def finish(self) -> Iterable[Batch]:
        for row in self.waiting:
            yield self.answer(row[0], [row])
        self.waiting = []

    def idle(self, now: float) -> Iterable[Batch]:
        return list(self.finish())

    def snapshot(self) -> Any:
        return [self.count, self.waiting]

    def restore(self, state: Any) -> None:
        self.count, self.waiting = state


class LosesTheLast(Good):
    breaks = "every_record_is_answered_for"
    notices = True  # so does a run, which adds up what was answered for

    def finish(self) -> Iterable[Batch]:
        return ()


class CutsBadly(Good):
    breaks = "how_records_are_cut_into_batches_changes_nothing"

    def cut(self, out: list[Any], batch: Batch) -> list[Any]:
        return out[::-1] if len(batch) == 7 else out


class CountsAnew(Good):
    breaks = "ordinals_are_those_of_the_records_that_came"

    def ordinal(self, ordinal: int) -> int:
        return ordinal + 1000


class RaisesOut(Good):
    breaks = "a_record_that_fails_costs_only_itself"

    def takes(self, record: Any) -> bool:
        return record["id"] > 0


@component
class Changes(Inspector):
    breaks = "an_inspector_cannot_change_data"

    def inspect(self, record: Any) -> None:
        if isinstance(record, dict):
            record["seen"] = True


class KnowsOneThread(Good):
    breaks = "every_engine_gives_the_same"

    def open(self, context: Context) -> None:
        super().open(context)
        self.thread = threading.get_ident()

    def cut(self, out: list[Any], batch: Batch) -> list[Any]:
        assert threading.get_ident() == self.thread, "opened on another thread"
        return out


class ForgetsWhileItWaits(Good):
    breaks = "it_waits_without_losing_anything"
    also = {"a_run_that_was_asked_to_stop_is_resumed"}  # the run waits then, too

    def idle(self, now: float) -> Iterable[Batch]:
        self.waiting = []
        return ()


class Hoards(Good):
    breaks = "memory_does_not_grow_with_the_records"

    def cut(self, out: list[Any], batch: Batch) -> list[Any]:
        self.__dict__.setdefault("hoard", []).extend(out)
        return out


class RestoresBadly(Good):
    breaks = "it_goes_on_from_a_snapshot_at_every_place"

    def restore(self, state: Any) -> None:
        super().restore(state)
        self.count += self.count == 5


class SnapshotIsNoJson(Good):
    breaks = "a_snapshot_changes_nothing"

    def snapshot(self) -> Any:
        return (self.count, self.waiting)


class KeepsItsOwnCount(Good):
    breaks = "a_killed_run_is_resumed"

    def cut(self, out: list[Any], batch: Batch) -> list[Any]:
        if not IN_THE_TESTS:
            (self.folder / self.__class__.__name__).write_text(str(self.count))
        return out

    def restore(self, state: Any) -> None:
        super().restore(state)
        if not IN_THE_TESTS:
            self.count = int((self.folder / self.__class__.__name__).read_text())


class CountsWhenItIsClosed(Good):
    breaks = "a_run_that_was_asked_to_stop_is_resumed"

    def restore(self, state: Any) -> None:
        super().restore(state)
        if not IN_THE_TESTS:
            self.count += (self.folder / "closed").exists()

    def finish(self) -> Iterable[Batch]:
        self.done = True
        return super().finish()

    def close(self) -> None:
        if not IN_THE_TESTS and not hasattr(self, "done"):
            (self.folder / "closed").touch()


class IsNotItsOptions(Good):
    breaks = "constructors_only_keep_options"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "note": "sent"}


@component
class Leaks(Good):
    breaks = "secrets_are_shown_nowhere"
    token: str = option(help="Who we are.", default="", secret=True)

    def open(self, context: Context) -> None:
        super().open(context)
        context.observe("who", self.token)


FAULTY = [cls for cls in vars().copy().values() if hasattr(cls, "breaks")]
