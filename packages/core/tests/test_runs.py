"""What a run promises, on every engine."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from penstock import (
    Batch,
    Context,
    Input,
    Inspector,
    MemoryStore,
    RecordError,
    RunError,
    Stage,
    Transformer,
    TransientError,
    component,
    option,
)
from penstock.runs import Run
from penstock.store import decode_record
from penstock.testing import FakeClock, Idle, ListInput, ListOutput, Raise

EngineRun = Callable[..., Run]


class Odd(Transformer):
    """Passes odd numbers on and fails at multiples of five."""

    def transform(self, record: int) -> int | None:
        if record % 5 == 0:
            raise RecordError(f"{record} is five-ish")
        return record if record % 2 else None


class Repeat(Transformer):
    def transform(self, record: int) -> Iterator[int]:
        for _ in range(record):
            yield record


class Total(Stage):
    """Holds everything and gives the sum at the end."""

    def __init__(self) -> None:
        self.total = self.count = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.total += sum(batch.records)
        self.count += len(batch.records)
        return ()

    def finish(self) -> Iterable[Batch]:
        yield Batch([self.total], "totals", [1], consumed=self.count, dropped=0)

    def snapshot(self) -> Any:
        return {"total": self.total, "count": self.count}


class Loses(Stage):
    """A faulty stage: it forgets the last record of every batch."""

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield Batch(batch.records[:-1], batch.source, batch.ordinals[:-1])


def test_records_arrive_in_order(start: EngineRun) -> None:
    out = ListOutput()
    report = start(ListInput(values=list(range(1000)), batch_size=7), out).execute()

    assert out.values == list(range(1000))
    assert out.finished
    assert report.status == "ok"
    assert str(report.balance) == "read 1 000 = written 1 000 + filtered 0 + dead 0"


def test_every_record_is_written_filtered_or_dead(start: EngineRun) -> None:
    out, store = ListOutput(), MemoryStore()
    report = start(
        ListInput(values=list(range(1, 101)), batch_size=9), Odd(), out, store=store
    ).execute()

    assert out.values == [n for n in range(1, 101) if n % 2 and n % 5]
    assert report.status == "letters"
    assert report.exit_code == 6
    assert str(report.balance) == "read 100 = written 40 + filtered 40 + dead 20"
    letters = store.letters()
    assert [decode_record(letter.record) for letter in letters] == list(range(5, 101, 5))
    first = letters[0]
    assert (first.source, first.ordinal, first.node) == ("list", 5, "odd")
    assert (first.error, first.message) == ("RecordError", "5 is five-ish")


def test_a_record_that_fails_never_reaches_an_output(start: EngineRun) -> None:
    out = ListOutput(refuse=[3])
    report = start(ListInput(values=[1, 2, 3, 4]), out).execute()

    assert out.values == [1, 2, 4]
    assert report.node("list2").failed == 1
    assert report.letters == 1


@pytest.mark.parametrize(
    ("policy", "status", "letters"), [("collect", "letters", 20), ("skip", "ok", 0)]
)
def test_on_error_decides(start: EngineRun, policy: str, status: str, letters: int) -> None:
    store = MemoryStore()
    run = start(
        ListInput(values=list(range(1, 101))),
        Odd(),
        ListOutput(),
        store=store,
        settings={"odd": {"on_error": policy}},
    )
    report = run.execute()

    assert (report.status, len(store.letters())) == (status, letters)
    assert report.balance.holds
    assert report.balance.skipped == 20 - letters


def test_on_error_stop_ends_the_run_at_the_record(start: EngineRun) -> None:
    out = ListOutput()
    run = start(ListInput(values=[1, 3, 5, 7]), Odd(), out, settings={"odd": {"on_error": "stop"}})
    report = run.execute()

    assert report.status == "failed"
    assert report.error == "odd at list:3: 5 is five-ish; on_error is 'stop'"
    assert not out.finished


def test_a_generator_may_add_records(start: EngineRun) -> None:
    out = ListOutput()
    report = start(ListInput(values=[2, 0, 1]), Repeat(), out).execute()

    assert out.values == [2, 2, 1]
    assert [list(b.ordinals) for b in out.batches] == [[1, 1, 3]]
    assert report.balance.holds
    assert report.balance.added == 1


def test_a_stage_may_hold_records_until_the_end(start: EngineRun) -> None:
    out = ListOutput()
    report = start(ListInput(values=[1, 2, 3, 4], batch_size=1), Total(), out).execute()

    assert out.values == [10]
    assert str(report.balance) == "read 4 = written 1 + filtered 0 + merged 3 + dead 0"


def test_a_stage_that_loses_records_is_found_out(start: EngineRun) -> None:
    out = ListOutput()
    report = start(ListInput(values=[1, 2, 3]), Loses(), out).execute()

    assert report.status == "failed"
    assert report.error is not None
    assert report.error.startswith(
        "records were lost or made up: loses received 3 and answered for 2"
    )
    assert not out.finished


def test_branches_do_not_see_each_others_changes(start: EngineRun) -> None:
    class Mark(Transformer):
        def transform(self, record: dict[str, Any]) -> dict[str, Any]:
            record["seen"].append(type(self).__name__)
            record["by"] = type(self).__name__
            return record

    class Other(Mark):
        pass

    source = ListInput(values=[{"seen": []} for _ in range(10)], batch_size=3)
    one, two, plain = ListOutput(), ListOutput(), ListOutput()
    report = start([source, Mark(), one], [source, Other(), two], [source, plain]).execute()

    assert one.values == [{"seen": ["Mark"], "by": "Mark"}] * 10
    assert two.values == [{"seen": ["Other"], "by": "Other"}] * 10
    assert plain.values == [{"seen": []}] * 10
    assert str(report.balance) == "read 10 + copied 20 = written 30 + filtered 0 + dead 0"


def test_two_pipes_that_end_in_one_output_merge(start: EngineRun) -> None:
    out = ListOutput()
    one, two = ListInput(values=[1, 2]), ListInput(values=[3, 4])
    report = start([one, out], [two, out]).execute()

    assert sorted(out.values) == [1, 2, 3, 4]
    assert report.balance.holds


def test_the_breaker_stops_a_run_in_which_most_records_fail(start: EngineRun) -> None:
    out, store = ListOutput(), MemoryStore()
    values: list[Any] = ["not a number"] * 100_000
    report = start(ListInput(values=values, batch_size=64), Odd(), out, store=store).execute()

    assert report.status == "failed"
    assert report.error is not None
    assert "records failed, most as at list:1: TypeError" in report.error
    assert not out.finished
    assert report.balance.read < 100_000
    assert report.failures[0].count >= 100


def test_the_breaker_leaves_a_tenth_alone(start: EngineRun) -> None:
    values = [5 if n % 11 == 0 else 1 for n in range(5500)]
    report = start(ListInput(values=values), Odd(), ListOutput()).execute()

    assert report.status == "letters"
    assert report.letters == 500


class Flaky(Transformer):
    """Fails `times` times at every record before it works."""

    def __init__(self, times: int, error: type[Exception]) -> None:
        self.times, self.error, self.tries = times, error, 0

    def transform(self, record: int) -> int:
        self.tries += 1
        if self.tries <= self.times:
            raise self.error("busy")
        self.tries = 0
        return record


@pytest.mark.parametrize(
    ("error", "retry", "times", "arrives"),
    [
        (TransientError, 0, 4, True),
        (TransientError, 0, 5, False),
        (ValueError, 2, 2, True),
        (ValueError, 2, 3, False),
        (ValueError, 0, 1, False),
    ],
)
def test_retry(
    start: EngineRun, error: type[Exception], retry: int, times: int, arrives: bool
) -> None:
    out, clock, store = ListOutput(), FakeClock(), MemoryStore()
    run = start(
        ListInput(values=[7]),
        Flaky(times, error),
        out,
        clock=clock,
        store=store,
        settings={"flaky": {"retry": retry}},
    )
    run.execute()

    assert out.values == ([7] if arrives else [])
    if not arrives:
        assert [letter.attempts for letter in store.letters()] == [len(clock.slept) + 1]
    assert clock.slept == sorted(clock.slept) or len(clock.slept) > 1


def test_an_output_is_tried_again_when_it_says_so(start: EngineRun) -> None:
    out = ListOutput(fail=[TransientError("busy"), TransientError("busy")])
    report = start(ListInput(values=[1, 2]), out, clock=FakeClock()).execute()

    assert out.values == [1, 2]
    assert report.status == "ok"


def test_a_failing_output_ends_the_run_and_is_named(start: EngineRun) -> None:
    out = ListOutput(fail=OSError("disk on fire"))
    run = start(ListInput(values=[1, 2]), out)
    report = run.execute()

    assert report.status == "failed"
    assert report.error == "list2 at list:1: OSError: disk on fire"
    assert isinstance(run.error, RunError)
    assert out.closed == 1


def test_what_was_read_before_an_input_failed_is_written(start: EngineRun) -> None:
    out = ListOutput()
    report = start(ListInput(values=[1, 2, Raise(OSError("gone"))]), out).execute()

    assert report.error == "list: OSError: gone"
    assert set(out.values) <= {1, 2}
    assert not out.finished


def test_everything_is_closed_once_whatever_happens(start: EngineRun) -> None:
    source, out = ListInput(values=[1, Raise(OSError("gone"))]), ListOutput()
    start(source, out).execute()

    assert (source.closed, out.closed) == (1, 1)


def test_optional_components_are_left_out_when_they_fail(start: EngineRun) -> None:
    source, good, bad = (
        ListInput(values=[1, 2, 3], batch_size=1),
        ListOutput(),
        ListOutput(fail=OSError("x")),
    )
    other = ListInput(values=[Raise(OSError("unplugged"))])
    run = start(
        [source, good],
        [source, bad],
        [other, good],
        settings={"list3": {"optional": True}, "list4": {"optional": True}},
    )
    report = run.execute()

    assert good.values == [1, 2, 3]
    assert report.status == "ok"
    assert report.balance.holds
    assert report.balance.skipped == 3
    assert sorted(report.warnings) == [
        "list3 is optional and was left out: OSError: x",
        "list4 is optional and was left out: OSError: unplugged",
    ]


def test_an_epoch_flushes_saves_and_tells_the_input_in_that_order(start: EngineRun) -> None:
    order: list[str] = []

    @component
    class Source(ListInput):
        def commit(self, positions: Any) -> None:
            order.append(f"commit {positions['source']}")

    class Recorder(MemoryStore):
        def save(self, checkpoint: Any, *more: Any) -> None:
            order.append(f"save {checkpoint.positions['source']}" + " all" * checkpoint.finished)
            super().save(checkpoint, *more)

    @component
    class Out(ListOutput):
        def flush(self) -> None:
            order.append(f"flush {len(self.values)}")

    report = start(
        Source(values=[1, 2, 3, 4, 5], batch_size=2), Out(), store=Recorder(), epoch={"records": 2}
    ).execute()

    assert order[:3] == ["flush 2", "save 2", "commit 2"]
    assert order[-4:] == ["flush 5", "save 5", "save 5 all", "commit 5"]
    assert report.epochs == sum(entry.startswith("flush") for entry in order)
    assert report.positions == {"source": 5}


def test_states_of_stages_are_in_the_checkpoint(start: EngineRun) -> None:
    store = MemoryStore()
    start(ListInput(values=[1, 2, 3]), Total(), ListOutput(), store=store).execute()

    checkpoint = store.checkpoint("pipeline")
    assert checkpoint is not None
    assert checkpoint.states == {"total": {"total": 6, "count": 3}}


def test_idle_lets_stages_give_what_time_has_closed(start: EngineRun) -> None:
    class Ticks(Stage):
        def process(self, batch: Batch) -> Iterable[Batch]:
            yield batch

        def idle(self, now: float) -> Iterable[Batch]:
            yield Batch(["tick"], "clock", [1], consumed=0)

    out = ListOutput()
    report = start(ListInput(values=[1, Idle(), 2]), Ticks(), out, clock=FakeClock()).execute()

    assert [v for v in out.values if v != "tick"] == [1, 2]
    if run_is_inline(report):
        assert out.values == [1, "tick", 2]
    assert report.balance.holds


def run_is_inline(report: Any) -> bool:
    return bool(report.engine == "inline")


def test_a_satisfied_stage_stops_the_reading(start: EngineRun) -> None:
    class First(Stage):
        seen = 0

        def process(self, batch: Batch) -> Iterable[Batch]:
            room = max(0, 3 - self.seen)
            self.seen += len(batch.records)
            self.satisfied = self.seen >= 3
            yield Batch(
                batch.records[:room], batch.source, batch.ordinals[:room], consumed=len(batch)
            )

    out = ListOutput()
    report = start(ListInput(values=list(range(100_000)), batch_size=2), First(), out).execute()

    assert out.values == [0, 1, 2]
    assert report.balance.holds
    assert report.balance.read < 100_000


def test_stop_finishes_the_epoch_and_nothing_else(start: EngineRun) -> None:
    out = ListOutput()

    class StopAt(Transformer):
        def transform(self, record: int) -> int:
            if record == 50:
                run.stopping = "enough"
            return record

    run = start(ListInput(values=list(range(100_000)), batch_size=10), StopAt(), out)
    report = run.execute()

    assert report.status == "interrupted"
    assert out.values == list(range(len(out.values)))
    assert 50 < len(out.values) < 100_000
    assert out.flushed == len(out.values)
    assert not out.finished
    assert report.positions == {"list": len(out.values)}


def test_keys_are_indexed_when_an_input_asks_for_it(start: EngineRun) -> None:
    store = MemoryStore()
    run = start(
        ListInput(values=[{"id": "a"}, {"id": "b"}]),
        ListOutput(),
        store=store,
        settings={"list": {"key": "id"}},
    )
    run.execute()

    found = store.find_key("b")
    assert [(one.run_id, one.source, one.ordinal) for one in found] == [(run.run_id, "list", 2)]


def test_a_record_without_the_key_is_not_indexed(start: EngineRun) -> None:
    store = MemoryStore()
    values = [{"id": "a"}, {"id": None}, {}]
    settings = {"list": {"key": "id"}}
    run = start(ListInput(values=values), ListOutput(), store=store, settings=settings)
    report = run.execute()

    assert len(store.find_key("a")) == 1
    assert store.find_key("None") == []
    assert report.warnings == []


def test_a_key_that_no_record_has_is_warned_of_once(start: EngineRun) -> None:
    values = [{"id": "a"}, {"id": "b"}]
    run = start(
        ListInput(values=values, batch_size=1), ListOutput(), settings={"list": {"key": "idd"}}
    )
    assert run.execute().warnings == ["list: key is 'idd', which no record has"]


def test_letters_of_an_earlier_run_go_when_the_record_is_right_again(start: EngineRun) -> None:
    store = MemoryStore()
    start(ListInput(values=[1, 5, 10]), Odd(), ListOutput(), store=store).execute()
    assert [letter.ordinal for letter in store.letters()] == [2, 3]

    start(ListInput(values=[1, 3, 10]), Odd(), ListOutput(), store=store).execute()
    assert [(one.ordinal, one.attempts) for one in store.letters()] == [(3, 2)]


def test_inspectors_cannot_change_data(start: EngineRun) -> None:
    class Meddler(Inspector):
        def inspect(self, record: dict[str, Any]) -> None:
            record["a"] = "changed"
            record["new"] = True

    out = ListOutput()
    report = start(ListInput(values=[{"a": 1}, {"a": 2}]), Meddler(), out).execute()

    assert out.values == [{"a": 1}, {"a": 2}]
    assert report.status == "ok"


def test_an_inspector_that_changes_nested_data_is_found_out(start: EngineRun) -> None:
    class Deep(Inspector):
        def inspect(self, record: dict[str, Any]) -> None:
            record["a"]["b"] = 2

    report = start(ListInput(values=[{"a": {"b": 1}}]), Deep(), ListOutput()).execute()

    assert report.status == "failed"
    assert report.error == (
        "deep: Deep changed a record: an inspector may only look; make it a transformer"
    )


def test_an_inspector_that_works_on_batches_is_watched(start: EngineRun) -> None:
    class Batchwise(Inspector):
        def process(self, batch: Batch) -> Iterable[Batch]:
            batch.records[0]["a"] = 2
            yield batch

    report = start(ListInput(values=[{"a": 1}]), Batchwise(), ListOutput()).execute()

    assert report.error is not None
    assert "Batchwise changed a record" in report.error


def test_an_inspector_that_adds_records_is_found_out(start: EngineRun) -> None:
    class Adds(Inspector):
        def process(self, batch: Batch) -> Iterable[Batch]:
            yield Batch([*batch.records, *batch.records], batch.source)

    report = start(ListInput(values=[1]), Adds(), ListOutput()).execute()

    assert report.status == "failed"
    assert report.error is not None
    assert "an inspector cannot add records; make it a transformer" in report.error


def test_observations_of_inspectors_are_in_the_report(start: EngineRun) -> None:
    class Sees(Inspector):
        def inspect(self, record: Any) -> None:
            self.context.observe("largest", record)

    report = start(ListInput(values=[1, 2]), Sees(), ListOutput()).execute()

    assert report.node("sees").observations == {"largest": 2}


@pytest.mark.parametrize(
    ("stages", "shared", "expected"),
    [
        ([Odd], True, True),
        ([Odd], False, False),
        ([Odd, Total], True, False),  # another process has not got what it holds
    ],
)
def test_who_writes_knows_whether_another_may_be_given_the_same_records(
    start: EngineRun, stages: list[type[Stage]], shared: bool, expected: bool
) -> None:
    known: list[bool] = []

    class Looks(ListOutput):
        def open(self, context: Context) -> None:
            super().open(context)
            known.append(context.shared)

    source = ListInput(values=[1, 3])
    source.shared = shared
    start(source, *(stage() for stage in stages), Looks()).execute()
    assert known == [expected]


def test_a_log_whose_partition_had_a_position_and_no_record_goes_on(start: EngineRun) -> None:
    class Log(Input):
        finite = False

        def read(self, positions: Any) -> Iterator[Batch]:
            read.append(dict(positions))
            yield Batch([], "log/0", [], 1)  # an end-of-stream mark alone

    read: list[dict[str, Any]] = []
    store = MemoryStore()
    for _ in range(2):
        report = start(Log(), ListOutput(), store=store).execute()
        assert report.status == "ok"
    assert read == [{}, {"log/0": 1}]


@pytest.mark.parametrize(
    ("epoch", "expected"), [({}, 10.0), ({"seconds": 3.0}, 3.0), ({"seconds": None}, float("inf"))]
)
def test_how_long_an_epoch_may_last_is_told(
    start: EngineRun, epoch: dict[str, Any], expected: float
) -> None:
    known: list[float | None] = []

    class Looks(ListOutput):
        def open(self, context: Context) -> None:
            super().open(context)
            known.append(context.epoch_seconds)

    start(ListInput(values=[1]), Looks(), epoch=epoch).execute()
    assert known == [expected]


def test_secrets_are_masked_in_messages_and_letters(start: EngineRun) -> None:
    @component
    class Leaky(Transformer):
        token: str = option(help="Secret.", secret=True)
        url: str = option(help="With a password.", default="")

        def transform(self, record: Any) -> Any:
            raise ValueError(f"{self.token} refused by {self.url} for {record}")

    store = MemoryStore()
    leaky = Leaky(token="hunter2", url="db://me:pa55@host/x")
    report = start(ListInput(values=["hunter2"]), leaky, ListOutput(), store=store).execute()

    shown = repr(leaky) + report.table() + str(report.to_dict()) + str(store.letters())
    assert "hunter2" not in shown
    assert "pa55" not in repr(report) + str(report.to_dict()) + str(store.letters())
    assert "*** refused by db://me:***@host/x for ***" in store.letters()[0].message


def test_failures_are_grouped_by_what_they_say(start: EngineRun) -> None:
    class Says(Transformer):
        def transform(self, record: int) -> int:
            if record % 20 == 1:
                raise RecordError(f"cannot read 'value {record}' in line {record}")
            if record % 100 == 2:
                raise RecordError("is empty")
            return record

    report = start(ListInput(values=list(range(2000))), Says(), ListOutput()).execute()

    assert [(group.count, group.message) for group in report.failures] == [
        (100, "cannot read 'value 1' in line 1"),
        (20, "is empty"),
    ]


def test_messages_that_never_repeat_do_not_fill_the_report(start: EngineRun) -> None:
    class Says(Transformer):
        def transform(self, record: int) -> int:
            if record % 20 == 1:
                raise RecordError("x" * record)
            return record

    report = start(ListInput(values=list(range(2000))), Says(), ListOutput()).execute()

    assert sum(group.count for group in report.failures) == 100
    assert len(report.failures) <= 51


def test_an_epoch_ends_after_so_many_bytes(start: EngineRun) -> None:
    values = [{"a": "x" * 1000} for _ in range(100)]
    report = start(
        ListInput(values=values, batch_size=10), ListOutput(), epoch={"bytes": 30_000}
    ).execute()

    assert report.epochs == 4
    assert report.balance.written == 100


def test_every_failing_result_of_one_record_is_a_letter(start: EngineRun) -> None:
    class Refuse(Transformer):
        def transform(self, record: int) -> int:
            raise ValueError("no")

    store = MemoryStore()
    source = ListInput(values=[3] * 2 + [0] * 98)
    report = start(source, Repeat(), Refuse(), ListOutput(), store=store).execute()

    assert report.balance.dead == 6
    assert [(one.ordinal, one.part) for one in store.letters()] == [
        (ordinal, part) for ordinal in (1, 2) for part in (0, 1, 2)
    ]


class Leaves(Transformer):
    """Leaves, in one way or another, with the second record."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def transform(self, record: int) -> int:
        if record == 2:
            raise self.error
        return record


