"""What a run does and in which order, on the calling thread: leases and reports, opening and
closing, where an epoch ends, and what stopping and aborting leave behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from penstock import Batch, Context, Input, MemoryStore, RecordError, Stage, Transformer
from penstock.batch import EPOCH_END
from penstock.build import pipeline_of
from penstock.combine import ENDED
from penstock.engines.inline import InlineEngine
from penstock.errors import PenstockError, RunError
from penstock.hookspecs import hookimpl
from penstock.plugins import Plugins
from penstock.runs import Display, EpochLimits, Run
from penstock.testing import FakeClock, Idle, ListInput, ListOutput, Raise


class Told:
    """What happened, in order."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)


class Store(MemoryStore):
    """Says what a run asks of it, and can be told to fail."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self.told, self.failing = told, ""

    def _tell(self, step: str) -> None:
        self.told(step)
        if self.failing and step.startswith(self.failing):
            raise OSError("disk full")

    def lease(self, *given: Any) -> int:
        self._tell("lease")
        return super().lease(*given)

    def renew(self, *given: Any) -> None:
        self._tell("renew")
        super().renew(*given)

    def release(self, *given: Any) -> None:
        self._tell("release")
        super().release(*given)

    def checkpoint(self, pipeline: str) -> Any:
        self._tell("recover")
        return super().checkpoint(pipeline)

    def save(self, checkpoint: Any, *more: Any) -> None:
        self._tell(f"save {checkpoint.epoch}")
        super().save(checkpoint, *more)

    def settle_letters(self, *given: Any) -> int:
        self._tell("settle letters")
        return super().settle_letters(*given)

    def keep_report(self, report: Mapping[str, Any]) -> None:
        self._tell(f"report {report['status']}")
        super().keep_report(report)


class In(ListInput):
    def tell(self, told: Told) -> In:
        self.told = told
        return self

    def open(self, context: Context) -> None:
        self.told("open in")
        super().open(context)

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.told(f"commit {dict(positions)}")
        super().commit(positions)

    def close(self) -> None:
        self.told("close in")
        super().close()


class Through(Stage):
    def __init__(self, told: Told) -> None:
        self.told = told

    def open(self, context: Context) -> None:
        self.told("open through")

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield batch

    def finish(self) -> Iterable[Batch]:
        self.told("finish through")
        return ()

    def close(self) -> None:
        self.told("close through")


class Out(ListOutput):
    def tell(self, told: Told) -> Out:
        self.told = told
        return self

    def open(self, context: Context) -> None:
        self.told("open out")
        super().open(context)

    def finish(self) -> None:
        self.told("finish out")

    def close(self) -> None:
        self.told("close out")
        super().close()


class Hooks:
    """A plugin that says what it hears; `does` is what it does at a step."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.does: dict[str, Any] = {}

    def _hear(self, step: str, run: Run) -> None:
        self.told(f"hook {step}")
        self.does.get(step, lambda run: None)(run)

    @hookimpl
    def penstock_run_started(self, run: Run) -> None:
        self._hear("started", run)

    @hookimpl
    def penstock_checkpoint_saved(self, run: Run) -> None:
        self._hear("saved", run)

    @hookimpl
    def penstock_run_finished(self, run: Run, report: Any) -> None:
        self._hear(f"finished {report.status}", run)


class Bench:
    """A run of an input, a stage and an output that all say what happens to them."""

    def __init__(self) -> None:
        self.told = Told()
        self.store = Store(self.told)
        self.hooks = Hooks(self.told)
        self.plugins = Plugins(discover=False)
        self.plugins.register(self.hooks, "told")
        self.out = Out().tell(self.told)
        self.through = Through(self.told)

    def run(self, *values: Any, pipe: Any = None, epoch: Any = None, **options: Any) -> Run:
        source = In(values=list(values), batch_size=options.pop("batch_size", 2)).tell(self.told)
        pipeline = pipeline_of([pipe or [source, self.through, self.out]], self.plugins)
        pipeline.spec.epoch = epoch or {}
        return pipeline.start(store=self.store, **options)

    @property
    def steps(self) -> list[str]:
        taken, self.told.steps = self.told.steps, []
        return taken


@pytest.fixture
def bench() -> Bench:
    return Bench()


# ---- from the lease to the last report ----------------------------------------------------------


def test_the_steps_of_a_run(bench):
    """The lease before anything is opened; outputs are opened first and inputs closed first; a
    report before the first record and one when all is closed, before the lease is given back."""
    report = bench.run(1, 2, 3).execute()
    assert bench.steps == [
        *["lease", "open out", "open through", "open in", "recover", "renew"],
        *["report running", "hook started", "finish through", "save 1", "finish out", "save 1"],
        *["settle letters", "commit {'in': 3}", "hook saved"],
        *["close in", "close through", "close out", "report ok", "release", "hook finished ok"],
    ]
    assert 0 < report.seconds < 60
    assert report.epochs == 1


