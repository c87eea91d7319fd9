"""Epochs: read, push, settle, flush, save, commit — and what happens when any of them fails.

An engine drives a `Run` and decides only who calls it; it knows nothing of positions, failures or
the store. `Run.epoch` is the whole protocol.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, cast

from .batch import Batch, Failure
from .combine import ENDED, in_turn
from .component import Context, Input, Output, Stage
from .errors import PenstockError, RecordError, RunError
from .graph import Graph, Node
from .journal import Balance, FailureGroup, NodeReport, Report
from .options import mask, secrets_of
from .schedule import Clock, SystemClock
from .steps import allowed_tries, pause, retrying, separate, step_of
from .store import Checkpoint, DeadLetter, IndexedKey, MemoryStore, Store, encode_record

if TYPE_CHECKING:
    from .steps import Step

__all__ = ["Display", "Engine", "EpochLimits", "NodeRun", "Run"]

_BREAKER_LEAST = 100
_BREAKER_SHARE = 0.10
_BREAKER_READ = 1000
_KEPT_IN_MEMORY = 1000


class Engine(Protocol):
    """Decides who calls the run: on which thread, process or machine."""

    def execute(self, run: Run) -> None:
        """Call `run.drive` until it returns."""


@dataclass(frozen=True)
class EpochLimits:
    """An epoch ends when one of these is reached; None is no limit."""

    records: int | None = None
    seconds: float | None = 10.0


@dataclass
class Display:
    """How a run may show itself to a person; a run without one shows nothing.

    The command line gives one. A plugin that has shown the final report sets `report_shown`.
    """

    progress: bool = True
    color: bool = False
    report_shown: bool = False


class NodeRun:
    """A node at work in one run: the step it takes and what it has counted.

    Only one thread at a time works on a node, so its counters need no lock.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name
        self.role = node.role
        self.component = node.component
        self.settings = node.settings
        self.successors: list[tuple[NodeRun, bool]] = []
        self.predecessors: list[NodeRun] = []
        self.step: Step
        self.received = self.sent = self.answered = 0
        self.filtered = self.failed = self.added = self.merged = self.skipped = 0
        self.dead = 0
        self.seconds = 0.0
        self.ended = False
        self.off = False  # an optional component that has failed
        self.secrets = secrets_of(node.component)
        self.observations: dict[str, Any] = {}

    def count(self, out: Batch) -> None:
        """Add what a stage answered; see `Batch.consumed` for the words."""
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

    def report(self) -> NodeReport:
        return NodeReport(
            name=self.name,
            role=self.role,
            use=self.node.use,
            received=self.received,
            sent=self.sent,
            filtered=self.filtered,
            failed=self.failed,
            added=self.added,
            merged=self.merged,
            skipped=self.skipped,
            seconds=self.seconds,
            observations=self.observations,
        )


class _Drained(BaseException):
    """Raised by a signal handler to leave a read that blocks."""


Push = Callable[[NodeRun, Batch], None]


