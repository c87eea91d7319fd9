"""One case run to its end: a real run, with a clock that stands still and a state in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock import Batch, DeadLetter, MemoryStore, Report, hookimpl
from penstock.errors import EXIT_FAILED
from penstock.graph import Graph
from penstock.nodes import NodeRun
from penstock.supervise import supervise
from penstock.testing import FakeClock
from penstock.tracing import ready

from .cases import Case, FaultOptions, moment_of
from .faults import Fault, inject
from .fixtures import Captured, Tape
from .staging import Stage

__all__ = ["Outcome", "Recorder", "run"]


class Recorder:
    """A plugin that keeps what the stages and inputs of a run pass on. One serves many runs."""

    def __init__(self) -> None:
        self.passed: dict[str, list[Any]] = {}
        self._safe: dict[str, int] = {}

    def begin(self) -> None:
        self.passed, self._safe = {}, {}

    def again(self) -> None:
        """The run starts again at its last checkpoint: what came after it comes once more."""
        for node, records in self.passed.items():
            del records[self._safe.get(node, 0) :]

    @hookimpl
    def penstock_batch_done(self, node: NodeRun, batch: Batch) -> None:
        if node.role != "output":  # of those, what they refuse must not count
            records = copy.deepcopy(list(batch.records))
            self.passed.setdefault(node.name, []).extend(records)

    @hookimpl
    def penstock_checkpoint_saved(self) -> None:
        self._safe = {node: len(records) for node, records in self.passed.items()}


@dataclass
class Outcome:
    """What a case has come to: the report, what left every node, the dead letters."""

    case: Case
    report: Report
    error: Exception | None
    shape: Graph
    records: dict[str, list[Any]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)
    nodes: Callable[[str], list[str]] = lambda name: [name]
    unstruck: list[FaultOptions] = field(default_factory=list)

    @property
    def exit(self) -> int:
        """What `penstock run` ends with."""
        if self.error is not None:
            return int(getattr(self.error, "exit_code", EXIT_FAILED))
        return self.report.exit_code

    def left(self, name: str) -> list[Any]:
        """The records that left a node, or all nodes of a component."""
        return [record for node in self.nodes(name) for record in self.records.get(node, ())]


def run(stage: Stage, recorder: Recorder) -> Outcome:
    """Run a case. What ends its run is in the outcome, not raised."""
    case, pipeline = stage.case, stage.pipeline
    now = moment_of(case.options.now)
    faults = [(Fault(one), stage.nodes(one.node)) for one in case.faults]
    tapes: dict[str, Tape] = {}
    store = MemoryStore()
    recorder.begin()

    def begins(run: Any) -> None:
        recorder.again()
        run.warnings.extend(pipeline.warnings)
        for node in run.graph.of_role("input"):
            if not node.component.finite:  # a log never ends: what it has now is all
                node.component.read = partial(ready, node.component.read)
        inject(run.graph, faults)
        for node in run.graph.of_role("output"):
            tapes[node.name] = _taped(node.component, tapes.get(node.name))

    store.open()
    try:
        one, report = supervise(
            pipeline, store, clock=FakeClock(time.time() if now is None else now), begins=begins
        )
        letters = list(store.letters(pipeline.name))
    finally:
        store.close()
    records = {**recorder.passed, **{name: tape.records for name, tape in tapes.items()}}
    unstruck = [fault.options for fault, _ in faults if not fault.struck]
    return Outcome(case, report, one.error, stage.shape, records, letters, stage.nodes, unstruck)


def _taped(component: Any, earlier: Tape | None) -> Tape:
    """The tape of what an output writes; one that is no stand-in gets one beside what it does."""
    if isinstance(component, Captured):
        tape: Tape = component.tape
        return tape
    tape = earlier or Tape()
    write = component.write

    def written(batch: Batch) -> Any:
        failures = write(batch)
        refused = {id(failure.record) for failure in failures or ()}
        tape.add([record for record in batch.records if id(record) not in refused])
        return failures

    component.write = written
    return tape