def test_the_report_of_a_run_that_is_killed_knows_where_it_began(bench):
    limit = {"records": 2}
    bench.run(1, 2, 3, Raise(ValueError("broken")), epoch=limit).execute()
    begun = []
    bench.hooks.does["started"] = lambda run: begun.extend(bench.store.reports())
    bench.run(1, 2, 3, 4, epoch=limit).execute()
    assert (begun[0]["status"], begun[0]["balance"]["read"]) == ("running", 2)


def test_what_fails_first_is_what_ended_the_run(bench):
    def fail(*_: Any) -> None:
        raise RunError("cannot be closed")

    bench.out.close = fail
    report = bench.run(1, Raise(ValueError("broken"))).execute()
    assert "broken" in report.error
    assert "closed" not in report.error
    run = bench.run(1)
    report = run.execute()
    assert report.status == "failed"
    assert "cannot be closed" in report.error
    assert run.error is not None
    assert bench.store.reports()[0]["status"] == "failed"


def test_a_report_that_cannot_be_kept_is_told_and_the_run_is_what_it_was(bench):
    bench.store.failing = "report ok"
    report = bench.run(1).execute()
    assert report.status == "ok"
    assert report.warnings == ["the report could not be kept: OSError: disk full"]
    assert bench.steps[-1] == "hook finished ok"


def test_an_interrupted_run_gives_its_lease_back(bench):
    """Nobody has died: the next run need not wait, nor be careful with what was tried."""
    with pytest.raises(KeyboardInterrupt):
        bench.run(1, Raise(KeyboardInterrupt())).execute()
    assert bench.store.holder("pipeline") is None
    assert bench.store.attempts("pipeline") == {}
    assert bench.steps[-4:] == ["release", "close in", "close through", "close out"]


def test_the_spool_is_let_go_when_all_is_closed(bench):
    run = bench.run(1)
    run.delivery.close = lambda: bench.told("let go")
    run.execute()
    steps = bench.steps
    assert steps[steps.index("close out") + 1] == "let go"


def test_trying_to_open_closes_again_and_raises_what_does_not(bench):
    bench.run(1).try_open()
    opened = ["open out", "open through", "open in"]
    assert bench.steps == [*opened, "close in", "close through", "close out"]

    def fail(*_: Any) -> None:
        raise RunError("no")

    bench.through.close = fail
    with pytest.raises(PenstockError, match="no"):
        bench.run(1).try_open()
    assert bench.steps == [*opened, "close in", "close out"]
    bench.out.open = fail
    with pytest.raises(PenstockError, match="no"):
        bench.run(1).try_open()
    assert bench.steps == ["close out"]


def test_going_back_opens_the_outputs_alone_and_gives_the_lease_back(bench):
    bench.run(1, 2, 3, 4, epoch={"records": 2}).execute()
    first = min(bench.store.history("pipeline"), key=lambda one: one.epoch)
    bench.told.steps.clear()
    run = bench.run()
    run.delivery.close = lambda: bench.told("let go")
    go_back = run.delivery.go_back
    run.delivery.go_back = lambda to: (bench.told("back"), go_back(to))
    run.go_back(first)
    kept = [step for step in bench.steps if step not in ("recover", "renew")]
    assert kept == ["lease", "open out", "back", "save 4", "close out", "let go", "release"]

    def fail(*_: Any) -> None:
        raise RunError("cannot be closed")

    bench.out.close = fail
    with pytest.raises(PenstockError, match="cannot be closed"):
        bench.run().go_back(first)
    assert bench.store.holder("pipeline") is None


# ---- stopping and aborting ----------------------------------------------------------------------


class Asks(Input):
    """Calls `asked` when it is read for the second time, where a real one might block."""

    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.left = False

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        yield Batch([1], "", [1], 1)
        try:
            self.asked()
        except BaseException:
            self.left = True
            raise
        yield Batch([2], "", [2], 2)
        yield Batch([3], "", [3], 3)


def test_stopping_leaves_a_read_that_blocks(bench):
    source = Asks(lambda: run.stop("interrupted"))
    run = bench.run(pipe=[source, bench.out])
    report = run.execute()
    assert source.left
    assert bench.out.values == [1]
    assert (report.status, run.stopping) == ("interrupted", "interrupted")
    assert report.positions == {"asks": 1}


def test_an_engine_whose_batches_never_wait_is_not_interrupted(bench):
    source = Asks(lambda: run.stop("interrupted"))
    run = bench.run(pipe=[source, bench.out])
    run.polled = True
    report = run.execute()
    assert not source.left
    assert bench.out.values == [1, 2]
    assert report.positions == {"asks": 2}


def test_stopping_between_two_reads_raises_nothing(bench):
    class Stops(Transformer):
        def transform(self, record: int) -> int:
            run.stop("interrupted")
            return record

    run = bench.run(pipe=[ListInput(values=[1, 2, 3], batch_size=1), Stops(), bench.out])
    assert run.execute().status == "interrupted"
    assert bench.out.values == [1]