class Run:
    """One execution of a graph: owns positions, failures, counters and checkpoints."""

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
        self.error: Exception | None = None
        self.nodes = _node_runs(graph)
        self.positions: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.epochs = 0
        self.read = 0
        self.started = self.clock.now()
        self._emit = _Events(hooks)
        self._groups: dict[tuple[str, str], FailureGroup] = {}
        self._letters: list[DeadLetter] = []
        self._keys: list[IndexedKey] = []
        self._letter_count = 0
        self._lock = Lock()  # around what several nodes add to: letters, groups
        self._stopping: str | None = None
        self._reading = False
        self._wants_less = False

    # ---- the whole run --------------------------------------------------------------------------

    def execute(self) -> Report:
        """Open, drive, close, report. What ended a run that failed is kept in `error`, not raised."""
        started = perf_counter()
        error: Exception | None = None
        try:
            self._open()
            self._emit.run_started(self)
            self.engine.execute(self)
        except Exception as raised:
            error = raised
        finally:
            close_error = self._close()
        self.error = error or close_error
        report = self._report(self.error, perf_counter() - started)
        try:
            self.store.keep_report(report.to_dict())
        except Exception as raised:
            report.warnings.append(f"the report could not be kept: {describe(raised)}")
        self._emit.run_finished(self, report)
        return report

    def try_open(self) -> None:
        """Open every component and close it again; raises what does not open."""
        try:
            self._open()
        finally:
            error = self._close()
        if error is not None:
            raise error

    def stop(self, reason: str = "stopped") -> None:
        """Read no more: finish this epoch and end. Safe to call from a signal handler."""
        self._stopping = reason
        if self._reading:
            raise _Drained

    @property
    def stopping(self) -> str | None:
        return self._stopping

    # ---- what an engine calls -------------------------------------------------------------------

    def drive(
        self,
        batches: Iterator[tuple[str, Any]],
        push: Push,
        settle: Callable[[], None],
    ) -> None:
        """Run epochs until the inputs have ended or the run is stopped.

        `batches` gives pairs as `in_turn` does; `push(node, batch)` hands a batch to a node;
        `settle()` returns when everything pushed has gone through, and raises what went wrong.
        """
        while self.epoch(batches, push, settle):
            pass

    def epoch(
        self,
        batches: Iterator[tuple[str, Any]],
        push: Push,
        settle: Callable[[], None],
    ) -> bool:
        """One epoch; whether there is another one.

        Outputs are made durable before positions are stored, and inputs are told last: dying
        between any two lines repeats work but loses no record.
        """
        more = self._read_epoch(batches, push, settle)
        settle()
        self.epochs += 1
        self._check_breaker(final=True)
        done = not more and self._stopping is None
        if done:
            self._check_balance()
        self._flush_outputs(complete=done)
        checkpoint = self._save(complete=done)
        for node in self._of_role("input"):
            cast(Input, node.component).commit(self._positions_of(node))
        self._emit.checkpoint_saved(self, checkpoint)
        return more and self._stopping is None

    def turns(self) -> Iterator[tuple[str, Any]]:
        """The batches of every input, read on the calling thread."""
        return in_turn({node.name: self.reader(node) for node in self._of_role("input")}, self.graph.after)

    def reader(self, node: NodeRun) -> Iterator[Batch | None]:
        """The batches of one input, timed, with what goes wrong named after the node."""
        component = cast(Input, node.component)
        try:
            batches = component.read(self._positions_of(node))
            while not node.ended:
                start = perf_counter()
                batch = next(batches, ENDED)
                node.seconds += perf_counter() - start
                if batch is ENDED:
                    return
                yield cast("Batch | None", batch)
        except Exception as error:
            if not node.settings.optional:
                raise self._broken(node, error) from error
            self._switch_off(node, error)

    def push(self, node: NodeRun, batch: Batch) -> None:
        """Put a batch through `node` and all that follows it, on the calling thread."""
        for out in self.work(node, batch):
            for successor, copied in node.successors:
                self.push(successor, copy_of(out) if copied else out)

    def work(self, node: NodeRun, batch: Batch) -> Iterable[Batch]:
        """Let one node work on a batch: what it passes on. The engine sees to its successors."""
        node.received += len(batch.records)
        if node.role == "output":
            self._write(node, batch)
            return ()
        return self._through(node, lambda: node.step(batch), batch)

    # ---- reading --------------------------------------------------------------------------------

    def _read_epoch(
        self, batches: Iterator[tuple[str, Any]], push: Push, settle: Callable[[], None]
    ) -> bool:
        """Read and push until the epoch is full; False when the inputs have ended."""
        read_before = self.read
        deadline = self.clock.monotonic() + (self.limits.seconds or float("inf"))
        self._failed_before, self._read_before = self._failed_so_far(), self.read
        while self._stopping is None:
            name, batch = self._next(batches)
            if batch is ENDED:
                if not name:
                    return False
                settle()
                self._end(self.nodes[name], push, settle)
            elif batch is None:
                self._idle(push)
            else:
                node = self.nodes[name]
                batch = self._accept(node, batch)
                for successor, copied in node.successors:
                    push(successor, copy_of(batch) if copied else batch)
                if self._letters:
                    self._check_breaker()
                if self._wants_less:
                    settle()
                    self._end_unwanted()
            if self.max_records is not None and self.read >= self.max_records:
                return self._end_all(push, settle)
            if self.limits.records is not None and self.read - read_before >= self.limits.records:
                return True
            if self.clock.monotonic() >= deadline:
                return True
        return True

    def _next(self, batches: Iterator[tuple[str, Any]]) -> tuple[str, Any]:
        self._reading = True
        try:
            return next(batches, ("", ENDED))
        except _Drained:
            return "", None
        finally:
            self._reading = False

    def _accept(self, node: NodeRun, batch: Batch) -> Batch:
        """Count a batch fresh from an input and note its position."""
        if not batch.source:
            batch.source = node.name
        if self.max_records is not None:
            batch = _cut(batch, self.max_records - self.read)
        count = len(batch.records) + len(batch.failures)
        self.read += count
        node.sent += len(batch.records)
        self.positions[batch.source] = batch.resume
        if batch.failures:
            node.failed += len(batch.failures)
            self._set_aside(node, batch.source, batch.failures)
        if node.settings.key is not None:
            self._index(node, batch)
        self._emit.batch_done(self, node, batch)
        return batch

    def _index(self, node: NodeRun, batch: Batch) -> None:
        key = node.settings.key
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            value = record.get(key) if isinstance(record, dict) else getattr(record, str(key), None)
            self._keys.append(
                IndexedKey(self.pipeline, self.run_id, batch.source, ordinal, str(value))
            )
        if len(self._keys) > _KEPT_IN_MEMORY * 10:
            self._save_part()

    def _idle(self, push: Push) -> None:
        """Nothing was ready: give time windows their chance, then wait a little."""
        now = self.clock.now()
        for node in self._stages():
            if type(node.component).idle is not Stage.idle:  # type: ignore[attr-defined]
                stage = cast(Stage, node.component)
                for out in self._through(node, lambda stage=stage: stage.idle(now)):  # type: ignore[misc]
                    self._pass_on(node, out, push)
        if self._stopping is None:
            self.clock.sleep(0.01)

    # ---- ending ---------------------------------------------------------------------------------

    def _end(self, node: NodeRun, push: Push, settle: Callable[[], None]) -> None:
        """An input has no more: finish every stage that nothing can reach any longer, in order."""
        node.ended = True
        for stage in self._stages():
            if stage.ended or not all(before.ended for before in stage.predecessors):
                continue
            component = cast(Stage, stage.component)
            for out in self._through(stage, component.finish):
                self._pass_on(stage, out, push)
            settle()
            stage.ended = True

    def _end_all(self, push: Push, settle: Callable[[], None]) -> bool:
        settle()
        for node in self._of_role("input"):
            if not node.ended:
                self._end(node, push, settle)
        return False

    def _end_unwanted(self) -> None:
        """Stop reading inputs whose records all end at stages that want no more."""

        def wanted(node: NodeRun) -> bool:
            if node.role != "input" and getattr(node.component, "satisfied", False):
                return False
            return not node.successors or any(wanted(successor) for successor, _ in node.successors)

        self._wants_less = False
        for node in self._of_role("input"):
            if not wanted(node):
                node.ended = True  # its reader stops at the next turn and reports the end

    # ---- work -----------------------------------------------------------------------------------

    def _through(
        self, node: NodeRun, call: Callable[[], Iterable[Batch]], batch: Batch | None = None
    ) -> Iterator[Batch]:
        """What a stage gives, timed and counted, with failing records set aside."""
        start = perf_counter()
        try:
            for out in call():
                node.seconds += perf_counter() - start
                if not out.source and batch is not None:
                    out.source = batch.source
                node.count(out)
                if out.failures:
                    self._set_aside(node, out.source, out.failures)
                self._emit.batch_done(self, node, out)
                if len(out.records):
                    yield out
                start = perf_counter()
            node.seconds += perf_counter() - start
        except Exception as error:
            raise self._broken(node, error, batch) from error
        if node.component.satisfied:  # type: ignore[attr-defined]
            self._wants_less = True

    def _pass_on(self, node: NodeRun, out: Batch, push: Push) -> None:
        for successor, copied in node.successors:
            push(successor, copy_of(out) if copied else out)

    def _write(self, node: NodeRun, batch: Batch) -> None:
        if node.off:
            node.skipped += len(batch.records)
            return
        start = perf_counter()
        output = cast(Output, node.component)
        try:
            failures = self._patiently(node, lambda: output.write(batch)) or ()
        except Exception as error:
            if not node.settings.optional:
                raise self._broken(node, error, batch) from error
            self._switch_off(node, error)
            node.skipped += len(batch.records)
            return
        finally:
            node.seconds += perf_counter() - start
        node.sent += len(batch.records) - len(failures)
        if failures:
            node.failed += len(failures)
            self._set_aside(node, batch.source, failures)
        self._emit.batch_done(self, node, batch)

    def _patiently(self, node: NodeRun, call: Callable[[], Any]) -> Any:
        """Try an output's call again while its error allows it."""
        attempt = 1
        while True:
            try:
                return call()
            except Exception as error:
                if attempt >= allowed_tries(node.settings, error) or self._stopping:
                    raise
            self.clock.sleep(pause(attempt, node.settings.retry_delay, self._chance))
            attempt += 1

    # ---- failures -------------------------------------------------------------------------------

    def _set_aside(self, node: NodeRun, source: str, failures: Iterable[Failure]) -> None:
        """Do with failed records what the node's `on_error` says."""
        policy = node.settings.on_error
        for failure in failures:
            where = f"{source}:{failure.ordinal}"
            message = mask(describe(failure.error), node.secrets)
            if policy == "stop":
                raise RunError(
                    message,
                    where=f"{node.name} at {where}",
                    node=node.name,
                    hint="on_error is 'stop'",
                ) from failure.error
            with self._lock:
                self._group(node, failure, message, where)
            if policy == "skip":
                node.skipped += 1
                continue
            letter = self._letter(node, source, failure, message)
            with self._lock:
                node.dead += 1
                self._letters.append(letter)
                self._letter_count += 1
            self._emit.record_failed(self, node, letter)
            if len(self._letters) >= _KEPT_IN_MEMORY:
                self._save_part()

    def _group(self, node: NodeRun, failure: Failure, message: str, where: str) -> None:
        name = type(failure.error).__name__
        key = (node.name, name)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = FailureGroup(node.name, name, 1, message, where)
        else:
            group.count += 1

    def _letter(self, node: NodeRun, source: str, failure: Failure, message: str) -> DeadLetter:
        now = self.clock.now()
        return DeadLetter(
            pipeline=self.pipeline,
            source=source,
            ordinal=failure.ordinal,
            node=node.name,
            error=type(failure.error).__name__,
            message=message,
            record=mask(encode_record(failure.record), node.secrets),
            run_id=self.run_id,
            plugin=node.node.plugin,
            version=node.node.version,
            config_hash=node.node.config_hash,
            attempts=getattr(failure.error, "attempts", 1),
            first=now,
            last=now,
        )

    def _failed_so_far(self) -> int:
        return sum(node.failed for node in self.nodes.values())

    def _check_breaker(self, final: bool = False) -> None:
        """Stop a run in which most records fail: a wrong column name is not a million dead letters."""
        failed = self._failed_so_far() - self._failed_before
        read = self.read - self._read_before
        if failed < _BREAKER_LEAST or failed <= read * _BREAKER_SHARE:
            return
        if read < _BREAKER_READ and not final:
            return
        worst = max(self._groups.values(), key=lambda group: group.count)
        raise RunError(
            f"{failed} of {read} records failed, most with {worst.message!r} (as at {worst.example})",
            where=worst.node,
            node=worst.node,
            hint="mend the pipeline or the data; a run stops when more than 10 % fail",
        )

    def _broken(self, node: NodeRun, error: Exception, batch: Batch | None = None) -> Exception:
        """The error to raise for something that ends the run, named after its node."""
        if isinstance(error, PenstockError):
            if error.where is None:
                error.where = node.name
            return error
        where = node.name
        if batch is not None and len(batch.ordinals):
            where = f"{node.name} at {batch.source}:{batch.ordinals[0]}"
        return RunError(mask(describe(error), node.secrets), where=where, node=node.name)

    def _switch_off(self, node: NodeRun, error: Exception) -> None:
        node.off = True
        message = mask(describe(error), node.secrets)
        self.warnings.append(f"{node.name} is optional and was left out: {message}")

    # ---- checkpoints ----------------------------------------------------------------------------

    def _flush_outputs(self, complete: bool) -> None:
        for node in self._of_role("output"):
            if node.off:
                continue
            output = cast(Output, node.component)
            start = perf_counter()
            try:
                self._patiently(node, output.flush)
                if complete:
                    output.finish()
            except Exception as error:
                raise self._broken(node, error) from error
            node.seconds += perf_counter() - start

    def _save(self, complete: bool) -> Checkpoint:
        states = {
            node.name: state
            for node in self._stages()
            if (state := cast(Stage, node.component).snapshot()) is not None
        }
        checkpoint = Checkpoint(self.pipeline, self.run_id, self.epochs, dict(self.positions), states)
        with self._lock:
            letters, self._letters = self._letters, []
            keys, self._keys = self._keys, []
        self.store.save(checkpoint, letters, keys)
        if complete and self.max_records is None:
            self.store.settle_letters(self.pipeline, self.run_id, self.positions)
        return checkpoint

    def _save_part(self) -> None:
        """Keep letters and keys before the epoch ends, so that memory stays bounded."""
        with self._lock:
            letters, self._letters = self._letters, []
            keys, self._keys = self._keys, []
            earlier = self.store.checkpoint(self.pipeline)
            self.store.save(earlier or Checkpoint(self.pipeline, self.run_id, 0), letters, keys)

    def _positions_of(self, node: NodeRun) -> Mapping[str, Any]:
        mine = (node.name, f"{node.name}/")
        return {
            source: position
            for source, position in self.positions.items()
            if source == mine[0] or source.startswith(mine[1])
        }

    # ---- opening and closing --------------------------------------------------------------------

    def _open(self) -> None:
        self._chance = random.Random(self.run_id)
        for node in self.nodes.values():
            if node.role in ("inspector", "transformer"):
                self._prepare(node)
        # Outputs first: a wrong password should stop the run before anything is read.
        self._opened: list[NodeRun] = []
        for role in ("output", "transformer", "inspector", "input"):
            for node in self._of_role(role):
                self._opened.append(node)
                try:
                    node.component.open(self._context(node))
                except Exception as error:
                    if not (node.settings.optional and role in ("input", "output")):
                        raise self._broken(node, error) from error
                    self._switch_off(node, error)
                    node.ended = role == "input"
                if role in ("inspector", "transformer"):
                    self._prepare(node)

    def _prepare(self, node: NodeRun) -> None:
        component = cast(Stage, node.component)
        one = getattr(component, "transform", None) or getattr(component, "inspect", None)
        recover = retrying(one or _no_retry, node.settings, self.clock, self._chance)
        node.step = step_of(component, recover)

    def _context(self, node: NodeRun) -> Context:
        return Context(
            node.name,
            pipeline=self.pipeline,
            run_id=self.run_id,
            clock=self.clock,
            observations=node.observations,
        )

    def _close(self) -> Exception | None:
        first: Exception | None = None
        for node in reversed(getattr(self, "_opened", [])):
            try:
                node.component.close()
            except Exception as error:
                if first is None:
                    first = self._broken(node, error)
        return first

    # ---- the report -----------------------------------------------------------------------------

    def balance(self) -> Balance:
        """Where every record went, by the counters as they stand."""
        made = Balance()
        for node in self.nodes.values():
            made.dead += node.dead
            made.skipped += node.skipped
            if node.role == "input":
                made.read += node.sent + node.failed
            elif node.role == "output":
                made.written += node.sent
            else:
                made.added += node.added
                made.merged += node.merged
                made.filtered += node.filtered
                made.held += node.received - node.answered
            if node.role != "output":
                made.copied += node.sent * (len(node.successors) - 1)
        made.errors = list(self._imbalances())
        return made

    def _imbalances(self) -> Iterator[str]:
        for node in self.nodes.values():
            if node.role == "input":
                continue
            arriving = sum(before.sent for before in node.predecessors)
            if arriving != node.received:
                yield f"{node.name} was sent {arriving} records and received {node.received}"
            if node.role != "output" and node.ended and node.received != node.answered:
                yield (
                    f"{node.name} received {node.received} records and answered for {node.answered}: "
                    "a stage must pass on, drop or fail every record"
                )

    def _check_balance(self) -> None:
        for wrong in self._imbalances():
            raise RunError(
                f"records were lost or made up: {wrong}", hint="this is a fault in a plugin"
            )

    def _report(self, error: BaseException | None, seconds: float) -> Report:
        status = "letters" if self._letter_count else "ok"
        if self._stopping is not None:
            status = "interrupted"
        if error is not None:
            status = "failed"
        balance = self.balance()
        if error is not None:
            balance.errors = []  # what was under way is not accounted for when a run breaks off
        return Report(
            pipeline=self.pipeline,
            run_id=self.run_id,
            status=status,
            engine=self.engine_name,
            started=self.started,
            seconds=seconds,
            epochs=self.epochs,
            nodes=[node.report() for node in self.nodes.values()],
            balance=balance,
            failures=sorted(self._groups.values(), key=lambda group: -group.count),
            letters=self._letter_count,
            positions=dict(self.positions),
            warnings=list(self.warnings),
            error=describe(error) if error is not None else None,
            config_hash=self.config_hash,
        )

    def _of_role(self, role: str) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.role == role]

    def _stages(self) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.role in ("inspector", "transformer")]