class LeavesWithBatch(Leaves):
    def process(self, batch: Batch) -> Iterable[Batch]:
        yield batch
        raise self.error


class LeavesAtEnd(Stage):
    def process(self, batch: Batch) -> Iterable[Batch]:
        yield batch

    def finish(self) -> Iterable[Batch]:
        raise SystemExit(0)


class LeavesWhenOpened(Inspector):
    def open(self, context: Any) -> None:
        raise SystemExit(0)


class LeavesWhenCompleted(ListOutput):
    def finish(self) -> None:
        raise SystemExit(0)


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit("0"), CancelledError("0")])
@pytest.mark.parametrize("kind", [Leaves, LeavesWithBatch])
def test_a_stage_that_leaves_ends_the_run_with_an_error(
    start: EngineRun, kind: type[Leaves], error: BaseException
) -> None:
    run = start(ListInput(values=[1, 2, 3]), kind(error), ListOutput())
    report = run.execute()
    assert report.status == "failed"
    assert report.error is not None
    assert report.error.endswith(
        f"left with {type(error).__name__}: 0; raise RecordError to set a record aside"
    )
    assert " at list:1: " in report.error
    assert isinstance(run.error, RunError)
    assert run.error.node == run.stages[0].name


@pytest.mark.parametrize(
    ("components", "node"),
    [
        ([ListInput(values=[1, Raise(SystemExit(0))]), ListOutput()], "list"),
        ([ListInput(values=[1]), ListOutput(fail=SystemExit(0))], "list2 at list:1"),
        ([ListInput(values=[1]), LeavesAtEnd(), ListOutput()], "leaves_at_end"),
        ([ListInput(values=[1]), LeavesWhenOpened(), ListOutput()], "leaves_when_opened"),
        ([ListInput(values=[1]), LeavesWhenCompleted()], "leaves_when_completed"),
    ],
)
def test_wherever_a_component_leaves_it_is_named(
    start: EngineRun, components: list[Any], node: str
) -> None:
    report = start(*components).execute()
    assert report.status == "failed"
    assert (
        report.error == f"{node}: left with SystemExit: 0; raise RecordError to set a record aside"
    )


