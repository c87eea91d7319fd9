"""The rules for engines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from penstock import Batch, Input, Plugins, Transformer, component
from penstock.build import pipeline_of
from penstock.runs import Run
from penstock.testing import Idle, ListInput, ListOutput, Raise

from ..rules import Suite
from .base import shown

__all__ = ["EngineSuite"]


@component
class _Alone(Transformer):
    """Notices when two threads are in it."""

    def open(self, context: Any) -> None:
        super().open(context)
        self.inside = self.together = 0

    def transform(self, record: Any) -> Any:
        self.inside += 1
        self.together = max(self.together, self.inside)
        time.sleep(0)
        self.inside -= 1
        if record % 7 == 0:
            raise ValueError("seven")
        return None if record % 5 == 0 else record


@component
class _Endless(Input):
    """Gives a record now and then, for ever."""

    finite = False

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        number = 0
        while True:
            number += 1
            yield Batch([number], "", [number], number)
            yield None


class EngineSuite(Suite):
    """An author gives the fixture `engine`: the engine."""

    @pytest.fixture
    def engine(self) -> Any:
        raise NotImplementedError("give the fixture `engine`")

    def start(self, engine: Any, *pipes: list[Any], epoch: int = 10) -> Run:
        pipeline = pipeline_of(pipes, Plugins(discover=False))
        pipeline.engine = engine
        pipeline.spec.epoch = {"records": epoch}
        return pipeline.start()

    def test_the_result_is_that_of_every_engine(self, engine: Any) -> None:
        """One graph gives on any engine the same records in the same order, the same failures and
        the same counts."""
        found = []
        for one in (engine, None):
            left, right = ListOutput(), ListOutput()
            stage = _Alone()
            source = ListInput(values=list(range(1, 200)), batch_size=3)
            pipes = [[source, stage, left], [stage, right]]
            pipeline = pipeline_of(pipes, Plugins(discover=False))
            if one is not None:
                pipeline.engine = one
            report = pipeline.start().execute()
            counts = [(n.name, n.received, n.sent, n.filtered, n.dead) for n in report.nodes]
            found.append((left.values, right.values, counts, report.status, report.letters))
        assert found[0] == found[1], f"it gave {found[0]}; inline gives {found[1]}"

    def test_a_component_is_called_from_one_thread_at_a_time(self, engine: Any) -> None:
        """Whoever reads into it, no component is called from two threads at once."""
        alone = _Alone()
        sources = [ListInput(values=list(range(1, 500)), batch_size=3) for _ in range(3)]
        pipes = [[source, alone] for source in sources]
        run = self.start(engine, *pipes, [alone, ListOutput()], epoch=10_000)
        run.failures.breaker = False
        run.execute()
        assert alone.together == 1, f"{alone.together} threads were in it at once"

    def test_every_component_is_closed_once(self, engine: Any) -> None:
        """Every component that was opened is closed once, whether a run ends well or not, and no
        thread is left."""
        before = set(threading.enumerate())
        for values in ([1, 2, 3], [1, Raise(RuntimeError("torn")), 3]):
            source, out = ListInput(values=values), ListOutput()
            self.start(engine, [source, out]).execute()
            assert (source.closed, out.closed) == (1, 1), (
                f"closed were the input {source.closed} times and the output {out.closed} times"
            )
        left = set(threading.enumerate()) - before
        assert not left, f"these threads are left: {left}"

    @pytest.mark.parametrize("where", ["input", "stage", "output"])
    def test_what_breaks_ends_the_run_by_name(self, engine: Any, where: str) -> None:
        """An error of a component ends the run, which says whose it is; nothing after the last
        checkpoint is committed."""

        class Breaks(Transformer):
            def process(self, batch: Batch) -> Any:
                if where == "stage" and 30 in batch.records:
                    raise RuntimeError("torn")
                return [batch]

        values: list[Any] = list(range(1, 60))
        if where == "input":
            values.insert(29, Raise(RuntimeError("torn")))
        source = ListInput(values=values, batch_size=3)
        errors = [None] * 9 + [RuntimeError("torn")]
        out = _BreaksLater(list(errors)) if where == "output" else ListOutput()
        report = self.start(engine, [source, Breaks(), out]).execute()
        assert report.status == "failed", f"the run ended {report.status}"
        assert "torn" in (report.error or ""), f"it said {report.error}"
        committed = max([0, *(one["list"] for one in source.commits)])
        assert committed < 30, f"positions up to {committed} were committed"

    def test_a_run_that_is_stopped_is_drained(self, engine: Any) -> None:
        """A run that is asked to stop finishes what it has read, in reasonable time: every record
        that was read is written, and positions say so."""
        out = ListOutput()
        run = self.start(engine, [_Endless(), out], epoch=100_000)
        threading.Timer(0.3, setattr, [run, "stopping", "interrupted"]).start()
        start = time.monotonic()
        report = run.execute()
        assert time.monotonic() - start < 10, "it took longer than ten seconds"
        assert report.status == "interrupted"
        [position] = report.positions.values()
        assert out.values == list(range(1, position + 1)), (
            f"read were {position} records; written {shown(out.values)}"
        )

    def test_it_waits_for_what_is_not_ready(self, engine: Any) -> None:
        """An input that has nothing now is asked again, until it ends."""
        out = ListOutput()
        values = [1, 2, Idle(), Idle(), 3, Idle(), 4]
        self.start(engine, [ListInput(values=values), out]).execute()
        assert out.values == [1, 2, 3, 4], f"written were {out.values}"


class _BreaksLater(ListOutput):
    def __init__(self, errors: list[Any]) -> None:
        super().__init__()
        self.errors = errors

    def write(self, batch: Batch) -> Any:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return super().write(batch)
