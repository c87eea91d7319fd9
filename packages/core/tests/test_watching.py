"""What a run lets others see while it works, and what it costs when nobody looks."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from penstock import hookimpl
from penstock.plugins import Plugins
from penstock.runs import Display, Run
from penstock.testing import ListInput, ListOutput

EngineRun = Callable[..., Run]


class Measured(ListInput):
    """An input that counts how often it is asked how far it is."""

    asked = 0

    def progress(self) -> float | None:
        self.asked += 1
        return 0.25


def test_an_input_says_how_far_it_is_when_the_run_is_shown(start: EngineRun) -> None:
    source = Measured(values=list(range(10_000)), batch_size=10)
    run = start(source, ListOutput(), display=Display())
    run.execute()
    assert run.inputs[0].progress == 0.25
    assert source.asked < 100, "an input is not asked with each of its 1 000 batches"


def test_an_input_is_not_asked_how_far_it_is_when_nobody_is_shown_the_run(start: EngineRun) -> None:
    source = Measured(values=[1, 2, 3])
    run = start(source, ListOutput())
    run.execute()
    assert run.inputs[0].progress is None
    assert source.asked == 0


class Gate(ListOutput):
    """Writes nothing before it is opened."""

    gate = Event()

    def write(self, batch: Any) -> Any:
        assert self.gate.wait(10)
        return super().write(batch)


def test_a_run_says_how_many_batches_wait_before_each_node(start: EngineRun) -> None:
    Gate.gate = gate = Event()
    seen: dict[str, int] = {}

    class Watcher:
        @hookimpl
        def penstock_batch_done(self, run: Run) -> None:
            if run.read == 100:
                seen.update(run.waiting())
            # Nothing waits where one thread does everything, so nothing may be held up there.
            if run.read >= 100 or run.engine_name == "inline":
                gate.set()

    plugins = Plugins(discover=False)
    plugins.register(Watcher())
    run = start(ListInput(values=list(range(500)), batch_size=10), Gate(), plugins=plugins)
    run.execute()
    if run.engine_name == "inline":
        assert seen == {}
    else:
        assert seen["gate"] in (8, 9)  # of nine that were pushed, the output may hold one


def test_a_plugin_keeps_what_it_needs_with_the_run(start: EngineRun) -> None:
    told: list[int] = []

    class Counting:
        @hookimpl
        def penstock_run_started(self, run: Run) -> None:
            run.stash["counting"] = run.read

        @hookimpl
        def penstock_run_finished(self, run: Run) -> None:
            told.append(run.read - run.stash["counting"])

    plugins = Plugins(discover=False)
    plugins.register(Counting())
    start(ListInput(values=[1, 2, 3]), ListOutput(), plugins=plugins).execute()
    start(ListInput(values=[1, 2]), ListOutput(), plugins=plugins).execute()
    assert told == [3, 2]


@pytest.mark.parametrize("failing", [False, True])
def test_the_table_of_a_report_is_its_rows_and_its_notes(
    start: EngineRun, *, failing: bool
) -> None:
    fail = RuntimeError("no space left") if failing else None
    report = start(ListInput(values=[1, 2]), ListOutput(refuse=[2], fail=fail)).execute()
    lines = report.table().splitlines()
    blank = lines.index("")
    cells = ["".join(row).replace(" ", "") for row in report.rows()]
    assert [line.replace(" ", "") for line in lines[:blank]] == cells
    assert lines[blank + 1 :] == [sentence for _, sentence in report.notes()]
    kinds = [kind for kind, _ in report.notes()]
    assert kinds == (
        ["balance", "status", "error"] if failing else ["balance", "failure", "status"]
    )
