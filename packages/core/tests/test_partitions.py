"""What belongs to a partition goes where the partition goes: its position, its ordinals and what
stages have of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import pytest

from penstock import (
    Batch,
    Checkpoint,
    Input,
    MemoryStore,
    Moves,
    Noted,
    RecordError,
    RunError,
    Stage,
    TransactionalOutput,
    Transformer,
)
from penstock.build import pipeline_of
from penstock.journal import Report
from penstock.plugins import Plugins
from penstock.retries import retry

Pipe = Callable[..., Report]


class Sums(Stage):
    """Holds three records of a source, then gives their sum. Notes what was closed."""

    partitioned = True
    closed = 0

    def open(self, context: Any) -> None:
        super().open(context)
        self.held: list[Any] = []

    def close(self) -> None:
        type(self).closed += 1

    def process(self, batch: Batch) -> Iterable[Batch]:
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self.held.append(record)
            if len(self.held) == 3:
                yield self._sum(batch.source, ordinal)

    def finish(self) -> Iterable[Batch]:
        if self.held:
            yield self._sum("", 1)

    def idle(self, now: float) -> Iterable[Batch]:
        return self.finish() if self.held[:1] == ["now"] else ()

    def _sum(self, source: str, ordinal: int) -> Batch:
        held, self.held = self.held, []
        return Batch([held], source, [ordinal], None, (), len(held), 0)

    def snapshot(self) -> Any:
        return self.held or None

    def restore(self, state: Any) -> None:
        self.held = list(state)


@dataclass
class Table:
    """Where several runs write, and keep their checkpoints."""

    rows: list[Any] = field(default_factory=list)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)


class Rows(TransactionalOutput):
    def __init__(self, table: Table) -> None:
        self.table = table
        self.new: list[Any] = []

    def settles(self, source: Input) -> bool:
        return isinstance(source, Parts)

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.table.checkpoints.get(pipeline)

    def write(self, batch: Batch) -> None:
        self.new += batch.records

    def commit(self, checkpoint: Checkpoint) -> None:
        self.table.rows += self.new
        self.new = []
        self.table.checkpoints[checkpoint.pipeline] = Checkpoint.from_json(checkpoint.to_json())


class Parts(Input):
    """Gives what it was made with: `Moves`, and batches as (partition, records), which are skipped
    up to where somebody was."""

    shared = True
    hands_over = True
    finite = False

    def __init__(self, *steps: Any, over: bool = False) -> None:
        self.steps, self.over = steps, over
        self.answers: list[Mapping[str, Any]] = []
        self.answered = Event()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        at: dict[str, int] = {}
        for step in self.steps:
            if not isinstance(step, tuple):
                self.answered.clear()
                yield step
                assert step is None or self.answered.wait(10)
                continue
            source, records = step
            first = at.get(source, 0)
            at[source] = first + len(records)
            ordinals = range(first + 1, at[source] + 1)
            yield Batch(records, source, ordinals, at[source])
        if not self.over:
            raise RunError("dies")

    def moved(self, positions: Mapping[str, Any]) -> Mapping[str, Any]:
        self.answers.append(positions)
        self.answered.set()
        return {}


class Alone(Parts):
    shared = hands_over = False


@pytest.fixture(params=["inline", "threads"])
def pipe(request: pytest.FixtureRequest) -> Pipe:
    """`pipe(table, input, stage, name="p@1")`: the report of a run of these."""
    store = MemoryStore()

    def run(table: Table, *parts: Any, name: str = "p@1", wrong: str = "dies") -> Report:
        pipeline = pipeline_of(
            [[*parts, Rows(table)]], Plugins(discover=False), name=name, engine=request.param
        )
        made = pipeline.start(store=store)
        report = made.execute()
        assert report.error is None or wrong in report.error
        assert report.balance.errors == []
        return report

    return run


def coming(*numbers: int, **noted: Any) -> Moves:
    return Moves(coming={f"parts/{number}": Noted(**noted) for number in numbers})


def test_every_source_has_a_state_of_its_own(pipe: Pipe) -> None:
    table = Table()
    read = Alone(("parts/0", [1, 2]), ("parts/1", [3, 4]), ("parts/0", [5]), over=True)
    report = pipe(table, read, Sums())
    assert (table.rows, report.status) == ([[1, 2, 5], [3, 4]], "ok")


def test_a_state_is_there_again_after_a_cut(pipe: Pipe) -> None:
    """Without anything that moves: the sums of the run that is resumed meet, too."""
    table = Table()
    one, end = [("parts/0", [1, 2]), ("parts/1", [3])], Moves()
    pipe(table, Alone(*one, end), Sums())
    report = pipe(table, Alone(*one, ("parts/0", [5]), over=True), Sums())
    assert table.rows == [[1, 2, 5], [3]]
    assert str(report.balance) == "read 4 = written 2 + filtered 0 + merged 2 + dead 0"


def test_a_partition_that_nobody_has_read_begins_at_its_start(pipe: Pipe) -> None:
    table = Table()
    read = Parts(coming(0), ("parts/0", [1, 2, 3]), over=True)
    pipe(table, read, Sums())
    assert (read.answers, table.rows) == ([{}], [[1, 2, 3]])
    assert table.checkpoints["p@1"].tenures == {"parts/0": 1}


@pytest.mark.parametrize("gives", [True, False])
def test_another_process_goes_on_with_what_one_has_given_away_or_left_behind(
    pipe: Pipe, gives: bool
) -> None:
    table = Table()
    leaves = Moves(leaving=["parts/0"] if gives else [])
    first = Parts(coming(0, 1), ("parts/0", [1, 2]), ("parts/1", [7]), leaves)
    given = pipe(table, first, Sums())
    assert f"handed {2 if gives else 0}" in f"{given.balance} + handed 0"
    takes = coming(0, holders=["p@1"], position=1, by="p@1")
    second = Parts(takes, ("parts/0", [1, 2]), ("parts/0", [5]), over=True)
    taken = pipe(table, second, Sums(), name="p@2")
    assert second.answers == [{"parts/0": 2}]
    assert table.rows == [[1, 2, 5]]
    assert str(taken.balance) == "read 1 + taken 2 = written 1 + filtered 0 + merged 2 + dead 0"
    assert table.checkpoints["p@2"].tenures == {"parts/0": 2}


def test_it_comes_back_as_the_others_have_left_it(pipe: Pipe) -> None:
    table = Table()
    away = Moves(leaving=["parts/0"])
    pipe(table, Parts(coming(0), ("parts/0", [1]), away), Sums())
    taken = [coming(0, holders=["p@1"]), ("parts/0", [1]), ("parts/0", [2]), away]
    pipe(table, Parts(*taken), Sums(), name="p@2")
    both = coming(0, holders=["p@2", "p@1"])
    again = Parts(both, ("parts/0", [1, 2]), ("parts/0", [3]), over=True)
    report = pipe(table, again, Sums())
    assert (again.answers, table.rows) == ([{"parts/0": 2}], [[1, 2, 3]])
    assert report.balance.holds


def test_who_took_it_and_never_committed_is_no_obstacle(pipe: Pipe) -> None:
    table = Table()
    pipe(table, Parts(coming(0), ("parts/0", [1]), Moves()), Sums())
    third = Parts(coming(0, holders=["p@2", "p@1"], position=1, by="p@1"), over=True)
    report = pipe(table, third, Sums(), name="p@3")
    assert (third.answers, table.rows) == ([{"parts/0": 1}], [[1]])
    assert str(report.balance) == "read 0 + taken 1 = written 1 + filtered 0 + dead 0"


def test_one_that_is_started_again_takes_it_from_itself(pipe: Pipe) -> None:
    table = Table()
    steps = [coming(0), ("parts/0", [1, 2]), Moves()]
    pipe(table, Parts(*steps), Sums())
    again = Parts(coming(0, holders=["p@1"]), ("parts/0", [1, 2]), ("parts/0", [3]), over=True)
    report = pipe(table, again, Sums())
    assert table.rows == [[1, 2, 3]]
    assert str(report.balance) == "read 3 = written 1 + filtered 0 + merged 2 + dead 0"


def test_what_one_kept_long_ago_is_nothing_once_another_is_known_to_have_come_further(
    pipe: Pipe,
) -> None:
    """Even if that one had to begin anew meanwhile."""
    table = Table()
    steps = [coming(0), ("parts/0", [1, 2]), Moves(leaving=["parts/0"])]
    pipe(table, Parts(*steps), Sums())
    pipe(table, Parts(coming(0), ("parts/0", [1]), Moves()), Sums(), name="p@2")
    again = Parts(coming(0, holders=["p@2"], position=1, by="p@2"), over=True)
    pipe(table, again, Sums())
    assert (again.answers, table.rows) == ([{"parts/0": 1}], [[1]])


def test_what_is_put_aside_is_kept_by_a_run_that_has_ended_and_by_the_next_one(
    pipe: Pipe,
) -> None:
    """Until somebody else has gone on with it; they may not have come that far."""
    table = Table()
    steps = [coming(0, 1), ("parts/0", [1]), ("parts/1", [7]), Moves(leaving=["parts/0"])]
    pipe(table, Parts(*steps, over=True), Sums())
    assert table.rows == [[7]]
    pipe(table, Parts(over=True), Sums())
    other = Parts(coming(0, holders=["p@1"]), over=True)
    pipe(table, other, Sums(), name="p@2")
    assert table.rows == [[7], [1]]
    pipe(table, Parts(Moves(settled=["parts/0"]), Moves(), over=True), Sums())
    kept = table.checkpoints["p@1"]
    assert (kept.states, set(kept.positions), set(kept.tenures)) == ({}, {"parts/1"}, {"parts/1"})


def test_nothing_happens_to_a_state_once_it_is_given_away(pipe: Pipe) -> None:
    """Not even what happens by itself, as a window closes when time goes by."""
    table = Table()
    steps = [coming(0), ("parts/0", ["now"]), Moves(leaving=["parts/0"]), None, None]
    pipe(table, Parts(*steps, over=True), Sums())
    assert table.rows == []
    pipe(table, Parts(coming(0, holders=["p@1"]), over=True), Sums(), name="p@2")
    assert table.rows == [["now"]]


def test_copies_are_closed_when_their_partitions_leave_and_at_the_end(pipe: Pipe) -> None:
    Sums.closed = 0
    leaves = Moves(leaving=["parts/0"])
    pipe(Table(), Parts(coming(0, 1), ("parts/0", [1]), ("parts/1", [1]), leaves), Sums())
    assert Sums.closed == 3  # and the one that is there to see whether it opens


def test_positions_are_kept_as_the_input_wants_them(pipe: Pipe) -> None:
    class Renames(Parts):
        def moved(self, positions: Mapping[str, Any]) -> Mapping[str, Any]:
            super().moved(positions)
            return {source: [position] for source, position in positions.items()}

    table = Table()
    pipe(table, Renames(coming(0), ("parts/0", [1]), Moves()), Sums())
    again = Renames(coming(0, holders=["p@1"]), Moves(), over=True)
    pipe(table, again, Sums(), name="p@2")
    assert table.checkpoints["p@2"].positions == {"parts/0": [1]}


# ---- what cannot be taken over ----------------------------------------------------------------------

ELSEWHERE: Mapping[str, Any] = {"holders": ["other"], "position": 2, "by": "other"}


def test_a_state_that_is_elsewhere_is_missed(pipe: Pipe) -> None:
    report = pipe(Table(), Parts(coming(0, **ELSEWHERE)), Sums(), wrong="was read by")
    assert report.error == (
        "parts/0: was read by 'other', and what that one kept of it is not here; let all write to "
        "the same output, or give the input another group"
    )


def test_without_a_state_the_position_of_the_group_is_enough(pipe: Pipe) -> None:
    table = Table()
    read = Parts(coming(0, **ELSEWHERE), ("parts/0", [1, 2]), ("parts/0", [3]), over=True)
    pipe(table, read)
    assert read.answers == [{"parts/0": 2}]


def test_a_state_that_was_not_kept_by_partition_is_refused(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table()
    with monkeypatch.context() as before:
        before.setattr(Sums, "partitioned", False)
        pipe(table, Alone(("parts/0", [1]), Moves()), Sums())
    report = pipe(table, Alone(over=True), Sums(), wrong="was not partitioned")
    assert report.error == (
        "sums: was not partitioned when its state was kept; start over with --fresh"
    )


class Picky(Transformer):
    def transform(self, record: int) -> int:
        if record == 13:
            raise RecordError("brings bad luck")
        return record


def test_a_letter_is_not_tried_again_in_a_state_that_may_be_elsewhere_by_now() -> None:
    table, store = Table(), MemoryStore()
    steps = [coming(0), ("parts/0", [13, 1]), Moves(leaving=["parts/0"])]
    pipeline = pipeline_of([[Parts(*steps, over=True), Picky(), Sums(), Rows(table)]])
    pipeline.start(store=store).execute()
    tried = retry(pipeline, store.letters(), store)
    tried.execute()
    assert str(tried.error) == (
        "sums: has a state that moves with its partition, and nobody knows who has it now; export "
        "the letters, and write them to the stream again"
    )
    assert (len(store.letters()), table.rows) == (1, [])


def moving(*outputs: Any, stages: Sequence[Any] = ()) -> bool:
    """Whether an input of such a pipeline is to tell of its partitions."""
    read = Parts(over=True)
    pipeline_of([[read, *stages, *outputs]], Plugins(discover=False)).start().execute()
    return read.context.moves


class Tells(Rows):
    tells_group = True


class Elsewhere(Rows):
    def settles(self, source: Input) -> bool:
        return False


def test_partitions_are_handed_over_only_where_the_last_commit_is_known() -> None:
    assert moving(Rows(Table()))
    assert not moving(Elsewhere(Table()), stages=[Sums()])
    assert not moving(Tells(Table()))
    assert moving(Tells(Table()), stages=[Sums()])
