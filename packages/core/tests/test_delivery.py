"""A run that dies anywhere and is started again ends as one that was never touched."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from penstock import Batch, Checkpoint, Failure, MemoryStore, Output, Stage, Transformer
from penstock.components import TransactionalOutput
from penstock.runs import Run
from penstock.store import FencedError
from penstock.testing import ListInput

EngineRun = Callable[..., Run]


class Killed(BaseException):
    """Stands for kill -9: no handler of the run may catch it."""


class Fate:
    """Kills at the n-th durable step."""

    def __init__(self, step: int | None = None) -> None:
        self.step, self.steps = step, 0

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.step:
            raise Killed


class Disk:
    """What survives: files with a durable length, and databases."""

    def __init__(self) -> None:
        self.files: dict[str, list[Any]] = {}
        self.finished: dict[str, list[Any]] = {}
        self.rows: dict[str, list[Any]] = {}
        self.checkpoints: dict[str, Checkpoint] = {}


class FileOutput(Output):
    """Rewindable: what is written is there at once, and can be cut back to a length."""

    delivery = "rewindable"

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.disk, self.name, self.fate = disk, name, fate

    def resume(self, mark: Any, epoch: int) -> None:
        if mark is None:
            self.disk.files[self.name] = []
        elif self.name not in self.disk.files:  # it was put into place before the run died
            assert len(self.disk.finished[self.name]) == mark
            self.disk.files[self.name] = list(self.disk.finished[self.name])
        del self.disk.files[self.name][mark or 0 :]

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        for record in batch.records:
            self.fate()
            self.disk.files[self.name].append(record)
        return None

    def prepare(self, epoch: int) -> Any:
        self.fate()
        return len(self.disk.files[self.name])

    def finish(self) -> None:
        self.fate()
        self.disk.finished[self.name] = self.disk.files.pop(self.name)
        self.fate()

    @staticmethod
    def content(disk: Disk, name: str) -> list[Any]:
        return disk.finished.get(name, [])


class TableOutput(TransactionalOutput):
    """Transactional: rows and checkpoint become visible together."""

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.disk, self.name, self.fate = disk, name, fate
        self.open_rows: list[Any] = []

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.disk.checkpoints.get(self.name)

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.open_rows.extend(batch.records)
        return None

    def commit(self, checkpoint: Checkpoint) -> None:
        there = self.disk.checkpoints.get(self.name)
        if there is not None and (
            there.generation > checkpoint.generation or there.epoch != checkpoint.epoch - 1
        ):
            raise FencedError(checkpoint.pipeline)
        self.fate()
        self.disk.rows.setdefault(self.name, []).extend(self.open_rows)
        self.disk.checkpoints[self.name] = checkpoint
        self.open_rows = []
        self.fate()

    @staticmethod
    def content(disk: Disk, name: str) -> list[Any]:
        return disk.rows.get(name, [])


class MortalStore(MemoryStore):
    """A store that may die before and after every durable step."""

    fate: Fate

    def save(self, checkpoint: Checkpoint, *more: Any, **named: Any) -> None:
        self.fate()
        super().save(checkpoint, *more, **named)
        self.fate()

    def keep(self, *more: Any) -> None:
        self.fate()
        super().keep(*more)
        self.fate()

    def put_intent(self, checkpoint: Checkpoint) -> None:
        self.fate()
        super().put_intent(checkpoint)
        self.fate()


class Odd(Transformer):
    def transform(self, record: int) -> int | None:
        if record % 7 == 0:
            raise ValueError("seven")
        return record if record % 3 else None


class Pairs(Stage):
    """Holds every other record: a window of two."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def process(self, batch: Batch) -> Iterable[Batch]:
        out, ordinals, answered = [], [], 0
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self.held.append(record)
            if len(self.held) == 2:
                out.append(tuple(self.held))
                ordinals.append(ordinal)
                answered += 2
                self.held.clear()
        yield Batch(out, batch.source, ordinals, consumed=answered, dropped=0)

    def finish(self) -> Iterable[Batch]:
        if self.held:
            yield Batch([tuple(self.held)], "pairs", [0], consumed=len(self.held), dropped=0)
            self.held = []

    def snapshot(self) -> Any:
        return {"held": list(self.held)}

    def restore(self, state: Any) -> None:
        self.held = list(state["held"])


RECORDS = list(range(1, 60))
WANTED = [n for n in RECORDS if n % 7 and n % 3]
DEAD = [n for n in RECORDS if n % 7 == 0]
PAIRS = [tuple(WANTED[i : i + 2]) for i in range(0, len(WANTED), 2)]

KINDS: dict[str, list[type[FileOutput] | type[TableOutput]]] = {
    "a file": [FileOutput],
    "two files": [FileOutput, FileOutput],
    "a table": [TableOutput],
    "a table and a file": [TableOutput, FileOutput],
    "two tables": [TableOutput, TableOutput],
    "two tables and a file": [TableOutput, FileOutput, TableOutput],
}


def one_life(
    start: EngineRun, disk: Disk, store: MortalStore, fate: Fate, kinds: Any, batch: int, epoch: int
) -> Run:
    """Run until the end or until fate strikes."""
    store.fate = fate
    outputs = [kind(disk, f"out{n}", fate) for n, kind in enumerate(kinds)]
    stages = [Odd(), Pairs()]
    run = start(
        [ListInput(values=RECORDS, batch_size=batch), *stages, outputs[0]],
        *[[stages[-1], output] for output in outputs[1:]],
        store=store,
        epoch={"records": epoch},
    )
    try:
        report = run.execute()
        assert run.error is None or isinstance(run.error, Killed), report.error
    except Killed:
        pass
    store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
    return run


