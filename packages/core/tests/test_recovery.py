"""What a run finds when the store or an output is not as the run before it left them."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock import (
    Batch,
    Checkpoint,
    DeadLetter,
    Failure,
    Input,
    MemoryStore,
    Plugins,
    Stage,
    Transformer,
)
from penstock.build import pipeline_of
from penstock.components import TransactionalOutput
from penstock.engines.inline import InlineEngine
from penstock.holder import alive, this_process
from penstock.runs import Run
from penstock.store import FencedError, LeaseTakenError
from penstock.stores.sqlite import SqliteStore
from penstock.testing import FakeClock, ListInput, ListOutput

EngineRun = Callable[..., Run]
ALL = list(range(1, 21))


class Killed(BaseException):
    """Stands for kill -9."""


class Database:
    """What survives a process: rows and the checkpoint."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.checkpoint: Checkpoint | None = None


class Table(TransactionalOutput):
    """Dies before its `dies`-th commit; refuses some records."""

    def __init__(
        self, database: Database, dies: int | None = None, refuse: Iterable[Any] = ()
    ) -> None:
        self.database, self.dies, self.refuse = database, dies, list(refuse)
        self.written: list[Any] = []

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.database.checkpoint

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        pairs = list(zip(batch.records, batch.ordinals, strict=True))
        self.written.extend(record for record, _ in pairs if record not in self.refuse)
        return [Failure(r, o, ValueError("refused")) for r, o in pairs if r in self.refuse]

    def commit(self, checkpoint: Checkpoint) -> None:
        if self.dies is not None:
            self.dies -= 1
            if self.dies == 0:
                raise Killed
        there = self.database.checkpoint
        if there is not None and (
            there.generation > checkpoint.generation or there.epoch != checkpoint.epoch - 1
        ):
            raise FencedError(checkpoint.pipeline)
        self.database.rows += self.written
        self.database.checkpoint = checkpoint
        self.written = []


class Stop(Transformer):
    """Dies of the records it was given."""

    def __init__(self, *deadly: int) -> None:
        self.deadly = deadly

    def transform(self, record: Any) -> Any:
        if record in self.deadly:
            raise Killed
        return record


def live(start: EngineRun, store: MemoryStore, *pipes: Any, epoch: int = 4, **options: Any) -> Run:
    """One life of a pipeline; one that was killed lets go of its lease, being dead."""
    run = start(*pipes, store=store, epoch={"records": epoch}, **options)
    try:
        run.execute()
    except Killed:
        run.stash["killed"] = True
    store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
    return run


def source(size: int = 4) -> ListInput:
    return ListInput(values=ALL, batch_size=size)


def test_a_store_that_was_put_back_or_lost_follows_its_transactional_output(
    start: EngineRun,
) -> None:
    for older in (None, 1):
        store, database = MemoryStore(), Database()
        for _ in range(older or 0):
            live(start, store, source(), Stop(5), Table(database))
        kept = copy.deepcopy(store)
        for deadly in (9, 13, 17):
            live(start, store, source(), Stop(deadly), Table(database))
        run = live(start, kept, source(), Table(database))
        assert run.error is None, run.error
        assert database.rows == ALL


def two(databases: Sequence[Database], deadly: int = 0, dies: int | None = None) -> Any:
    """Pipes from one input to two tables."""
    reads, stage = source(), Stop(deadly)
    return [reads, stage, Table(databases[0])], [stage, Table(databases[1], dies)]


def test_an_epoch_of_another_history_is_not_taken_for_ours(start: EngineRun) -> None:
    """Both have an epoch 2, which ended elsewhere."""
    store, database = MemoryStore(), Database()
    live(start, store, source(), Stop(9), Table(database), epoch=4)
    other = MemoryStore()
    live(start, other, source(2), Stop(5), Table(Database()), epoch=2)
    run = live(start, other, source(), Table(database))
    assert run.error is None, run.error
    assert database.rows == ALL


def test_a_store_that_was_put_back_follows_two_tables_that_agree(
    start: EngineRun, tmp_path: Path
) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, deadly=5))
    kept = copy.deepcopy(store)
    live(start, store, *two(databases, deadly=17))
    run = live(start, kept, *two(databases))
    assert run.error is None, run.error
    assert [one.rows for one in databases] == [ALL, ALL]


def folder_store(folder: Path) -> MemoryStore:
    store = MemoryStore()
    store.folder = folder  # type: ignore[attr-defined]
    return store


def test_of_two_tables_one_that_was_put_back_is_told_and_nothing_is_written(
    start: EngineRun, tmp_path: Path
) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, deadly=9))
    older = copy.deepcopy(databases[1])
    live(start, store, *two(databases, deadly=17))
    runs = [one.checkpoint.run_id for one in (databases[0], older) if one.checkpoint]
    run = live(start, store, *two([databases[0], older]))
    assert str(run.error) == (
        "pipeline: its outputs do not agree on what was committed: table has epoch 4 of run "
        f"{runs[0]} and table2 has epoch 2 of run {runs[1]}; put them back to the same epoch, or "
        "start over with --fresh"
    )
    assert (databases[0].rows, older.rows) == (ALL[:16], ALL[:8])
    run = live(start, store, *two(databases))
    assert run.error is None
    assert [one.rows for one in databases] == [ALL, ALL]