class _Events:
    """Calls the hooks that somebody implements; the others cost nothing."""

    def __init__(self, hooks: Any) -> None:
        for event in ("run_started", "batch_done", "record_failed", "checkpoint_saved", "run_finished"):
            setattr(self, event, self._caller(hooks, f"penstock_{event}", _ARGUMENTS[event]))

    if TYPE_CHECKING:
        run_started: Callable[..., None]
        batch_done: Callable[..., None]
        record_failed: Callable[..., None]
        checkpoint_saved: Callable[..., None]
        run_finished: Callable[..., None]

    @staticmethod
    def _caller(hooks: Any, name: str, arguments: tuple[str, ...]) -> Callable[..., None]:
        hook = getattr(hooks, name, None)
        if hook is None or not hook.get_hookimpls():
            return _nothing
        return lambda *values: hook(**dict(zip(arguments, values, strict=True)))


_ARGUMENTS = {
    "run_started": ("run",),
    "batch_done": ("run", "node", "batch"),
    "record_failed": ("run", "node", "letter"),
    "checkpoint_saved": ("run", "checkpoint"),
    "run_finished": ("run", "report"),
}


def _nothing(*_: Any) -> None:
    return None


def _no_retry(item: Any) -> Any:
    raise AssertionError("only transformers and inspectors are retried record by record")