def test_aborting_gives_the_epoch_up_and_says_so(bench):
    source = Asks(lambda: run.abort("told twice"))
    run = bench.run(pipe=[source, bench.out])
    report = run.execute()
    assert report.status == "interrupted"
    assert report.warnings == ["the last epoch was given up, told twice; it is read again"]
    assert run.stopping == "told twice"
    assert bench.steps[-3:] == ["report interrupted", "release", "hook finished interrupted"]
    assert bench.store.checkpoint("pipeline") is None, "as after a crash"


@pytest.mark.parametrize("when", ["started", "finished interrupted"])
def test_aborting_before_and_after_the_reading_only_stops(bench, when):
    bench.hooks.does[when] = lambda run: run.abort("early or late")
    bench.hooks.does.setdefault("started", lambda run: run.stop("at once"))
    report = bench.run(1, 2).execute()
    assert (report.status, report.warnings) == ("interrupted", [])
    assert bench.out.values == []


def test_aborting_while_all_is_closed_does_not_keep_the_rest_open(bench):
    run = bench.run(1, 2)
    bench.through.close = lambda: run.abort("late")
    run.execute()
    assert "close out" in bench.steps


# ---- one epoch ----------------------------------------------------------------------------------


class ByHand:
    """An engine of which each call is a step; `batches` are what the run is given."""

    def __init__(self, told: Told, *batches: Any) -> None:
        self.told, self.batches = told, batches
        self.settling: list[Any] = []

    def execute(self, run: Run) -> None:
        run.drive(iter(self.batches), self.push, self.settle)

    def push(self, node: Any, batch: Batch) -> None:
        self.told(f"push {node.name} {list(batch.records)}")

    def settle(self) -> None:
        self.told("settle")
        if self.settling:
            raise self.settling.pop()


def by_hand(bench: Bench, *batches: Any, pipe: Any = None, **options: Any) -> tuple[Run, ByHand]:
    run = bench.run(pipe=pipe, **options)
    run.engine = engine = ByHand(bench.told, *batches)
    return run, engine


def fresh(*records: int) -> tuple[str, Batch]:
    return "in", Batch(list(records), "", list(records), records[-1])


def since_start(steps: list[str]) -> list[str]:
    return steps[steps.index("hook started") + 1 :]


def test_everything_has_gone_through_before_an_epoch_is_saved(bench):
    run, _ = by_hand(bench, fresh(1), fresh(2), epoch={"records": 1})
    run._check_balance = lambda: bench.told("balance")
    run.execute()
    assert since_start(bench.steps)[:13] == [
        *["push through [1]", "settle", "save 1", "commit {'in': 1}", "hook saved"],
        *["push through [2]", "settle", "save 2", "commit {'in': 2}", "hook saved"],
        *["settle", "balance", "save 3"],
    ]


def test_an_epoch_that_fails_on_its_way_is_not_counted(bench):
    run, engine = by_hand(bench, fresh(1))
    engine.settling = [RunError("lost on the way")]
    report = run.execute()
    assert report.epochs == 0
    assert "lost on the way" in report.error
    assert "save 1" not in bench.steps


def test_a_stage_finishes_when_all_before_it_is_done(bench):
    run, _ = by_hand(bench, fresh(1), ("in", ENDED))
    run._check_balance = lambda: None
    run.execute()
    assert since_start(bench.steps)[:4] == [
        "push through [1]",
        "settle",
        "finish through",
        "settle",
    ]


def test_what_was_read_ahead_is_taken_when_a_run_is_stopped_and_only_then(bench):
    class Ephemeral(In):
        capability = "ephemeral"

    def run_of(*batches: Any, **options: Any) -> Run:
        pipe = [Ephemeral().tell(bench.told), bench.through, bench.out]
        run, _ = by_hand(bench, *batches, pipe=pipe, **options)
        run._check_balance = lambda: None
        run.left_over = lambda node: [Batch([8, 9], "", [8, 9], 9)]
        return run

    def stops() -> Iterator[Any]:
        yield "ephemeral", fresh(1)[1]
        run.stop("interrupted")
        yield "", None

    run = run_of()
    run.engine.batches = stops()
    run.execute()
    steps = since_start(bench.steps)
    assert steps[:3] == ["push through [1]", "push through [8, 9]", "settle"]
    batch = ("ephemeral", fresh(1)[1])
    for untaken in (run_of(batch), run_of(batch, ("", None), max_records=1)):
        untaken.execute()
        assert "push through [8, 9]" not in bench.steps


def test_what_can_be_read_again_is_not_taken(bench):
    run, _ = by_hand(bench, fresh(1))
    run.left_over = lambda node: [Batch([8, 9], "", [8, 9], 9)]
    run.stopping = "at once"
    run.execute()
    assert "push through [8, 9]" not in bench.steps