def test_of_two_tables_one_that_was_lost_is_told(start: EngineRun, tmp_path: Path) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, deadly=9))
    run = live(start, store, *two([databases[0], Database()]))
    assert re.search("table has epoch 2 of run .* and table2 has no epoch", str(run.error))


def test_two_tables_that_were_both_lost_are_filled_anew(start: EngineRun, tmp_path: Path) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, deadly=9))
    databases = [Database(), Database()]
    run = live(start, store, *two(databases))
    assert run.error is None
    assert [one.rows for one in databases] == [ALL, ALL]
    assert "table and table2 know nothing of the run before; starting over" in run.warnings


def test_a_spool_that_is_gone_is_told(start: EngineRun, tmp_path: Path) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, dies=2))
    (spool,) = tmp_path.glob("*.epoch")
    spool.unlink()
    run = live(start, store, *two(databases))
    assert str(run.error) == (
        f"{spool}: does not hold epoch 2, which table2 lacks; put the state folder back, or start "
        "over with --fresh"
    )


def test_a_table_that_was_lost_while_its_epoch_was_in_doubt_is_told(
    start: EngineRun, tmp_path: Path
) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    live(start, store, *two(databases, dies=3))
    run = live(start, store, *two([databases[0], Database()]))
    assert re.search("table has epoch 3 of run .* and table2 has no epoch", str(run.error))


def test_of_a_batch_with_a_refused_record_the_others_are_spooled(
    start: EngineRun, tmp_path: Path
) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    for dies in (1, None):
        reads = source()
        live(
            start,
            store,
            [reads, Table(databases[0])],
            [reads, Table(databases[1], dies, refuse=[2])],
        )
    assert databases[0].rows == ALL
    assert databases[1].rows == [n for n in ALL if n != 2]
    assert [letter.ordinal for letter in store.letters()] == [2]


def test_a_record_that_a_spool_cannot_give_back_is_told_before_it_is_committed(
    start: EngineRun, tmp_path: Path
) -> None:
    store, databases = folder_store(tmp_path), [Database(), Database()]
    reads = ListInput(values=[{"id": 1j}])
    run = live(start, store, [reads, Table(databases[0])], [reads, Table(databases[1])])
    assert re.sub("^table2", "table", str(run.error)) == (  # whichever comes to it first
        "table: 1j cannot be kept until several transactional outputs have committed; convert it "
        "to text or a number before that"
    )
    assert [one.rows for one in databases] == [[], []]