def copy_of(batch: Batch) -> Batch:
    """The same batch with records that share nothing."""
    return Batch(separate(batch.records), batch.source, batch.ordinals, batch.resume)


def _cut(batch: Batch, count: int) -> Batch:
    if len(batch.records) + len(batch.failures) <= count:
        return batch
    failures = list(batch.failures)[: max(0, count - len(batch.records))]
    return Batch(
        list(batch.records)[:count],
        batch.source,
        batch.ordinals[:count],
        batch.resume,
        failures=failures,
    )


def _node_runs(graph: Graph) -> dict[str, NodeRun]:
    nodes = {name: NodeRun(node) for name, node in graph.nodes.items()}
    copied = graph.copied_edges()
    for left, right in graph.edges:
        nodes[left].successors.append((nodes[right], (left, right) in copied))
        nodes[right].predecessors.append(nodes[left])
    return nodes


def _new_id(clock: Clock) -> str:
    from os import urandom
    from time import gmtime, strftime

    return strftime("%Y%m%dT%H%M%S", gmtime(clock.now())) + "-" + urandom(3).hex()


def describe(error: BaseException) -> str:
    """An error as part of a sentence: the class is named unless the text was written for people."""
    if isinstance(error, (PenstockError, RecordError)):
        return str(error)
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