def test_when_the_reader_of_the_output_has_left_nothing_is_wrong(start: EngineRun) -> None:
    run = start(ListInput(values=[1, 2, 3]), ListOutput(fail=BrokenPipeError(32, "Broken pipe")))
    report = run.execute()
    assert report.status == "interrupted"
    assert report.error is None
    assert "BrokenPipe" not in report.table()
    assert (report.balance.holds, report.balance.held) == (True, 3)
    assert "≠" not in report.table()


def test_records_under_way_when_a_run_fails_are_held(start: EngineRun) -> None:
    inputs = ListInput(values=[1, 2, 3, 4], batch_size=2)
    report = start(inputs, ListOutput(fail=RuntimeError("torn"))).execute()
    assert report.status == "failed"
    assert report.balance.holds
    assert report.balance.held == report.balance.read >= 2
    assert "≠" not in report.table()


def test_the_rate_of_a_resumed_run_is_that_of_its_own_records(start: EngineRun) -> None:
    store = MemoryStore()
    values = list(range(1, 101))
    start(
        ListInput(values=values, batch_size=10), ListOutput(), store=store, max_records=90
    ).execute()
    report = start(ListInput(values=values, batch_size=10), ListOutput(), store=store).execute()
    for node in report.nodes:
        assert (node.handled, node.earlier) == (100, 90)
        assert node.rate == pytest.approx(10 / node.seconds)
