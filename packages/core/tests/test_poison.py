"""A record that kills the process is found and set aside; no other record is, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from penstock import (
    Batch,
    Checkpoint,
    ConnectError,
    Failure,
    MemoryStore,
    Output,
    TransactionalOutput,
    Transformer,
)
from penstock.runs import Run
from penstock.testing import ListInput

EngineRun = Callable[..., Run]
DEATHS = 7
"""Three at one place, one of the batch by itself, three of the record by itself."""


class Killed(BaseException):
    """Stands for kill -9: no handler of the run may catch it."""


class Poison(Transformer):
    def __init__(self, deadly: set[int]) -> None:
        self.deadly = deadly

    def transform(self, record: int) -> int:
        if record in self.deadly:
            raise Killed
        return record


class Rows(ListInput):
    """Numbers as given; those that are negative cannot be read."""

    def read(self, positions: Any) -> Any:
        for batch in super().read(positions):
            pairs = list(zip(batch.records, batch.ordinals))
            good = [(record, ordinal) for record, ordinal in pairs if record >= 0]
            batch.failures = [Failure(r, o, ValueError("bad")) for r, o in pairs if r < 0]
            batch.records = [record for record, _ in good]
            batch.ordinals = [ordinal for _, ordinal in good]
            yield batch


class File(Output):
    """What is written and can be cut back; the list outlives the process."""

    delivery = "rewindable"

    def __init__(self, lines: list[int]) -> None:
        self.lines = lines

    def resume(self, mark: Any, epoch: int) -> None:
        del self.lines[mark or 0 :]

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.lines.extend(batch.records)
        return None

    def prepare(self, epoch: int) -> Any:
        return len(self.lines)


def lives(
    start: EngineRun,
    store: MemoryStore,
    lines: list[int],
    records: list[int],
    deadly: set[int],
    sizes: Sequence[int] = (8,),
) -> int:
    """Run, with the sizes in turn, until a run ends; how often the process died."""
    for deaths in range(100):
        size = sizes[deaths % len(sizes)]
        source = Rows(values=records, batch_size=size)
        run = start(source, Poison(deadly), File(lines), store=store, epoch={"records": 2 * size})
        try:
            run.execute()
        except Killed:
            store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
            continue
        assert run.error is None, run.error
        return deaths
    raise AssertionError("it never ends")


def dead(store: MemoryStore) -> list[int]:
    return [letter.ordinal for letter in store.letters()]


def test_a_record_that_kills_is_set_aside_and_every_other_arrives(start: EngineRun) -> None:
    store, lines = MemoryStore(), []
    assert lives(start, store, lines, list(range(1, 41)), {21}) == DEATHS
    assert lines == [n for n in range(1, 41) if n != 21]
    (letter,) = store.letters()
    assert letter.ordinal == 21
    assert letter.message == "killed the worker 3 times when it was tried by itself"


def test_two_deadly_records_of_one_batch_are_both_set_aside(start: EngineRun) -> None:
    store, lines = MemoryStore(), []
    lives(start, store, lines, list(range(1, 41)), {3, 6})
    assert lines == [n for n in range(1, 41) if n not in (3, 6)]
    assert dead(store) == [3, 6]


def test_records_that_cannot_be_read_are_not_lost_beside_a_deadly_one(start: EngineRun) -> None:
    store, lines = MemoryStore(), []
    records = [1, -2, 3, 4, -5, 6, 7, -8, 9, 10]
    lives(start, store, lines, records, {4, 7})
    assert lines == [1, 3, 6, 9, 10]
    assert dead(store) == [2, 4, 5, 7, 8]


@pytest.mark.parametrize("sizes", [(8, 3), (3, 8), (5, 2, 7), (8, 7, 6, 5, 4, 3, 2)])
def test_a_deadly_record_is_found_when_every_life_reads_other_batches(
    start: EngineRun, sizes: Sequence[int]
) -> None:
    store, lines = MemoryStore(), []
    deaths = lives(start, store, lines, list(range(1, 41)), {13, 14, 30}, sizes)
    assert lines == [n for n in range(1, 41) if n not in (13, 14, 30)]
    assert dead(store) == [13, 14, 30]
    assert deaths <= 3 * DEATHS


class Table(TransactionalOutput):
    """Keeps its rows and its checkpoint in `place`."""

    def __init__(self, place: dict[str, Any]) -> None:
        self.place = place
        self.waiting: list[int] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.waiting.extend(batch.records)
        return None

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.place.get("checkpoint")

    def commit(self, checkpoint: Checkpoint) -> None:
        self.place["rows"] = [*self.place.get("rows", ()), *self.waiting]
        self.place["checkpoint"] = checkpoint
        self.waiting = []


def test_a_deadly_record_is_found_where_every_start_is_an_epoch_of_its_own(
    start: EngineRun,
) -> None:
    """A table beside a file: each start commits an empty epoch before it cuts the file back."""
    store, lines, place = MemoryStore(), [], {}
    for _ in range(3 * DEATHS):
        source = Rows(values=[1, 2, 3, 4], batch_size=2)
        poison = Poison({3})
        run = start([source, poison, File(lines)], [poison, Table(place)], store=store)
        try:
            run.execute()
        except Killed:
            store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
            continue
        break
    assert run.error is None, run.error
    assert (lines, place["rows"], dead(store)) == ([1, 2, 4], [1, 2, 4], [3])


class Failing(Output):
    """A destination that is out of order a few times, which is nobody's death."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.values: list[int] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if self.failures:
            self.failures -= 1
            raise ConnectError("no connection")
        self.values.extend(batch.records)
        return None


def test_a_run_that_fails_is_no_death_and_sets_no_record_aside(start: EngineRun) -> None:
    store, output = MemoryStore(), Failing(12)
    for _ in range(12):
        run = start(ListInput(values=[1, 2, 3], batch_size=1), output, store=store)
        run.execute()
        assert isinstance(run.error, ConnectError)
        assert store.attempts("pipeline") == {}
    report = start(ListInput(values=[1, 2, 3]), output, store=store).execute()
    assert report.status == "ok"
    assert (output.values, store.letters()) == ([1, 2, 3], [])


def test_an_interrupt_from_the_keyboard_is_no_death_and_leaves_no_lease(start: EngineRun) -> None:
    class Interrupted(Transformer):
        def transform(self, record: int) -> int:
            raise KeyboardInterrupt

    store = MemoryStore()
    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            start(ListInput(values=[1]), Interrupted(), File([]), store=store).execute()
    assert store.attempts("pipeline") == {}
    lines: list[int] = []
    assert start(ListInput(values=[1]), File(lines), store=store).execute().status == "ok"
    assert lines == [1]


def test_a_run_stopped_inside_a_batch_goes_on_after_its_last_record_with_any_batch_size(
    start: EngineRun,
) -> None:
    for size in range(1, 9):
        store, lines = MemoryStore(), []
        records = [1, 2, -3, 4, 5, -6, 7, 8, 9, 10]
        start(
            Rows(values=records, batch_size=10), File(lines), store=store, max_records=6
        ).execute()
        run = start(Rows(values=records, batch_size=size), File(lines), store=store)
        report = run.execute()
        assert lines == [1, 2, 4, 5, 7, 8, 9, 10], size
        assert (dead(store), report.letters) == ([3, 6], 2)