@pytest.mark.parametrize(
    ("epoch", "saved"),
    [
        ({"records": 2, "seconds": None}, [2, 4, 5]),
        ({"records": None, "seconds": 10.0}, [2, 4, 5]),
        ({"records": None, "seconds": None}, [5]),
        ({"records": None, "seconds": None, "bytes": 100}, [2, 4, 5]),
        ({"records": None, "seconds": None, "bytes": 101}, [3, 5]),
        ({"records": 3, "seconds": 20.0, "bytes": 1}, [1, 2, 3, 4, 5]),
    ],
)
def test_an_epoch_ends_when_a_limit_is_reached(bench, monkeypatch, epoch, saved):
    """Five records of 50 bytes, one every five seconds."""
    monkeypatch.setattr("penstock.runs.size_of", lambda batch: 50 * len(batch.records))
    clock = FakeClock()

    def batches() -> Iterator[Any]:
        for number in range(1, 6):
            clock.time += 5.0
            yield fresh(number)

    run, engine = by_hand(bench, epoch=epoch, clock=clock)
    run._check_balance = lambda: None
    engine.batches = batches()
    run.execute()
    ends = [int(step.split(": ")[1][:-1]) for step in bench.steps if step.startswith("commit")]
    assert list(dict.fromkeys(ends)) == saved


def test_an_input_may_end_an_epoch(bench):
    run, _ = by_hand(bench, fresh(1), ("in", EPOCH_END), fresh(2))
    run._check_balance = lambda: None
    run.execute()
    ends = [step for step in bench.steps if step.startswith("commit")]
    assert ends == ["commit {'in': 1}", "commit {'in': 2}"]


def test_a_run_stops_after_so_many_seconds(bench):
    clock = FakeClock()

    def batches() -> Iterator[Any]:
        for number in range(1, 9):
            clock.time += 5.0
            yield fresh(number)

    run, engine = by_hand(bench, clock=clock, max_seconds=15.0)
    engine.batches = batches()
    report = run.execute()
    assert report.positions == {"in": 3}
    assert (report.status, run.limit) == ("stopped", "after 15 seconds")


def test_the_lease_is_renewed_as_long_as_the_reading_takes(bench):
    clock = FakeClock()

    def batches() -> Iterator[Any]:
        for number in range(1, 4):
            clock.time += 60.0
            yield fresh(number)

    run, engine = by_hand(bench, clock=clock, epoch={"seconds": None, "records": 100})
    run._check_balance = lambda: None
    engine.batches = batches()
    run.execute()
    assert since_start(bench.steps).count("renew") == 3


def test_a_run_that_nobody_may_lead_any_more_stops(bench):
    """Its lease was taken over while it read."""
    clock = FakeClock()

    def batches() -> Iterator[Any]:
        yield fresh(1)
        bench.store.lease("pipeline", "another", clock.now(), clock.now() + 1, lambda holder: False)
        clock.time += 60.0
        yield fresh(2)
        yield fresh(3)

    run, engine = by_hand(bench, clock=clock)
    engine.batches = batches()
    report = run.execute()
    assert report.status == "failed"
    assert "push through [3]" not in bench.steps


# ---- the breaker --------------------------------------------------------------------------------


class Fails(Transformer):
    def __init__(self, first: int) -> None:
        self.first = first

    def transform(self, record: int) -> int:
        if record >= self.first:
            raise RecordError("no")
        return record


def test_the_breaker_looks_at_one_epoch_at_a_time(bench):
    """20 000 good records do not make up for an epoch in which most fail."""
    source = ListInput(values=list(range(22_000)), batch_size=1000)
    pipe = [source, Fails(20_000), bench.out]
    report = bench.run(pipe=pipe, epoch={"records": 5000}).execute()
    assert report.status == "failed"
    assert "of 1000 records failed" in report.error


def test_a_short_run_is_judged_at_its_end(bench):
    pipe = [ListInput(values=list(range(300))), Fails(100), bench.out]
    report = bench.run(pipe=pipe).execute()
    assert report.status == "failed"
    assert "200 of 300 records failed" in report.error
    assert bench.store.checkpoint("pipeline") is None


def test_a_long_run_is_judged_on_its_way(bench):
    source = ListInput(values=[*range(4000), Raise(AssertionError("read on"))], batch_size=500)
    report = bench.run(pipe=[source, Fails(0), bench.out], epoch={"records": 9000}).execute()
    assert "1000 of 1000 records failed" in report.error


# ---- reading ------------------------------------------------------------------------------------


class Slow(Input):
    asked = 0

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        time.sleep(0.05)
        yield Batch([1], "", [1], 1)
        time.sleep(0.11)
        yield Batch([2], "", [2], 2)

    def progress(self) -> Any:
        self.asked += 1
        return (self.asked, None)


@pytest.mark.parametrize(("display", "asked"), [(None, 0), (Display(), 2)])
def test_reading_is_timed_and_shown_where_somebody_looks(bench, display, asked):
    source = Slow()
    run = bench.run(pipe=[source, bench.out], display=display)
    report = run.execute()
    assert 0.15 <= report.nodes[0].seconds < 5
    assert source.asked == pytest.approx(asked, abs=1 if display else 0)
    assert (run.nodes["slow"].progress is not None) == (display is not None)


