"""Runs that are started again after what may be over soon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from penstock import (
    Batch,
    ConnectError,
    Context,
    Failure,
    MemoryStore,
    Output,
    RecordInput,
    RunError,
    TransientError,
)
from penstock.build import Pipeline, pipeline_of
from penstock.plugins import Plugins
from penstock.supervise import passing, supervise
from penstock.testing import FakeClock


class World:
    """What comes when a record is written (by its number, from 1) or an output is opened."""

    def __init__(self, *, at: Mapping[int, list[Exception]], opening: Sequence[Any] = ()) -> None:
        self.at = at
        self.opening = list(opening)
        self.rows: list[int] = []
        self.opened = 0


class Numbers(RecordInput):
    batch_size = 1

    def records(self, skip: int) -> Iterator[int]:
        yield from range(skip + 1, 11)


class Keyed(Output):
    delivery = "keyed"

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, context: Context) -> None:
        self.world.opened += 1
        error = self.world.opening.pop(0) if self.world.opening else None
        if error is not None:
            raise error

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        for record in batch.records:
            waiting = self.world.at.get(record, [])
            if waiting:
                raise waiting.pop(0)
            self.world.rows.append(record)
        return None


def made(world: World) -> Pipeline:
    pipeline = pipeline_of([[Numbers(), Keyed(world)]], Plugins(discover=False))
    pipeline.spec.epoch = {"records": 2}
    return pipeline


def busy(count: int) -> list[Exception]:
    return [TransientError("busy") for _ in range(count)]


TRIES = 5  # of the output itself, for each batch


def test_a_run_goes_on_from_its_checkpoint_with_fresh_components() -> None:
    world = World(at={6: busy(2 * TRIES)})
    clock, said = FakeClock(), []
    run, report = supervise(made(world), MemoryStore(), clock=clock, pauses=said.append)
    assert (report.status, report.balance.read) == ("ok", 10)
    assert world.rows == [1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10]  # its epoch is repeated
    assert world.opened == 3
    assert [sentence.partition(" in ")[0] for sentence in said] == [
        "keyed at numbers:6: TransientError: busy; starting again from the last checkpoint"
    ] * 2
    assert said[0].endswith("(1 of 5)")
    assert "started again after: keyed at numbers:6: TransientError: busy" in run.warnings


def test_five_starts_without_progress_are_enough() -> None:
    world = World(at={6: busy(100)})
    run, _ = supervise(made(world), MemoryStore(), clock=FakeClock())
    assert isinstance(run.error, RunError)
    assert world.opened == 6


def test_progress_gives_new_starts() -> None:
    world = World(at={n: busy(3 * TRIES) for n in (2, 4, 6, 8, 10)})
    _, report = supervise(made(world), MemoryStore(), clock=FakeClock())
    assert report.status == "ok"
    assert world.opened == 16


def test_pauses_grow_up_to_a_minute() -> None:
    clock = FakeClock()
    before = clock.time
    supervise(made(World(at={}, opening=busy(100))), MemoryStore(), clock=clock)
    assert 15.5 <= clock.time - before <= 31


@pytest.mark.parametrize("error", [ValueError("wrong"), RunError("wrong"), ConnectError("wrong")])
def test_what_will_not_be_over_soon_ends_the_run(error: Exception) -> None:
    world = World(at={}, opening=[error])
    run, report = supervise(made(world), MemoryStore(), clock=FakeClock())
    assert report.status == "failed"
    assert world.opened == 1
    assert run.error is not None


def test_a_connection_that_is_lost_and_not_at_once_there_again_is_waited_for() -> None:
    gone = ConnectError("no answer", where="db")
    world = World(at={6: [ConnectError("lost", where="db")]}, opening=[None, gone, gone])
    _, report = supervise(made(world), MemoryStore(), clock=FakeClock())
    assert report.status == "ok"
    assert world.opened == 4
    assert world.rows[-5:] == [6, 7, 8, 9, 10]


def test_a_store_that_cannot_be_written_ends_the_run() -> None:
    store: Any = MemoryStore()
    store.path = "/state.db"
    assert not passing(ConnectError("full", where="/state.db"), store, progressed=True)
    assert passing(ConnectError("lost", where="db"), store, progressed=True)
    assert not passing(None, store, progressed=True)


def test_limits_hold_for_all_starts_together() -> None:
    world = World(at={4: busy(TRIES)})
    store = MemoryStore()
    _, report = supervise(made(world), store, clock=FakeClock(), max_records=6)
    assert report.status == "stopped"
    checkpoint = store.checkpoint("pipeline")
    assert checkpoint is not None
    assert checkpoint.positions == {"numbers": 6}

    world = World(at={4: busy(100)})
    clock = FakeClock()
    run, _ = supervise(made(world), MemoryStore(), clock=clock, max_seconds=100.0)
    assert run.max_seconds is not None
    assert run.max_seconds < 90


def test_fresh_is_fresh_only_until_something_is_kept() -> None:
    store = MemoryStore()
    supervise(made(World(at={})), store, clock=FakeClock(), max_records=4)
    world = World(at={6: busy(TRIES)}, opening=busy(1))
    _, report = supervise(made(world), store, clock=FakeClock(), fresh=True)
    assert report.status == "ok"
    assert world.rows == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("after", [1, 3])
def test_who_wants_no_more_starts_is_heard(after: int) -> None:
    world = World(at={6: busy(100)})
    asked = [0]

    def stopped() -> bool:
        asked[0] += 1
        return asked[0] >= after

    run, _ = supervise(made(world), MemoryStore(), clock=FakeClock(), stopped=stopped)
    assert world.opened == 1
    assert run.error is not None


def test_a_program_may_ask_for_no_restarts() -> None:
    world = World(at={6: busy(TRIES)})
    with pytest.raises(RunError, match="busy"):
        made(world).run(store=MemoryStore(), clock=FakeClock(), restarts=0)
    assert world.opened == 1
    world = World(at={6: busy(TRIES)})
    assert made(world).run(store=MemoryStore(), clock=FakeClock()).status == "ok"