def is_finished(store: MortalStore) -> bool:
    checkpoint = store.checkpoint("pipeline")
    return checkpoint is not None and checkpoint.finished


def check(disk: Disk, store: MortalStore, kinds: Any) -> None:
    for n, kind in enumerate(kinds):
        assert kind.content(disk, f"out{n}") == PAIRS
    assert [letter.ordinal for letter in store.letters()] == DEAD


@pytest.mark.holds("replayable", "transactional")
@pytest.mark.holds("replayable", "rewindable")
@pytest.mark.holds("replayable", "several transactional")
@pytest.mark.parametrize("kinds", KINDS.values(), ids=list(KINDS))
def test_a_run_that_dies_at_any_step_ends_as_one_that_does_not(
    start: EngineRun, kinds: Any, tmp_path: Any
) -> None:
    def world() -> tuple[Disk, MortalStore]:
        store = MortalStore()
        store.folder = tmp_path  # type: ignore[attr-defined]
        return Disk(), store

    disk, store = world()
    whole = Fate()
    one_life(start, disk, store, whole, kinds, 4, 10)
    check(disk, store, kinds)

    for step in range(1, whole.steps + 1):
        disk, store = world()
        one_life(start, disk, store, Fate(step), kinds, 4, 10)
        if not is_finished(store):
            one_life(start, disk, store, Fate(), kinds, 3, 7)
        check(disk, store, kinds)


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_dies_again_and_again_ends_the_same(
    start: EngineRun, seed: int, tmp_path: Any
) -> None:
    chance = random.Random(seed)
    kinds = list(KINDS.values())[seed % len(KINDS)]
    disk, store = Disk(), MortalStore()
    store.folder = tmp_path  # type: ignore[attr-defined]
    lives = 0
    while not is_finished(store):
        fate = Fate(chance.randrange(1, 60))
        one_life(start, disk, store, fate, kinds, chance.randrange(1, 9), chance.randrange(1, 20))
        lives += 1
        assert lives < 300
    check(disk, store, kinds)


@pytest.mark.parametrize("limit", [{"max_records": 7}, {"max_seconds": 0.0}])
def test_a_run_stops_at_its_limit_and_the_next_goes_on(
    start: EngineRun, limit: dict[str, Any]
) -> None:
    disk, store, reports = Disk(), MemoryStore(), []
    while not reports or reports[-1].status == "stopped":
        source, out = ListInput(values=RECORDS, batch_size=5), FileOutput(disk, "out", Fate())
        reports.append(start(source, out, store=store, **limit).execute())

    assert len(reports) > 5
    assert {report.exit_code for report in reports} == {0}
    assert "the next run goes on from there" in reports[0].warnings[-1]
    assert FileOutput.content(disk, "out") == RECORDS
    assert str(reports[-1].balance) == "read 59 = written 59 + filtered 0 + dead 0"


class Choosy(ListInput):
    """Cannot read every seventh record."""

    def read(self, positions: Any) -> Any:
        for batch in super().read(positions):
            pairs = list(zip(batch.records, batch.ordinals, strict=True))
            bad = [Failure(r, n, ValueError("seven")) for r, n in pairs if r % 7 == 0]
            good = [(r, n) for r, n in pairs if r % 7]
            records, ordinals = [r for r, _ in good], [n for _, n in good]
            yield Batch(records, "", ordinals, batch.resume, bad)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_when_a_run_dies_so_often_that_it_gets_careful(
    start: EngineRun, seed: int
) -> None:
    """Then it stops inside a batch, of which some records could not even be read."""
    chance = random.Random(seed)
    disk, store = Disk(), MortalStore()
    lives = 0
    while not is_finished(store):
        store.fate = fate = Fate(chance.randrange(3, 9) if lives < 40 else None)
        output = FileOutput(disk, "out", fate)
        given = Choosy(values=RECORDS, batch_size=20)
        run = start([given, output], store=store, epoch={"records": 1000})
        try:
            run.execute()
        except Killed:
            pass
        store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
        lives += 1
    letters = [letter.ordinal for letter in store.letters()]
    assert set(letters) >= set(DEAD)  # and those during which it died, which are told apart no more
    assert sorted(letters + FileOutput.content(disk, "out")) == RECORDS


@pytest.mark.parametrize("k", range(1, 30))
def test_a_run_that_stopped_after_record_k_goes_on_with_the_next_one(
    start: EngineRun, k: int
) -> None:
    """Also when the input then gives other batches, or could not read that record."""
    disk, store = Disk(), MemoryStore()
    for size, limit in ((10, k), (3, None)):
        given = Choosy(values=RECORDS[:30], batch_size=size)
        output = FileOutput(disk, "out", Fate())
        run = start([given, output], store=store, max_records=limit)
        report = run.execute()
        assert run.error is None, report.error
    assert FileOutput.content(disk, "out") == [n for n in RECORDS[:30] if n % 7]
    assert [(one.ordinal, one.attempts) for one in store.letters()] == [
        (n, 1) for n in DEAD if n <= 30
    ]
    assert report.balance.read == 30