class Remembers(Stage):
    """Gives its live state away in a snapshot."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.seen.extend(batch.records)
        yield batch

    def snapshot(self) -> Any:
        return {"seen": self.seen}

    def restore(self, state: Any) -> None:
        self.seen = state["seen"]


def test_a_state_in_memory_is_that_of_the_checkpoint(start: EngineRun) -> None:
    store = MemoryStore()
    live(start, store, source(), Remembers(), Stop(9), ListOutput())
    remembers = Remembers()
    live(start, store, source(), remembers, ListOutput())
    assert remembers.seen == ALL


# ---- leases -------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def leases(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "state")
    yield store
    store.close()


def test_a_lease_that_ran_out_is_not_taken_from_a_process_that_lives_here(leases: Any) -> None:
    assert leases.lease("p", this_process(), 0.0, 60.0, alive) == 1
    with pytest.raises(LeaseTakenError):
        leases.lease("p", this_process(), 3600.0, 3660.0, alive)


def test_a_lease_on_another_machine_is_taken_when_it_has_run_out(leases: Any) -> None:
    assert leases.lease("p", "elsewhere, process 1, started 2", 0.0, 60.0, alive) == 1
    with pytest.raises(LeaseTakenError):
        leases.lease("p", this_process(), 59.0, 119.0, alive)
    assert leases.lease("p", this_process(), 61.0, 121.0, alive) == 2


def test_the_lease_of_a_dead_process_is_taken_at_once(leases: Any) -> None:
    dead = this_process().replace("started ", "started 0")
    assert alive(dead) is False
    assert leases.lease("p", dead, 0.0, 60.0, alive) == 1
    assert leases.lease("p", this_process(), 1.0, 61.0, alive) == 2


def test_a_generation_outranks_what_an_output_has_seen(leases: Any) -> None:
    generation = leases.lease("p", "me", 0.0, 60.0, alive)
    assert leases.outrank("p", generation, 7) == 8
    with pytest.raises(FencedError):
        leases.outrank("p", generation, 9)
    leases.renew("p", 8, 70.0)


def test_a_run_that_was_overtaken_keeps_no_letters_any_more(leases: Any) -> None:
    letter = DeadLetter("p", "s", 1, "n", "E", "m", "{}", "old")
    overtaken = leases.lease("p", "elsewhere, process 1, started 2", 0.0, 60.0, alive)
    leases.lease("p", this_process(), 61.0, 121.0, alive)
    with pytest.raises(FencedError):
        leases.keep("p", overtaken, [letter])
    assert leases.letters() == []


def test_an_attempt_that_was_survived_is_taken_back(leases: Any) -> None:
    generation = leases.lease("p", "me", 0.0, 60.0, alive)
    for place in ("a", "a", "b"):
        leases.attempt("p", generation, place)
    leases.withdraw("p", generation + 1, ["a", "b"])
    assert leases.attempts("p") == {"a": 2, "b": 1}
    leases.withdraw("p", generation, ["a", "b", "never"])
    assert leases.attempts("p") == {"a": 1}


# ---- one component, one thread ------------------------------------------------------------------


class Busy(Stage):
    """Notices when it is called while it works."""

    def __init__(self) -> None:
        self.working = threading.Lock()
        self.clashes = 0
        self.idled = False

    def process(self, batch: Batch) -> Iterable[Batch]:
        with self.working:
            time.sleep(0.1)
        yield batch

    def idle(self, now: float) -> Iterable[Batch]:
        self.idled = True
        self.clashes += self.working.locked()
        return ()


class Halting(Input):
    """Gives a batch, then nothing for a while."""

    def read(self, positions: Any) -> Iterator[Batch | None]:
        for number in range(1, 4):
            yield Batch([number], "", [number], number)
            for _ in range(10):
                time.sleep(0.02)
                yield None


def test_a_stage_is_not_called_as_idle_while_it_works(start: EngineRun) -> None:
    busy = Busy()
    start(Halting(), busy, ListOutput()).execute()
    assert busy.idled
    assert busy.clashes == 0


# ---- letters ------------------------------------------------------------------------------------


class Refuses(Transformer):
    """Fails on one record, an hour ago."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    def transform(self, record: Any) -> Any:
        if record == 3:
            self.clock.time -= 3600
            raise ValueError("no")
        return record


def test_a_clock_that_is_put_back_loses_no_letter(start: EngineRun) -> None:
    store, clock = MemoryStore(), FakeClock()
    run = start(source(), Refuses(clock), ListOutput(), store=store, clock=clock)
    assert run.execute().letters == 1
    assert [letter.ordinal for letter in store.letters()] == [3]


def test_a_letter_with_an_earlier_time_makes_no_newer_one_older(leases: Any) -> None:
    letter = DeadLetter("p", "s", 1, "n", "E", "m", "{}", "new", first=20.0, last=20.0)
    generation = leases.lease("p", "me", 0.0, 60.0, alive)
    leases.keep("p", generation, [letter])
    leases.keep("p", generation, [replace(letter, run_id="old", first=10.0, last=10.0)])
    assert leases.settle_letters("p", 15.0, ["s"]) == 0
    assert [one.last for one in leases.letters()] == [20.0]


# ---- engines that keep positions of their own ---------------------------------------------------


class Elsewhere(InlineEngine):
    """Stands for an engine whose positions say what other machines have done."""

    own_positions = True


def cut_off(store: MemoryStore, engine: InlineEngine, name: str, max_records: int | None) -> Run:
    plan = pipeline_of(
        [[ListInput(values=ALL), ListOutput()]], Plugins(discover=False), name="numbers"
    )
    plan = replace(plan, engine=engine, engine_name=name)
    run: Run = plan.start(store=store, max_records=max_records)
    run.execute()
    return run


def test_no_other_engine_goes_on_where_one_with_positions_of_its_own_was_cut_off() -> None:
    store = MemoryStore()
    cut_off(store, Elsewhere(), "elsewhere", 5)
    refused = cut_off(store, InlineEngine(), "inline", None)
    assert str(refused.error) == (
        "numbers: the run that was cut off was run by the engine 'elsewhere', and no other one "
        "knows how far; finish it with the engine that began it, or start over with --fresh"
    )
    assert cut_off(store, Elsewhere(), "elsewhere", None).error is None
    assert cut_off(store, InlineEngine(), "inline", None).read == 20, "a new run may be any's"


def test_an_engine_with_positions_of_its_own_goes_on_with_no_other_ones() -> None:
    store = MemoryStore()
    cut_off(store, InlineEngine(), "inline", 5)
    refused = cut_off(store, Elsewhere(), "elsewhere", None)
    assert str(refused.error) == (
        "numbers: the run that was cut off was not run by the engine 'elsewhere', which cannot go "
        "on with it; finish it with the engine that began it, or start over with --fresh"
    )
    assert cut_off(store, InlineEngine(), "inline", None).error is None