@pytest.mark.parametrize("values", [[Raise(ValueError("no"))], [1, Raise(ValueError("no"))]])
def test_what_an_input_raises_is_named_after_it(bench, values):
    report = bench.run(*values).execute()
    assert report.error.startswith("in: ")


def test_a_reader_that_is_closed_is_closed(bench):
    """An engine that ends early closes it: what the input does then is no failure of the reading."""
    run = bench.run(1, 2, 3, batch_size=1)
    run._open()
    reader = run.reader(run.nodes["in"])
    assert list(next(reader).records) == [1]
    reader.close()
    assert not run.nodes["in"].ended


def test_an_optional_input_that_breaks_ends_alone(bench):
    source = ListInput(values=[1, Raise(ValueError("no"))], batch_size=1)
    run = bench.run(pipe=[source, bench.out])
    run.nodes["list"].settings.optional = True
    report = run.execute()
    assert report.status == "ok"
    assert bench.out.values == [1]
    assert any("no" in warning for warning in report.warnings)


# ---- branches -----------------------------------------------------------------------------------


class Marks(Transformer):
    mutates = True

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def transform(self, record: dict[str, Any]) -> dict[str, Any]:
        record[self.mark] = True
        return record


@pytest.mark.parametrize("between", [[], [Marks("before")]])
def test_a_branch_does_not_see_what_another_one_changes(between):
    given = [{"id": 1}]
    left, right = ListOutput(), ListOutput()
    source = ListInput(values=given)
    head = [source, *between]
    pipes = [[*head, Marks("left"), left], [*head, Marks("right"), right]]
    run = pipeline_of(pipes, Plugins(discover=False)).start()
    assert run.execute().error is None
    more = {"before": True} if between else {}
    assert left.values == [{"id": 1, **more, "left": True}]
    assert right.values == [{"id": 1, **more, "right": True}]


def test_a_record_that_goes_one_way_is_not_copied():
    given = {"id": 1}
    out = ListOutput()
    pipeline_of([[ListInput(values=[given]), Marks("seen"), out]], Plugins(discover=False)).run()
    assert out.values[0] is given


# ---- what a run begins with ---------------------------------------------------------------------


def test_a_new_run_has_read_nothing_and_waits_for_nothing(bench):
    run = bench.run(1)
    assert (run.epochs, run.read, run.resumed_at) == (0, 0, 0)
    assert run.waiting() == {}
    assert list(run.left_over(run.inputs[0])) == []
    assert not run.polled
    assert run.limits == EpochLimits()
    assert isinstance(run.engine, InlineEngine)


def test_idle_stages_are_asked_when_nothing_is_ready(bench):
    class Waits(Stage):
        def process(self, batch: Batch) -> Iterable[Batch]:
            yield batch

        def idle(self, now: float) -> Iterable[Batch]:
            bench.told(f"idle {now}")
            return ()

    clock = FakeClock(now=100.0)
    pipe = [ListInput(values=[1, Idle(), 2]), Waits(), bench.out]
    run = bench.run(pipe=pipe, clock=clock)
    run.execute()
    assert [step for step in bench.steps if step.startswith("idle")] == ["idle 100.0"]
    assert clock.slept == [0.01]


# ---- batches fresh from an input ----------------------------------------------------------------


def test_no_more_is_read_than_was_asked_for_and_the_next_run_goes_on(bench):
    assert bench.run(1, 2, 3, 4, 5, max_records=3).execute().positions == {"in": 2}
    first = list(bench.out.values)
    bench.run(1, 2, 3, 4, 5, max_records=1).execute()
    second = list(bench.out.values)
    bench.run(1, 2, 3, 4, 5).execute()
    assert (first, second, bench.out.values) == ([1, 2, 3], [4], [5])


class Redelivering(ListInput):
    """The positions are the broker's own, and it gives each record once."""

    capability = "redelivering"
    finite = False

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        return super().read({})


def test_what_a_broker_numbers_anew_has_its_number_for_good(bench):
    """A dead letter is known by its number: the next run goes on counting."""
    found = []
    for records in ([1, 2], [3, 4, 5]):
        source = Redelivering(values=records)
        run = bench.run(pipe=[source, Fails(0), bench.out])
        run.failures.breaker = False
        run.execute()
        found.append([letter.ordinal for letter in bench.store.letters(run_id=run.run_id)])
    assert found == [[1, 2], [3, 4, 5]]


def test_each_record_of_a_batch_that_has_killed_is_saved_by_itself(bench):
    from penstock.care import STAY

    def care(run: Run) -> None:
        run._care.careful = True
        run._care.pieces = lambda batch: [
            *(Batch([one], "in", [one], STAY) for one in batch.records),
            Batch([], "in", [], batch.resume),
        ]

    bench.hooks.does["started"] = care
    run, _ = by_hand(bench, fresh(1, 2))
    run._check_balance = lambda: None
    report = run.execute()
    assert since_start(bench.steps)[:7] == [
        *["push through [1]", "settle", "save 1", "push through [2]", "settle", "save 2"],
        "settle",
    ]
    assert report.epochs == run.epochs >= 3


