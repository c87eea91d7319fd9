"""Epochs: read, push, settle, flush, save, commit — and what happens when any of them fails.

An engine drives a `Run` and decides only who calls it; it knows nothing of positions, failures or
the store. `Run.epoch` is the whole protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from .batch import EPOCH_END, Batch, Moves, moved, size_of
from .care import STAY, Care, cut, last_ordinal
from .combine import ENDED, in_turn
from .components import Input, Stage
from .delivery import Delivery, Pending
from .events import Events
from .failures import Failures, describe
from .graph import Graph
from .journal import Report
from .keys import Keys
from .moving import change_hands
from .nodes import Duties, NodeRun, copy_of, faults, node_runs
from .reporting import check_balance, report_of
from .schedule import Clock, SystemClock
from .store import Checkpoint, MemoryStore, Store

if TYPE_CHECKING:
    from random import Random

__all__ = ["Display", "Engine", "EpochLimits", "NodeRun", "Run", "copy_of"]

_NAP = 0.01
_PROGRESS_EVERY = 0.1  # asking may cost an input a look at its files, so not with every batch

Batches = Iterator[tuple[str, Any]]
Push = Callable[[NodeRun, Batch], None]
Settle = Callable[[], None]


class Engine(Protocol):
    """Decides who calls the run: on which thread, process or machine.

    One that does not read the inputs but keeps positions of its own has an attribute
    `own_positions` that is true: no other engine goes on with a run of it that was cut off.
    """

    def execute(self, run: Run) -> None:
        """Call `run.drive` until it returns."""


class EpochLimits(NamedTuple):
    """An epoch ends when one of these is reached; None is no limit."""

    records: int | None = None
    seconds: float | None = 10.0
    bytes: int | None = None


@dataclass
class Display:
    """How a run may show itself to a person; a run without one shows nothing.

    The command line gives one. A plugin that has shown the final report sets `report_shown`.
    """

    progress: bool = True
    color: bool = False
    report_shown: bool = False


class _Drained(BaseException):
    """Raised by a signal handler to leave a read that blocks."""


class _Aborted(BaseException):
    """Raised by a signal handler to leave an epoch that cannot be finished."""


class Run:
    """One execution of a graph: owns positions, failures, counters and checkpoints.

    `waiting()` gives the batches that wait before each node, by name, and `left_over(node)` what an
    input has read that was not asked for; an engine that reads ahead replaces them. `polled` is set
    by an engine whose batches never keep the run waiting for long: stopping need not interrupt it
    then. `stash` is for plugins: what one keeps for this run, under the plugin's name.
    """

    def __init__(
        self,
        graph: Graph,
        engine: Engine,
        *,
        pipeline: str = "pipeline",
        store: Store | None = None,
        hooks: Any = None,
        clock: Clock | None = None,
        limits: EpochLimits | None = None,
        max_records: int | None = None,
        run_id: str | None = None,
        engine_name: str = "inline",
        config_hash: str = "",
        display: Display | None = None,
        fresh: bool = False,
        reparse: bool = False,
        max_seconds: float | None = None,
    ) -> None:
        self.graph = graph
        self.engine = engine
        self.pipeline = pipeline
        self.store = store or MemoryStore()
        self.clock = clock or SystemClock()
        self.limits = limits or EpochLimits()
        self.max_records = max_records
        self.run_id = run_id or _new_id(self.clock)
        self.engine_name = engine_name
        self.config_hash = config_hash
        self.display = display
        self.fresh = fresh
        self.reparse = reparse
        self.max_seconds = max_seconds
        self.nodes = node_runs(graph)
        self.inputs = self._of_role("input")
        self.outputs = self._of_role("output")
        self.stages = [node for node in self.nodes.values() if node.is_stage]
        self.positions: dict[str, Any] = {}
        self.ordinals: dict[str, int] = {}
        self.tenures: dict[str, int] = {}
        self.warnings: list[str] = []
        self.waiting: Callable[[], Mapping[str, int]] = dict
        self.left_over: Callable[[NodeRun], Iterable[Batch]] = lambda node: ()
        self.polled = False
        self.stash: dict[str, Any] = {}
        self.epochs = 0
        self.read = 0
        self.resumed_at = 0
        self.started = self.clock.now()
        self.error: Exception | None = None
        self.stopping: str | None = None
        self.limit: str | None = None  # the limit that the run was given and has reached
        self.events = Events(hooks)
        self.failures = Failures(
            pipeline, self.run_id, self.clock, self._record_failed, self._save_part
        )
        self.delivery = Delivery(
            pipeline,
            self.run_id,
            self.store,
            self.clock,
            self.nodes,
            config_hash,
            getattr(self.store, "folder", None),
            engine_name if getattr(engine, "own_positions", False) else "",
        )
        self.keys = Keys(pipeline, self.run_id)
        self._opened: list[NodeRun] = []
        self._random: Random | None = None
        self._reading = self._driven = False
        self._care = Care(self.delivery.attempt)
        self._done: dict[str, int] = {}
        self._moves: tuple[NodeRun, Moves] | None = None
        self._begun_at: Mapping[str, int] = {}

    # ---- the whole run --------------------------------------------------------------------------

    def execute(self) -> Report:
        """Open, drive, close, report. What ended a run that failed is in `error`, not raised."""
        started = perf_counter()
        try:
            self.delivery.lease()
            self._open()
            self._recover()
            begun = replace(report_of(self, 0.0), status="running")
            self.store.keep_report(begun.to_dict())  # all there is of a run that is killed
            self.events.run_started(self)
            self._driven = True
            self.engine.execute(self)
        except Exception as error:
            self.error = error
        except KeyboardInterrupt:
            self.delivery.release()  # somebody wanted this; it says nothing about the records
            raise
        except _Aborted as reason:
            self.warnings.append(f"the last epoch was given up, {reason}; it is read again")
        finally:
            self._driven = False
            close_error = self._close()
            self.delivery.close()
        self.error = self.error or close_error
        report = report_of(self, perf_counter() - started)
        try:
            self.store.keep_report(report.to_dict())
            self.delivery.release()
        except Exception as error:
            report.warnings.append(f"the report could not be kept: {describe(error)}")
        self.events.run_finished(self, report)
        return report

    def try_open(self) -> None:
        """Open every component and close it again; raises what does not open."""
        try:
            self._open()
        finally:
            error = self._close()
        if error is not None:
            raise error

    def go_back(self, to: Checkpoint) -> None:
        """Instead of running: let the next run go on from an earlier checkpoint, after the outputs
        that can have taken back what they wrote since."""
        self.delivery.lease()
        try:
            self._open(self.outputs)
            self.delivery.go_back(to)
        finally:
            error = self._close()
            self.delivery.close()
            self.delivery.release()
        if error is not None:
            raise error

    def stop(self, reason: str = "stopped") -> None:
        """Read no more: finish this epoch and end. Safe to call from a signal handler."""
        self.stopping = reason
        if self._reading and not self.polled:
            raise _Drained

    def abort(self, reason: str) -> None:
        """Leave the epoch as a crash would: what was written since the last checkpoint is taken
        back or repeated by the next run. Only for a signal handler, on the thread of `execute`."""
        self.stopping = reason
        if self._driven:
            raise _Aborted(reason)

    # ---- what an engine calls -------------------------------------------------------------------

    def drive(self, batches: Batches, push: Push, settle: Settle) -> None:
        """Run epochs until the inputs have ended or the run is stopped.

        `batches` gives pairs as `in_turn` does; `push(node, batch)` hands a batch to a node;
        `settle()` returns when everything pushed has gone through, and raises what went wrong.
        """
        while self.epoch(batches, push, settle):
            pass

    def epoch(self, batches: Batches, push: Push, settle: Settle) -> bool:
        """One epoch; whether there is another one.

        What is written is durable before positions are stored, and inputs are told last: dying
        between any two lines repeats work but loses no record. See `Delivery.commit`.
        """
        self._care.begin_epoch(self.read)
        more = self._read_epoch(batches, push, settle)
        if more and self.stopping is not None and self.limit is None:
            self._read_left_over(push, settle)
        settle()
        self.epochs += 1
        self.failures.check_breaker(self.read, final=True)
        if not more:
            self._check_balance()
        checkpoint = self._commit(complete=not more)
        for node in self.inputs:
            component = cast(Input, node.component)
            node.guarded(partial(component.commit, self._positions_of(node)))
        self.events.checkpoint_saved(self, checkpoint)
        if self._moves is not None:
            change_hands(self, *self._moves)
            self._moves = None
        return more and self.stopping is None

    def turns(self) -> Batches:
        """The batches of every input, read on the calling thread."""
        return in_turn({node.name: self.reader(node) for node in self.inputs}, self.graph.after)

    def reader(self, node: NodeRun) -> Iterator[Batch | None]:
        """The batches of one input, timed, with what goes wrong named after the node."""
        component = cast(Input, node.component)
        ask_again = 0.0 if self.display is not None else float("inf")
        passing = False
        try:
            batches = component.read(self._positions_of(node)) if not node.ended else iter(())
            while not node.ended:
                start = perf_counter()
                batch = next(batches, ENDED)
                now = perf_counter()
                node.seconds += now - start
                if now >= ask_again:  # here, because only this thread may call the component
                    node.progress, ask_again = component.progress(), now + _PROGRESS_EVERY
                if batch is ENDED:
                    return
                passing = True
                yield cast("Batch | None", batch)
                passing = False
        except faults() as error:
            if passing:  # this generator is being closed
                raise
            if not node.settings.optional:
                raise node.broken(error) from error
            node.switch_off(error)

    def push(self, node: NodeRun, batch: Batch) -> None:
        """Put a batch through `node` and all that follows it, on the calling thread."""
        if node.role == "output":
            node.write(batch)
            return
        for out in node.process(batch):
            for successor, copied in node.successors:
                self.push(successor, copy_of(out) if copied else out)

    def work(self, node: NodeRun, batch: Batch) -> Iterable[Batch]:
        """Let one node work on a batch: what it passes on. The engine sees to its successors."""
        if node.role == "output":
            node.write(batch)
            return ()
        return node.process(batch)

    # ---- reading --------------------------------------------------------------------------------

    def _read_epoch(self, batches: Batches, push: Push, settle: Settle) -> bool:
        """Read and push until the epoch is full; False when the inputs have ended."""
        begun = self.read
        limit = 1 if self._care.careful else self.limits.records
        deadline = self.clock.monotonic() + (self.limits.seconds or float("inf"))
        room = float("inf") if self.limits.bytes is None else self.limits.bytes
        self.failures.begin_epoch(self.read)
        while self.stopping is None:
            name, batch = self._next(batches)
            if batch is ENDED:
                if not name:
                    return False
                settle()
                self._end(self.nodes[name], push, settle)
                continue  # no limit may keep a run from noticing that it is done
            if batch is None:
                self._idle(push, settle)
            elif type(batch) is Moves:
                self._moves = (self.nodes[name], batch)
            elif batch is not EPOCH_END:
                if self.limits.bytes is not None:
                    room -= size_of(batch)
                self._push_fresh(self.nodes[name], batch, push, settle)
                if any(stage.satisfied for stage in self.stages):
                    settle()
                    self._end_unwanted()
            if self.max_records is not None and self.read - self.resumed_at >= self.max_records:
                self.stopping = self.limit = f"after {self.max_records} records"
            full = batch is EPOCH_END or self._moves is not None or room <= 0
            if full or (limit is not None and self.read - begun >= limit):
                return True
            now = self.clock.monotonic()
            if self.max_seconds is not None and now - self._begun >= self.max_seconds:
                self.stopping = self.limit = f"after {self.max_seconds:g} seconds"
            if now >= deadline:
                return True
            self.delivery.renew()
        return True

    def _read_left_over(self, push: Push, settle: Settle) -> None:
        """What an engine has read ahead of an input that cannot be read again must not get lost."""
        for node in self.inputs:
            if cast(Input, node.component).capability == "ephemeral" and not node.ended:
                for batch in self.left_over(node):
                    self._push_fresh(node, batch, push, settle)

    def _next(self, batches: Batches) -> tuple[str, Any]:
        self._reading = True
        try:
            return next(batches, ("", ENDED))
        except _Drained:
            return "", None
        finally:
            self._reading = False

    def _push_fresh(self, node: NodeRun, batch: Batch, push: Push, settle: Settle) -> None:
        """Count a batch fresh from an input, note its position and send it on its way."""
        if not batch.source:
            batch.source = node.name
        if cast(Input, node.component).capability == "redelivering":
            # A broker numbers what it gives from one each time; a letter has its number for good.
            batch = moved(batch, self._begun_at.get(batch.source, 0))
        if batch.source in self._done:
            batch = self._skip_done(batch)
        if self.max_records is not None:
            batch = cut(batch, self.max_records + self.resumed_at - self.read)
        if not self._care.careful:
            self._push_batch(node, batch, push)
            return
        for piece in self._care.pieces(batch):
            self._push_batch(node, piece, push)
            if piece.resume is STAY:
                settle()
                self.epochs += 1
                self._commit(complete=False)

    def _push_batch(self, node: NodeRun, batch: Batch, push: Push) -> None:
        self.read += len(batch.records) + len(batch.failures)
        node.sent += len(batch.records)
        if batch.resume is not STAY:
            self.positions[batch.source] = batch.resume
        if len(batch.ordinals) or batch.failures:
            self.ordinals[batch.source] = last_ordinal(batch)
        if batch.failures:
            node.failed += len(batch.failures)
            self.failures.set_aside(node, batch.source, batch.failures)
        if node.settings.key is not None and self.keys.note(node, batch):
            self._save_part()
        self.events.batch_done(self, node, batch)
        batch.failures = ()
        if batch.records:
            for successor, copied in node.successors:
                push(successor, copy_of(batch) if copied else batch)
        self.failures.check_breaker(self.read)

    def _skip_done(self, batch: Batch) -> Batch:
        """A run may have stopped inside a batch: leave out what it has done of this one, which need
        not be the same one."""
        done = self._done[batch.source]
        if last_ordinal(batch) > done:
            del self._done[batch.source]
        flags = [ordinal > done for ordinal in batch.ordinals]
        if all(flags):
            flags = []
        kept = batch.keep(flags) if flags else batch
        failures = [failure for failure in batch.failures if failure.ordinal > done]
        return Batch(kept.records, batch.source, kept.ordinals, batch.resume, failures)

    def _idle(self, push: Push, settle: Settle) -> None:
        """Nothing was ready: give time windows their chance, then wait a little."""
        now = self.clock.now()
        for node in self.stages:
            component = cast(Stage, node.component)
            if type(component).idle is not Stage.idle:
                settle()  # nobody else may be at work on it
                self._send(node, partial(component.idle, now), push)
        if self.stopping is None:
            self.clock.sleep(_NAP)

    # ---- ending ---------------------------------------------------------------------------------

    def _end(self, node: NodeRun, push: Push, settle: Settle) -> None:
        """An input has no more: finish, in order, every stage that nothing can reach any longer."""
        node.ended = True
        for stage in self.stages:
            if not stage.ended and all(before.ended for before in stage.predecessors):
                self._send(stage, cast(Stage, stage.component).finish, push)
                settle()
                stage.ended = True

    def _end_unwanted(self) -> None:
        """Stop reading the inputs whose records all end at stages that want no more."""

        def wanted(node: NodeRun) -> bool:
            if node.satisfied:
                return False
            return not node.successors or any(wanted(after) for after, _ in node.successors)

        for node in self.inputs:
            if not wanted(node):
                node.ended = True  # its reader ends at the next turn

    def _send(self, node: NodeRun, call: Callable[[], Iterable[Batch]], push: Push) -> None:
        for out in node.process(None, call):
            for successor, copied in node.successors:
                push(successor, copy_of(out) if copied else out)

    # ---- checkpoints ----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Start where the run before stopped, if it was cut off."""
        start = self.delivery.recover(fresh=self.fresh, reparse=self.reparse)
        self.epochs = start.epoch
        self.positions = dict(start.positions)
        self.ordinals = dict(start.ordinals)
        self.tenures = dict(start.tenures)
        self._begun_at = start.ordinals
        self.warnings.extend(self.delivery.notes)
        self._begun = self.clock.monotonic()
        self.failures.since = start.started
        self._care.resume(self.store.attempts(self.pipeline))
        if not self.delivery.resumed:
            return
        self._done = dict(start.ordinals)
        for name, counts in start.counts.items():
            if name in self.nodes:
                self.nodes[name].restore_counts(counts)
        self.failures.letters = sum(node.dead for node in self.nodes.values())
        self.read = sum(node.sent + node.failed for node in self.inputs)
        self.resumed_at = self.read
        self.warnings.append(f"resumed after {self.read} records, where the run before was cut off")
        if start.ended:  # only the completing of the outputs is missing
            for node in self.nodes.values():
                node.ended = True

    def _commit(self, *, complete: bool) -> Checkpoint:
        checkpoint = Checkpoint(
            self.pipeline,
            self.run_id,
            self.epochs,
            positions=dict(self.positions),
            ordinals=dict(self.ordinals),
            tenures=dict(self.tenures),
            counts={name: node.counts() for name, node in self.nodes.items()},
            started=self.delivery.start.started,
            reparse=self.delivery.start.reparse,
        )
        pending = Pending(self.failures.take(), self.keys.take())
        checkpoint = self.delivery.commit(checkpoint, pending, complete=complete)
        if complete:
            self.store.settle_letters(self.pipeline, checkpoint.started, list(self.positions))
        return checkpoint

    def _save_part(self) -> None:
        """Keep letters and keys before their epoch ends, so that memory stays bounded."""
        letters, keys = self.failures.take(), self.keys.take()
        self.store.keep(self.pipeline, self.delivery.generation, letters, keys)

    def _chance(self) -> float:
        """From 0 to 1, for the jitter of pauses; most runs never pause."""
        if self._random is None:
            from random import Random

            self._random = Random(self.run_id)
        return self._random.random()

    def _positions_of(self, node: NodeRun) -> Mapping[str, Any]:
        partitions = f"{node.name}/"
        return {
            source: position
            for source, position in self.positions.items()
            if source == node.name or source.startswith(partitions)
        }

    def take_over(self, source: str, position: Any, ordinal: int | None) -> None:
        """Go on with a partition where another process stopped, which may be inside a batch."""
        for known, value in ((self.positions, position), (self.ordinals, ordinal)):
            known.pop(source, None)
            if value is not None:
                known[source] = value
        self._done.pop(source, None)
        if ordinal is not None:
            self._done[source] = ordinal

    # ---- opening, closing, reporting ------------------------------------------------------------

    def _open(self, nodes: Sequence[NodeRun] | None = None) -> None:
        duties = Duties(
            pipeline=self.pipeline,
            run_id=self.run_id,
            clock=self.clock,
            chance=self._chance,
            failures=self.failures,
            done=partial(self.events.batch_done, self) if self.events.heard else None,
            warnings=self.warnings,
            spool=self.delivery.spool if self.delivery.spools else None,
            state=getattr(self.store, "folder", None),
            epoch_seconds=self.limits.seconds or float("inf"),
            moving=self.delivery.moving,
        )
        # Outputs first: a wrong password should stop the run before anything is read.
        for node in nodes or [*self.outputs, *self.stages, *self.inputs]:
            self._opened.append(node)
            node.open(duties)

    def _close(self) -> Exception | None:
        """Close what was opened, last first; the first error is returned when all are closed."""
        first: Exception | None = None
        while self._opened:
            node = self._opened.pop()
            try:
                node.component.close()
            except faults() as error:
                first = first or node.broken(error)
        return first

    def _check_balance(self) -> None:
        check_balance(self)

    def _record_failed(self, _: Failures, node: NodeRun, letter: Any) -> None:
        self.events.record_failed(self, node, letter)

    def _of_role(self, role: str) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.role == role]


def _new_id(clock: Clock) -> str:
    """An id that sorts by time and that a person can type."""
    from os import urandom
    from time import gmtime, strftime

    return f"{strftime('%Y%m%dT%H%M%S', gmtime(clock.now()))}-{urandom(3).hex()}"
