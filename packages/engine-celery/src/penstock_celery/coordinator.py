"""What `penstock run` does with this engine: plan the chunks, ring, wait, and add up.

The run reads nothing itself. It is given, for each chunk that is done, its counts and letters and a
batch without records whose position says so; so they are added once, whoever dies when.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from penstock import EPOCH_END, Batch, ConnectError, DeadLetter, Input, RunError
from penstock.failures import shape_of
from penstock.journal import FailureGroup
from penstock.runs import Run

from .applications import application, broker_of, task_name
from .bells import Unheard, bell
from .engine import CeleryEngine
from .fitness import check_fitness
from .ledger import Ledger, LedgerRun, Summary
from .parts import text_of

__all__ = ["Coordinator"]

_BEGUN = 0
"""Stands in the positions for the run itself; chunks count from one."""
_POLL = 0.2
_DOUBLINGS = 5
_ALONE = 30.0  # seconds without a worker until somebody is told
_SILENCE = 2.0  # seconds until a broker that was not rung is rung again


class Coordinator:
    """The coordinator of one run."""

    def __init__(self, engine: CeleryEngine, run: Run) -> None:
        self.engine = engine
        self.run = run
        self.app = application(engine)
        self.ledger = Ledger(engine.ledger)
        self.task = task_name(run.pipeline)
        self.merged: set[int] = set()
        self._moved = time.time()
        self._stand: Sequence[tuple[str, str]] = ()
        self._told = self._reached = self._unheard = False
        self._not_before = 0.0

    def execute(self) -> None:
        """Until every chunk is done, or the run is stopped, or a chunk has failed for good."""
        check_fitness(self.run)
        self.run.polled = True
        state = "held"  # whoever stops must not leave workers that go on
        try:
            self.ledger.make()
            self.current = self._found() or self._planned()
            try:
                self.run.drive(self._batches(), self.run.push, _settle)
                if self.run.stopping is None:
                    state = "done"
            finally:
                self.ledger.set_state(self.current, state)
        finally:
            self.ledger.close()

    # ---- which run of the ledger ----------------------------------------------------------------

    def _found(self) -> LedgerRun | None:
        """The run of the ledger to go on with, if there is one."""
        mine = _noted(self.run.positions)
        found = self.ledger.run(mine) if mine else self.ledger.open_run(self.run.pipeline)
        if found is None:
            if mine:
                raise RunError(
                    f"the ledger knows nothing of {mine}",
                    where=self.run.pipeline,
                    hint="put the ledger back, or start over with --fresh",
                )
            return None
        if mine is None and (over := self._over(found)):
            self.ledger.set_state(found, over)
            return None
        if found.config_hash != self.run.config_hash:
            raise RunError(
                f"{found.name} is not over, and was begun with another pipeline or other options",
                where=self.run.pipeline,
                hint="put the file back, or start over with --fresh",
            )
        if mine:
            self.merged = {
                int(source.rpartition("/")[2])
                for source, position in self.run.positions.items()
                if _noted({source: position})
            } - {_BEGUN}
        self.ledger.take_up(found)
        return found

    def _over(self, found: LedgerRun) -> str | None:
        """What to say of a run of the ledger that nobody goes on with. The one that had added up
        all of it may have died before it could say so there; or another engine has run since."""
        last = self.run.store.checkpoint(self.run.pipeline)
        if self.run.fresh:
            return "dropped"
        if last is None or not last.finished:
            return None
        if last.engine != self.run.engine_name:
            return "dropped"
        return "done" if _noted(last.positions) == found.name else None

    def _planned(self) -> LedgerRun:
        """A new run of the ledger. It is rung only when the transaction is over."""
        parts = []
        for node in self.run.inputs:
            whole = cast(Input, node.component)
            for part in node.guarded(lambda: whole.split(self.engine.chunks)):  # noqa: B023
                parts.append((node.name, node.guarded(lambda: text_of(part, whole))))  # noqa: B023
        return self.ledger.plan(self.run.pipeline, self.run.config_hash, parts)

    # ---- waiting --------------------------------------------------------------------------------

    def _batches(self) -> Iterator[tuple[str, Any]]:
        if not self.run.positions:
            # Durable before anybody is rung: what goes on from here must be this run.
            first = self.run.inputs[0].name
            yield first, self._notice(first, _BEGUN)
            yield "", EPOCH_END
        while True:
            chunks = self.ledger.summaries(self.current)
            for chunk in chunks:
                if chunk.state == "done" and chunk.number not in self.merged:
                    self._merge(chunk)
                    yield chunk.input, self._notice(chunk.input, chunk.number)
            self._show(chunks)
            if len(self.merged) == len(chunks):
                return
            self._raise_failure()
            self._ring(chunks)
            yield "", None
            self.run.clock.sleep(_POLL)

    def _notice(self, name: str, number: int) -> Batch:
        return Batch([], f"{name}/{number}", (), {"ledger": self.current.name})

    def _raise_failure(self) -> None:
        found = self.ledger.failure(self.current)
        if found is None:
            return
        number, what, exit_code = found
        error = RunError(f"chunk {number} failed: {what}", where=self.run.pipeline)
        error.exit_code = exit_code
        raise error

    def _show(self, chunks: Sequence[Summary]) -> None:
        for node in self.run.inputs:
            mine = [chunk for chunk in chunks if chunk.input == node.name]
            done = sum(chunk.state == "done" for chunk in mine)
            node.progress = done / len(mine) if mine else 1.0

    # ---- ringing --------------------------------------------------------------------------------

    def _ring(self, chunks: Sequence[Summary]) -> None:
        """Ring for what was never rung for, for what its worker has left, and, when nothing moves,
        for all that waits: the broker may have lost it."""
        now = time.time()
        stand = [(chunk.state, chunk.holder) for chunk in chunks]
        if stand != self._stand:
            self._stand, self._moved = stand, now
        due = [chunk.number for chunk in chunks if self._due(chunk, now)]
        if due and now >= self._not_before:
            try:
                self._send(due)
            except Unheard as error:
                self._wait_for_broker(error)
        self._tell(chunks, now)

    def _due(self, chunk: Summary, now: float) -> bool:
        patience = self.engine.ring_again * 2 ** min(chunk.rings, _DOUBLINGS)
        if chunk.state == "running":
            return not chunk.held(now) and now - chunk.rung >= patience
        if chunk.state != "waiting" or chunk.until > now:
            return False
        return chunk.rings == 0 or now - max(chunk.rung, self._moved) >= patience

    def _send(self, numbers: Sequence[int]) -> None:
        heard = []
        try:
            with bell(self.app, self.task) as ring:
                for number in numbers:
                    ring(self.engine.queue, run=self.current.name, chunk=number)
                    heard.append(number)
        finally:
            if heard:
                self._reached = True
                self.ledger.rung(self.current, heard)
        self._unheard = False

    def _wait_for_broker(self, why: Unheard) -> None:
        """Without a broker nobody can begin; later, the chunks are safe and it may come back. So
        may one that is there and takes nothing for now."""
        broker = broker_of(self.engine, self.app)
        if not self._reached and not why.blocked:
            hint = "is the broker up, and is the url right?"
            raise ConnectError(
                f"{broker} cannot be reached: {why}", where="engine", hint=hint
            ) from why
        self._reached, self._not_before = True, time.time() + _SILENCE
        if not self._unheard:
            self._unheard = True
            what = "is blocked" if why.blocked else "cannot be reached"
            self._say(f"{broker} {what}: {why}; it is rung again until it answers")

    def _tell(self, chunks: Sequence[Summary], now: float) -> None:
        idle = all(chunk.state == "waiting" or not chunk.held(now) for chunk in chunks)
        if self._told or self._unheard or not idle or now - self._moved < _ALONE:
            return
        self._told = True
        self._say(f"no worker has taken a chunk for {_ALONE:g} s; start one with: penstock celery")

    def _say(self, sentence: str) -> None:
        self.run.warnings.append(sentence)
        if self.run.display is not None:
            print(f"penstock: {sentence}", file=sys.stderr)

    # ---- adding up ------------------------------------------------------------------------------

    def _merge(self, chunk: Summary) -> None:
        """Add what came of a chunk to what came of the run."""
        run = self.run
        checkpoint, report, letters = self.ledger.outcome(self.current, chunk.number)
        for name, counts in checkpoint.counts.items():
            node = run.nodes[name]
            for what, count in counts.items():
                setattr(node, what, getattr(node, what) + count)
            if node.role == "input":
                run.read += counts.get("sent", 0) + counts.get("failed", 0)
        self._merge_report(report, letters)
        mine = [replace(one, pipeline=run.pipeline, run_id=run.run_id) for one in letters]
        if mine:
            # Letters never after the position. They are keyed, so a repeat replaces them.
            run.store.keep(run.pipeline, run.delivery.generation, mine)
        run.failures.letters += len(mine)
        for letter in mine:
            run.events.record_failed(run, run.nodes[letter.node], letter)
        self.merged.add(chunk.number)

    def _merge_report(self, report: Mapping[str, Any], letters: Sequence[DeadLetter]) -> None:
        """What only people are told: kinds of failures, seconds, warnings."""
        groups = [FailureGroup(**one) for one in report.get("failures", ())]
        if not report:  # its worker died just before it could keep one
            groups = [
                FailureGroup(one.node, one.error, 1, one.message, f"{one.source}:{one.ordinal}")
                for one in letters
            ]
        failures = self.run.failures
        for group in groups:
            failures.total += group.count
            key = (group.node, group.error, shape_of(group.message))
            known = failures.groups.setdefault(key, replace(group, count=0))
            known.count += group.count
        for one in report.get("nodes", ()):
            self.run.nodes[one["name"]].seconds += one["seconds"]
        for warning in report.get("warnings", ()):
            if warning not in self.run.warnings:
                self.run.warnings.append(warning)


def _noted(positions: Mapping[str, Any]) -> str | None:
    """The run of a ledger that positions speak of."""
    for position in positions.values():
        if isinstance(position, dict) and "ledger" in position:
            return cast(str, position["ledger"])
    return None


def _settle() -> None:
    """Nothing is under way here."""