def test_what_is_not_through_is_not_saved_by_itself_either(bench):
    from penstock.care import STAY

    def care(run: Run) -> None:
        run._care.careful = True
        run._care.pieces = lambda batch: [Batch([1], "in", [1], STAY)]

    bench.hooks.does["started"] = care
    run, engine = by_hand(bench, fresh(1))
    engine.settling = [RunError("lost on the way")]
    assert run.execute().epochs == 0


def test_where_one_record_has_killed_an_epoch_has_one(bench):
    bench.hooks.does["started"] = lambda run: setattr(run._care, "careful", True)
    run, _ = by_hand(bench, fresh(1), fresh(2), epoch={"records": 100})
    run._check_balance = lambda: None
    run.execute()
    ends = [step for step in bench.steps if step.startswith("commit")]
    assert ends[:2] == ["commit {'in': 1}", "commit {'in': 2}"]


def bad(record: int, ordinal: int) -> Any:
    from penstock import Failure

    return Failure(record, ordinal, RecordError("unreadable"))


def test_what_an_input_cannot_read_is_counted_even_when_it_ends_the_run(bench):
    run, _ = by_hand(bench, ("in", Batch([1], "", [1], 2, [bad(2, 2)])))
    run.nodes["in"].settings.on_error = "stop"
    report = run.execute()
    assert "unreadable" in report.error
    assert (report.nodes[0].failed, report.balance.read) == (1, 2)


def test_a_batch_is_told_with_its_failures_and_handed_on_without(bench):
    heard, pushed = [], []

    class Hears:
        @hookimpl
        def penstock_batch_done(self, run: Run, node: Any, batch: Batch) -> None:
            if node.role == "input":
                heard.append([one.ordinal for one in batch.failures])

    bench.plugins.register(Hears(), "hears")
    run, engine = by_hand(bench, ("in", Batch([1], "", [1], 2, [bad(2, 2)])))
    run._check_balance = lambda: None
    engine.push = lambda node, batch: pushed.append(list(batch.failures))
    run.execute()
    assert heard == [[2]]
    assert pushed == [[]]


def test_many_keys_and_many_letters_are_kept_before_their_epoch_ends(bench, monkeypatch):
    kept = []

    def keep(pipeline: str, generation: int, letters: Any, keys: Any) -> None:
        kept.append((pipeline, generation, len(letters), len(keys)))

    monkeypatch.setattr(bench.store, "keep", keep, raising=False)
    monkeypatch.setattr("penstock.keys._PENDING", 4)
    source = ListInput(values=[{"id": n} for n in range(10)], batch_size=5)
    run = bench.run(pipe=[source, bench.out])
    run.nodes["list"].settings.key = "id"
    bench.hooks.does["started"] = lambda run: kept.clear()
    run.execute()
    assert kept[:2] == [("pipeline", 1, 0, 5), ("pipeline", 1, 0, 5)]


def test_a_partition_has_its_own_position_and_another_input_has_another(bench):
    run = bench.run(1)
    run.positions = {"in": 1, "in/0": 2, "in/1": 3, "inner": 4, "other/in": 5}
    assert run._positions_of(run.nodes["in"]) == {"in": 1, "in/0": 2, "in/1": 3}


def test_the_pauses_of_a_run_differ_and_are_those_of_its_id(bench):
    one, same = bench.run(1), bench.run(1)
    same.run_id = one.run_id
    chances = [one._chance() for _ in range(3)]
    assert len(set(chances)) == 3
    assert all(0 <= chance < 1 for chance in chances)
    assert [same._chance() for _ in range(3)] == chances


# ---- the ends of inputs and stages --------------------------------------------------------------


