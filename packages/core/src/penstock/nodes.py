"""A node at work in one run: the step it takes, how long it took and what it counted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from .batch import Batch, Failure
from .components import Context, Output, Stage
from .errors import PenstockError, RunError
from .failures import Failures, describe
from .journal import NodeReport
from .options import mask, secrets_of
from .partitions import Partitioned
from .steps import Step, allowed_tries, pause, retrying, separate, step_of

if TYPE_CHECKING:
    from pathlib import Path

    from .graph import Graph, Node
    from .schedule import Clock

__all__ = ["Duties", "NodeRun", "copy_of", "faults", "node_runs"]


def faults() -> tuple[type[BaseException], ...]:
    """What a component may raise that is its own fault, for an `except`, which asks only when
    something was raised.

    Leaving (`sys.exit()`, a cancelled task) is among it: passed on, it would end the run without
    a word and as if all were well. Ctrl-C and what signal handlers raise are not.
    """
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", Exception)
    return (Exception, SystemExit, GeneratorExit, cancelled)


_COUNTED = (
    "received",
    "sent",
    "answered",
    "filtered",
    "failed",
    "dead",
    "skipped",
    "added",
    "merged",
    "taken",
    "handed",
)


@dataclass
class Duties:
    """What the nodes of one run share. `done(node, batch)`, if there is one, is told of every batch
    passed on."""

    pipeline: str
    run_id: str
    clock: Clock
    chance: Callable[[], float]
    failures: Failures
    done: Callable[[NodeRun, Batch], None] | None
    warnings: list[str]
    spool: Callable[[NodeRun, Batch, Sequence[Failure]], None] | None = None
    state: Path | None = None
    epoch_seconds: float | None = None
    moving: frozenset[str] = frozenset()


class NodeRun:
    """One node in one run. Only one thread at a time works on it, so its counters need no lock.

    `received`, `sent`, `filtered`, `failed`, `dead`, `skipped`, `added` and `merged` count records
    as `journal.Balance` explains; `answered` is the sum of what a stage has consumed. `progress` is
    what an input last said of itself, when somebody is shown it.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name
        self.role = node.role
        self.component = node.component
        if self.is_stage:
            stage = cast(Stage, node.component)
            if stage.partitioned and stage.keeps_state:
                self.component = Partitioned(stage)
        self.settings = node.settings
        component = getattr(node.component, "inner", node.component)
        self.secrets = secrets_of(component) | secrets_of(getattr(component, "broker", component))
        self.successors: list[tuple[NodeRun, bool]] = []
        self.predecessors: list[NodeRun] = []
        self.duties: Duties
        self.context: Context
        self.step: Step
        self.received = self.sent = self.answered = 0
        self.filtered = self.failed = self.dead = self.skipped = 0
        self.added = self.merged = 0
        self.taken = self.handed = 0
        self.earlier = 0
        self.seconds = 0.0
        self.progress: float | None = None
        self.ended = False
        self.off = False  # an optional component that has failed
        self.satisfied = False
        self.observations: dict[str, Any] = {}

    @property
    def is_stage(self) -> bool:
        return self.role in ("inspector", "transformer")

    @property
    def is_shared(self) -> bool:
        """Whether all that comes here is of inputs that are shared, through stages without a state:
        then it is the same in whichever process it comes about."""
        if self.role == "input":
            return bool(getattr(self.component, "shared", False))
        if self.is_stage and cast(Stage, self.component).keeps_state:
            return False
        return bool(self.predecessors) and all(one.is_shared for one in self.predecessors)

    def open(self, duties: Duties) -> None:
        """Open the component; one that is optional is switched off when it does not open."""
        self.duties = duties
        context = Context(
            self.name,
            pipeline=duties.pipeline,
            run_id=duties.run_id,
            clock=duties.clock,
            observations=self.observations,
            state=duties.state,
            epoch_seconds=duties.epoch_seconds,
            shared=self.is_shared,
            moves=bool(duties.moving),
        )
        self.context = context
        try:
            self.component.open(context)
        except faults() as error:
            if not self.settings.optional:
                raise self.broken(error) from error
            self.switch_off(error)
        if isinstance(self.component, Partitioned):
            self.component.step_of = self._step_of
            self.component.moving = duties.moving
        if self.is_stage:
            self.step = self._step_of(cast(Stage, self.component))

    def _step_of(self, stage: Stage) -> Step:
        one = getattr(stage, "transform", None) or getattr(stage, "inspect", None)
        duties = self.duties
        recover = retrying(one, self.settings, duties.clock, duties.chance) if one else None
        return step_of(stage, recover)

    # ---- stages ---------------------------------------------------------------------------------

    def process(
        self, batch: Batch | None, call: Callable[[], Iterable[Batch]] | None = None
    ) -> Iterator[Batch]:
        """What a stage makes of a batch, or gives when it is called without one (`idle`, `finish`):
        timed, counted, with failing records set aside."""
        duties = self.duties
        start = perf_counter()
        passing = False
        try:
            if batch is not None:
                self.received += len(batch.records)
                made = self.step(batch)
            else:
                made = call() if call is not None else ()
            for out in made:
                self.seconds += perf_counter() - start
                if not out.source and batch is not None:
                    out.source = batch.source
                if out.failures or out.dropped or out.consumed != len(out.records):
                    self._count(out)
                else:  # as many out as in: nearly every batch
                    self.sent += out.consumed
                    self.answered += out.consumed
                if out.failures:
                    duties.failures.set_aside(self, out.source, out.failures)
                if duties.done is not None:
                    duties.done(self, out)
                out.failures = ()  # they stay here; what comes next must not count them again
                if out.records:
                    passing = True
                    yield out
                    passing = False
                start = perf_counter()
        except faults() as error:
            if passing:  # this generator is being closed
                raise
            raise self.broken(error, batch) from error
        self.seconds += perf_counter() - start
        self.satisfied = cast(Stage, self.component).satisfied

    def _count(self, out: Batch) -> None:
        sent, failed = len(out.records), len(out.failures)
        passed = out.consumed - out.dropped - failed
        self.sent += sent
        self.answered += out.consumed
        self.filtered += out.dropped
        self.failed += failed
        if sent > passed:
            self.added += sent - passed
        else:
            self.merged += passed - sent

    # ---- states that move --------------------------------------------------------------------

    def hand_over(self, source: str) -> None:
        """Put the state of a partition aside, which others go on with."""
        self.handed += self.guarded(partial(self._partitioned.put_aside, source))

    def take_over(self, source: str, kept: Any, *, own: bool) -> None:
        """Go on with the state of a partition, which we had put aside ourselves or not."""
        held = self.guarded(partial(self._partitioned.take, source, kept))
        if own and held <= self.handed:
            self.handed -= held
        else:
            self.taken += held

    @property
    def _partitioned(self) -> Partitioned:
        return cast(Partitioned, self.component)

    # ---- outputs --------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Give a batch to an output, patiently; records that it refuses are set aside."""
        self.received += len(batch.records)
        output = cast(Output, self.component)
        if not self.off:
            start = perf_counter()
            try:
                failures = self.patiently(lambda: output.write(batch)) or ()
                if self.duties.spool is not None:
                    self.duties.spool(self, batch, failures)
            except faults() as error:
                if not self.settings.optional:
                    raise self.broken(error, batch) from error
                self.switch_off(error)
            else:
                self.sent += len(batch.records) - len(failures)
                if failures:
                    self.failed += len(failures)
                    self.duties.failures.set_aside(self, batch.source, failures)
                if self.duties.done is not None:
                    self.duties.done(self, batch)
            self.seconds += perf_counter() - start
        if self.off:
            self.skipped += len(batch.records)

    def resume(self, mark: Any, epoch: int) -> None:
        """Let an output take back what was written after `mark`."""
        self.guarded(lambda: cast(Output, self.component).resume(mark, epoch))

    def reopen(self, mark: Any, epoch: int) -> None:
        """Let an output that was completed go on after `mark`."""
        self.guarded(lambda: cast(Output, self.component).reopen(mark, epoch))

    def prepare(self, epoch: int) -> Any:
        """Make what an output has written durable; its mark, if it has one."""
        output = cast(Output, self.component)
        return self.guarded(lambda: self.patiently(lambda: output.prepare(epoch)))

    def finish(self) -> None:
        """Complete an output."""
        self.guarded(cast(Output, self.component).finish)

    def guarded(self, call: Callable[[], Any]) -> Any:
        """Call, on the node's time, and name what goes wrong after it."""
        start = perf_counter()
        try:
            return call()
        except faults() as error:
            raise self.broken(error) from error
        finally:
            self.seconds += perf_counter() - start

    def patiently(self, call: Callable[[], Any]) -> Any:
        """Try again, with growing pauses, while the kind of error and the settings allow it."""
        attempt = 1
        while True:
            try:
                return call()
            except Exception as error:
                if attempt >= allowed_tries(self.settings, error):
                    raise
            delay = pause(attempt, self.settings.retry_delay, self.duties.chance)
            self.duties.clock.sleep(delay)
            attempt += 1

    # ---- what goes wrong ------------------------------------------------------------------------

    def broken(self, error: BaseException, batch: Batch | None = None) -> Exception:
        """The error to raise for what ends the run, with the name of this node."""
        if isinstance(error, PenstockError):
            if error.where is None:
                error.where = self.name
            return error
        where = self.name
        if batch is not None and len(batch.ordinals):
            where = f"{self.name} at {batch.source}:{batch.ordinals[0]}"
        what = mask(describe(error), self.secrets)
        if isinstance(error, Exception):
            return RunError(what, where=where, node=self.name)
        return RunError(
            f"left with {what}",
            where=where,
            node=self.name,
            hint="raise RecordError to set a record aside",
        )

    def switch_off(self, error: BaseException) -> None:
        """Go on without an optional component."""
        self.off = True
        self.ended = self.role == "input"
        message = mask(describe(error), self.secrets)
        self.duties.warnings.append(f"{self.name} is optional and was left out: {message}")

    @property
    def held(self) -> int:
        """Records that a stage has in it."""
        return self.received + self.taken - self.answered - self.handed

    def counts(self) -> dict[str, int]:
        """Everything counted so far, for the checkpoint of a run that may have to be resumed."""
        return {name: getattr(self, name) for name in _COUNTED}

    def restore_counts(self, counts: Mapping[str, int]) -> None:
        for name in _COUNTED:
            setattr(self, name, counts.get(name, 0))
        self.earlier = self.report().handled
        if isinstance(self.component, Partitioned):  # it begins with the states that do not move
            self.handed += self.held - self.component.held

    def report(self) -> NodeReport:
        return NodeReport(
            name=self.name,
            role=self.role,
            use=self.node.use,
            received=self.received,
            sent=self.sent,
            filtered=self.filtered,
            failed=self.failed,
            dead=self.dead,
            skipped=self.skipped,
            added=self.added,
            merged=self.merged,
            taken=self.taken,
            handed=self.handed,
            held=self.held if self.is_stage else 0,
            earlier=self.earlier,
            seconds=self.seconds,
            observations=self.observations,
        )


def node_runs(graph: Graph) -> dict[str, NodeRun]:
    """A `NodeRun` for every node of a graph, connected; in the graph's order."""
    nodes = {name: NodeRun(node) for name, node in graph.nodes.items()}
    copied = graph.copied_edges()
    for left, right in graph.edges:
        nodes[left].successors.append((nodes[right], (left, right) in copied))
        nodes[right].predecessors.append(nodes[left])
    return nodes


def copy_of(batch: Batch) -> Batch:
    """The same batch with records that share nothing."""
    return Batch(separate(batch.records), batch.source, batch.ordinals, batch.resume)