class Window(Stage):
    """Gives what it holds when it is idle and at its end."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.held = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.held += len(batch.records)
        return ()

    def _given(self) -> Iterator[Batch]:
        given, self.held = self.held, 0
        if given:
            yield Batch(["window"], "in", [1], consumed=given)

    def idle(self, now: float) -> Iterable[Batch]:
        self.told("idle")
        return self._given()

    def finish(self) -> Iterable[Batch]:
        self.told("finish window")
        return self._given()


def test_a_window_is_asked_when_nothing_is_under_way_and_then_the_run_waits(bench):
    clock = FakeClock()
    source = In(values=[]).tell(bench.told)
    pipe = [source, Window(bench.told), bench.through, bench.out]
    run, _ = by_hand(bench, ("", None), pipe=pipe, clock=clock)
    run._check_balance = lambda: None
    run.nodes["window"].component.held = 2
    run.execute()
    assert since_start(bench.steps)[:3] == ["settle", "idle", "push through ['window']"]
    assert clock.slept == [0.01]


def test_a_run_that_was_stopped_does_not_wait(bench):
    clock = FakeClock()
    pipe = [In(values=[]).tell(bench.told), Window(bench.told), bench.out]
    run, engine = by_hand(bench, ("", None), pipe=pipe, clock=clock)
    engine.settle = lambda: run.stop("interrupted")
    run.execute()
    assert clock.slept == []


def test_a_stage_finishes_after_all_before_it_have(bench):
    """What a window gives at its end goes through what follows before that is told of its end."""
    pipe = [In(values=[]).tell(bench.told), Window(bench.told), bench.through, bench.out]
    run, _ = by_hand(bench, ("in", ENDED), pipe=pipe)
    run._check_balance = lambda: None
    run.nodes["window"].component.held = 2
    run.execute()
    assert since_start(bench.steps)[:6] == [
        *["settle", "finish window", "push through ['window']", "settle"],
        *["finish through", "settle"],
    ]
    assert all(run.nodes[name].ended for name in ("in", "window", "through"))


def test_a_stage_goes_on_while_one_of_its_inputs_has_more(bench):
    left, right = ListInput(values=[1, 2, 3]), ListInput(values=[4])
    out = bench.out
    through = Through(bench.told)
    pipes = [[left, through, out], [right, through]]
    run = pipeline_of(pipes, bench.plugins).start(store=bench.store)
    finished = []
    through.finish = lambda: finished.append(sorted(out.values)) or ()
    report = run.execute()
    assert report.error is None
    assert finished == [[1, 2, 3, 4]]


class First(Stage):
    """Passes on so many, and wants no more."""

    def __init__(self, count: int) -> None:
        self.count = count

    def process(self, batch: Batch) -> Iterable[Batch]:
        kept = batch.keep([number < self.count for number in range(len(batch.records))])
        self.count -= len(kept.records)
        self.satisfied = self.count <= 0
        yield kept


def test_an_input_whose_records_nobody_wants_is_not_read_on():
    """Another one is, and so is one of which a branch still wants more."""
    few, many, both = (ListInput(values=list(range(40)), batch_size=4) for _ in range(3))
    outs = [ListOutput() for _ in range(4)]
    pipes = [[few, First(2), outs[0]], [many, outs[1]], [both, First(2), outs[2]], [both, outs[3]]]
    run = pipeline_of(pipes, Plugins(discover=False)).start()
    assert run.execute().error is None
    assert [len(out.values) for out in outs] == [2, 40, 2, 40]
    assert run.nodes["list"].sent == 4


def test_all_is_through_before_an_input_is_ended_early(bench):
    pipe = [In(values=[]).tell(bench.told), First(1), bench.out]
    run, engine = by_hand(bench, fresh(1, 2), fresh(3), pipe=pipe)
    run._check_balance = lambda: None
    ended = []
    engine.settle = lambda: ended.append(run.nodes["in"].ended)
    run.nodes["first"].satisfied = True
    run.execute()
    assert ended[0] is False
    assert run.nodes["in"].ended


# ---- going on -----------------------------------------------------------------------------------


def test_a_run_that_was_cut_off_goes_on_with_what_it_had_counted(bench):
    def run_of(*values: Any) -> Run:
        source = ListInput(values=list(values), batch_size=2)
        return bench.run(pipe=[source, Fails(4), bench.out], epoch={"records": 2})

    cut = run_of(1, 2, 3, 4, Raise(ValueError("broken")))
    assert cut.execute().status == "failed"
    run = run_of(1, 2, 3, 4, 5)
    report = run.execute()
    assert report.warnings[-1] == "resumed after 4 records, where the run before was cut off"
    assert (run.resumed_at, run.read) == (4, 5)
    assert (report.epochs, report.letters) == (3, 2)
    assert str(report.balance) == "read 5 = written 3 + filtered 0 + dead 2"
    [first, *_] = bench.store.history("pipeline")
    assert run.failures.since == cut.delivery.start.started == first.started


def test_a_run_of_which_only_the_end_is_missing_reads_nothing(bench):
    """It was cut off when all was saved, and before its output was completed."""

    def fail() -> None:
        raise RunError("no room")

    bench.out.finish, finish = fail, bench.out.finish
    assert bench.run(1, 2).execute().status == "failed"
    bench.out.finish = finish
    bench.told.steps.clear()
    run = bench.run(Raise(AssertionError("read again")))
    report = run.execute()
    assert report.error is None
    assert all(node.ended for node in run.nodes.values())
    assert "finish through" not in bench.steps


def test_a_checkpoint_is_what_the_run_was_at_that_time(bench):
    run = bench.run(1, 2, 3, 4, epoch={"records": 2})
    run.execute()
    first, *_ = sorted(bench.store.history("pipeline"), key=lambda one: one.epoch)
    assert (first.epoch, first.run_id, first.pipeline) == (1, run.run_id, "pipeline")
    assert (first.positions, first.ordinals) == ({"in": 2}, {"in": 2})
    assert first.counts["in"]["sent"] == 2
    assert first.counts["out"]["received"] == 2


def test_letters_of_earlier_runs_are_settled_when_all_was_read_again(bench):
    report = bench.run(pipe=[ListInput(values=[1]), Fails(0), bench.out]).execute()
    assert report.letters == 1
    bench.run(2, max_records=0, pipe=[ListInput(values=[1]), bench.out]).execute()
    assert "settle letters" in bench.steps
    assert bench.run(pipe=[ListInput(values=[1]), bench.out]).execute().letters == 0


def test_hooks_hear_of_each_letter(bench):
    heard = []

    class Hears:
        @hookimpl
        def penstock_record_failed(self, run: Run, node: Any, letter: Any) -> None:
            heard.append((run.run_id, node.name, letter.ordinal))

    bench.plugins.register(Hears(), "hears")
    run = bench.run(pipe=[ListInput(values=[1, 2]), Fails(2), bench.out])
    run.execute()
    assert heard == [(run.run_id, "fails", 2)]


def test_a_run_id_sorts_by_time():
    clock = FakeClock(now=0.0)

    def run_of() -> Run:
        return pipeline_of([[ListInput(values=[])]], Plugins(discover=False)).start(clock=clock)

    first = run_of()
    clock.time = 86_400.0
    assert first.run_id.startswith("19700101T000000-")
    assert first.run_id < run_of().run_id
    assert run_of().run_id != run_of().run_id


def test_a_run_that_goes_on_reads_on_and_knows_what_it_does_not_read_any_more(bench):
    """One input had come to its end: its position stays in every checkpoint."""
    asked = {}

    class Asked(ListInput):
        def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
            asked[self.context.name] = dict(positions)
            return super().read(positions)

    def run_of(*values: Any, **options: Any) -> Run:
        first, second = Asked(values=[1, 2]), Asked(values=list(values), batch_size=1)
        pipeline = pipeline_of([[first, bench.out], [second, bench.out]], bench.plugins)
        pipeline.spec.epoch = {"records": 2}
        return pipeline.start(store=bench.store, **options)

    run_of(11, 12, 13, 14, Raise(ValueError("broken"))).execute()
    assert asked == {"asked": {}, "asked2": {}}
    report = run_of(11, 12, 13, 14, 15, 16, 17, 18, max_records=2).execute()
    assert asked == {"asked": {"asked": 2}, "asked2": {"asked2": 4}}
    assert report.positions == {"asked": 2, "asked2": 6}, "so many more than there were"
    last = bench.store.checkpoint("pipeline")
    assert last.ordinals == {"asked": 2, "asked2": 6}


def test_what_a_stage_gives_at_its_end_is_each_branch_s_own():
    class Last(Stage):
        def process(self, batch: Batch) -> Iterable[Batch]:
            yield batch

        def finish(self) -> Iterable[Batch]:
            yield Batch([{"id": "last"}], "totals", [1], consumed=0)

    left, right, last = ListOutput(), ListOutput(), Last()
    pipes = [[ListInput(values=[]), last, Marks("left"), left], [last, Marks("right"), right]]
    run = pipeline_of(pipes, Plugins(discover=False)).start()
    run.execute()
    assert left.values == [{"id": "last", "left": True}]
    assert right.values == [{"id": "last", "right": True}]


def test_what_could_not_be_read_counts_as_read_when_a_run_goes_on(bench):
    def cut_off() -> Iterator[Any]:
        yield "in", Batch([1], "", [1], 2, [bad(2, 2)])
        raise RunError("the engine broke")

    run, engine = by_hand(bench, epoch={"records": 2})
    engine.batches = cut_off()
    assert run.execute().status == "failed"
    run, _ = by_hand(bench, fresh(3))
    run._check_balance = lambda: None
    report = run.execute()
    assert report.warnings == ["resumed after 2 records, where the run before was cut off"]
    assert run.read == 3


def test_hooks_hear_of_every_batch_and_of_every_checkpoint(bench):
    heard = []

    class Hears:
        @hookimpl
        def penstock_batch_done(self, run: Run, node: Any, batch: Batch) -> None:
            heard.append((node.name, list(batch.records)))

        @hookimpl
        def penstock_checkpoint_saved(self, run: Run, checkpoint: Any) -> None:
            heard.append((checkpoint.run_id == run.run_id, checkpoint.epoch, checkpoint.positions))

    bench.plugins.register(Hears(), "hears")
    bench.run(1, 2).execute()
    batches = [(name, [1, 2]) for name in ("in", "through", "out")]
    assert heard == [*batches, (True, 1, {"in": 2})]


@pytest.mark.parametrize(("seconds", "known"), [(7.0, 7.0), (None, float("inf"))])
def test_a_component_knows_how_long_an_epoch_may_take(bench, seconds, known):
    run = bench.run(1, epoch={"seconds": seconds, "records": None})
    run.execute()
    assert bench.out.context.epoch_seconds == known
