"""How an epoch becomes durable, and how a run finds out where the one before it stopped.

The checkpoint is the only thing that says how far a pipeline has come. Whoever keeps it decides
when an epoch has happened: the one transactional output if there is exactly one, otherwise the
store. Outputs that can be cut back give a mark that the checkpoint holds; several transactional
outputs are brought to agree by an intent and a spooled copy of what they are about to commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .components import Input, Output, Stage, TransactionalOutput
from .errors import RunError
from .holder import alive, this_process
from .partitions import Partitioned
from .reparse import retraction, retraction_of_mended
from .spool import Spool
from .store import Checkpoint, DeadLetter, IndexedKey, Store

if TYPE_CHECKING:
    from .batch import Batch, Failure
    from .nodes import NodeRun
    from .schedule import Clock

__all__ = ["LEASE_SECONDS", "Delivery"]

LEASE_SECONDS = 60.0
"""How long a lease is good for unless it is renewed; a dead holder on this machine is noticed at
once."""


@dataclass
class Pending:
    """What an epoch leaves for its commit."""

    letters: Sequence[DeadLetter] = ()
    keys: Sequence[IndexedKey] = ()
    closed: Sequence[DeadLetter] = ()


class Delivery:
    """The commits and the recovery of one run."""

    def __init__(
        self,
        pipeline: str,
        run_id: str,
        store: Store,
        clock: Clock,
        nodes: Mapping[str, NodeRun],
        config_hash: str = "",
        spool_folder: Path | None = None,
        engine: str = "",
    ) -> None:
        self.pipeline = pipeline
        self.run_id = run_id
        self.store = store
        self.clock = clock
        self.nodes = nodes
        self.config_hash = config_hash
        self.generation = 0
        self.engine = engine
        self.start = Checkpoint(pipeline, run_id, 0, started=clock.now(), engine=engine)
        self.resumed = False
        self.notes: list[str] = []
        self._renew_at = 0.0
        self._tried: list[str] = []
        self._absent_marks: Mapping[str, Any] = {}
        self._absent_states: Mapping[str, Any] = {}
        self._spool_folder = spool_folder
        self._spool: Spool | None = None

    # ---- before the run -------------------------------------------------------------------------

    def lease(self) -> None:
        """Be the only run of this pipeline; raises LeaseTakenError when there is another."""
        now = self.clock.now()
        self.generation = self.store.lease(
            self.pipeline, this_process(), now, now + LEASE_SECONDS, alive
        )

    def renew(self) -> None:
        """Keep the lease; cheap enough to be called with every batch."""
        now = self.clock.now()
        if now >= self._renew_at:
            self._renew_at = now + LEASE_SECONDS / 4
            self.store.renew(self.pipeline, self.generation, now + LEASE_SECONDS)

    def close(self) -> None:
        """Let go of what belongs to this process; the lease is kept."""
        if self._spool is not None:
            self._spool.close()

    def release(self) -> None:
        """Give the lease back. Whoever comes to this has not died, so what was tried since the last
        checkpoint has killed nobody, whether it went well or not."""
        if self.generation:
            self.store.withdraw(self.pipeline, self.generation, self._tried)
            self.store.release(self.pipeline, self.generation)

    def recover(self, *, fresh: bool = False, reparse: bool = False) -> Checkpoint:
        """With every component open, find out where to start: outputs are cut back to there, stages
        get their states back. The checkpoint to start from is returned and kept in `start`."""
        found = self._latest(fresh=fresh)
        epoch = found.epoch if found is not None else 0
        if fresh:
            self.store.forget(self.pipeline, self.generation)
            found = None
        if found is not None and not found.finished and not reparse and self._can_resume():
            self._refuse_of_other_engine(found)
            self.resumed = True
            start = found
            if found.config_hash != self.config_hash:
                self.notes.append(
                    "the pipeline has changed since the run that is resumed; what that run did "
                    "stays as it is (--fresh starts over)"
                )
        else:
            start = self._onward(found)
        self.start = replace(
            start,
            epoch=epoch,
            run_id=self.run_id,
            generation=self.generation,
            by_hand=False,
            engine=self.engine,
        )
        if reparse:
            self._begin_reparse(found)
        else:
            self._close_door()
        self._begin_epoch(self.start.epoch + 1)
        for node in self._outputs():
            node.resume(start.marks.get(node.name), self.start.epoch)
        for node in self._stages():
            if node.name in start.states:
                cast(Stage, node.component).restore(start.states[node.name])
        return self.start

    def _refuse_of_other_engine(self, found: Checkpoint) -> None:
        """Before anything is cut back: an engine that keeps positions of its own and one that reads
        the inputs would each begin at the start, and repeat what the other one did."""
        if found.engine == self.engine or not (found.positions or found.ordinals):
            return
        hint = "finish it with the engine that began it, or start over with --fresh"
        if found.engine:
            raise RunError(
                f"the run that was cut off was run by the engine {found.engine!r}, and no other "
                "one knows how far",
                where=self.pipeline,
                hint=hint,
            )
        raise RunError(
            f"the run that was cut off was not run by the engine {self.engine!r}, which cannot go "
            "on with it",
            where=self.pipeline,
            hint=hint,
        )

    def reenter(self) -> Checkpoint:
        """As `recover`, for a run that adds to what the runs before it wrote, whether the last of
        them has ended or was cut off. Its checkpoints keep what they know of nodes that do not take
        part."""
        found = self._latest(fresh=False)
        if found is None:
            raise RunError(
                "no run has come as far as a checkpoint", where=self.pipeline, hint="run it first"
            )
        self.start = replace(found, run_id=self.run_id, generation=self.generation, by_hand=False)
        self._close_door()
        self._begin_epoch(self.start.epoch + 1)
        for node in self._outputs():
            take_up = node.reopen if found.finished else node.resume
            take_up(found.marks.get(node.name), self.start.epoch)
        for node in self._stages():
            if node.name in found.states:
                cast(Stage, node.component).restore(found.states[node.name])
        self._absent_marks = _without(found.marks, self.nodes)
        self._absent_states = _without(found.states, self.nodes)
        return self.start

    def go_back(self, to: Checkpoint) -> None:
        """Make an earlier checkpoint the one that counts, in one step with what outputs take back
        of what they wrote since."""
        newest = self._latest(fresh=False)
        epoch = max(to.epoch, _epoch(newest)) + 1
        self.start = replace(to, epoch=epoch, run_id=self.run_id, generation=self.generation)
        for node in self._outputs():
            if _output(node).retracts:
                node.guarded(partial(_output(node).take_back, to.epoch))
        self.store.forget_after(self.pipeline, self.generation, to.epoch)
        self._put(self.start, Pending())

    def _close_door(self) -> None:
        """Before anything is cut back: a run that was overtaken may be about to commit, with marks
        of outputs as they were. An epoch without records makes the transactional output refuse."""
        parties = self._transactional()
        cut = [node for node in self._outputs() if node.component.delivery == "rewindable"]  # type: ignore[attr-defined]
        if len(parties) == 1 and cut:
            self.start = replace(
                self.start, epoch=self.start.epoch + 1, finished=False, config_hash=self.config_hash
            )
            self._commit_to(parties[0], self.start)
        self._renew_at = 0.0
        self.renew()  # raises if this one has been overtaken meanwhile

    def _begin_reparse(self, found: Checkpoint | None) -> None:
        """Note durably that everything is read again: a run that is cut off is resumed as a
        reparse. What one before it had added, which was cut off and begins anew, is taken back."""
        before = self.start.epoch
        self.start = replace(
            self.start, epoch=before + 1, reparse=before, config_hash=self.config_hash
        )
        able: list[NodeRun] = []
        if found is not None and not found.finished and found.reparse is not None:
            able = [
                node
                for node in self._outputs()
                if _output(node).retracts and not _output(node).replaces
            ]
        half = (found.reparse if found is not None else None) or 0
        parties = self._transactional()
        for node in able:
            if node in parties:
                node.guarded(partial(_output(node).take_back, half))
        self._put(self.start, Pending())
        for node in able:
            if node not in parties:  # afterwards: nothing may be missing if this run dies here
                node.guarded(partial(_output(node).take_back, half))

    def _begin_epoch(self, number: int) -> None:
        for node in self._outputs():
            node.context.epoch = number

    def _latest(self, *, fresh: bool) -> Checkpoint | None:
        """The checkpoint that counts. What transactional outputs hold outweighs the store's copy:
        they differ when a run died in between, or when either was put back."""
        theirs = {node.name: self._committed(node) for node in self._transactional()}
        for one in theirs.values():
            if one is not None and one.generation >= self.generation:  # the store was put back
                self.generation = self.store.outrank(self.pipeline, self.generation, one.generation)
        ours = self.store.checkpoint(self.pipeline)
        intent = self.store.intent(self.pipeline)
        if intent is not None and len(theirs) > 1 and _in_doubt(intent, ours, theirs):
            behind = [
                node for node in self._transactional() if _epoch(theirs[node.name]) < intent.epoch
            ]
            spool = self._spool_of(intent.generation)
            if not behind or spool.holds(_identity(intent)):
                completes = ours is not None and not ours.ended
                return self._finish_intent(intent, behind, spool, completes=completes)
            if not fresh:
                raise RunError(
                    f"does not hold epoch {intent.epoch}, which {behind[0].name} lacks",
                    where=str(spool.path),
                    hint="put the state folder back, or start over with --fresh",
                )
        return self._newest(ours, theirs) if fresh else self._agreed(ours, theirs)

    def _committed(self, node: NodeRun) -> Checkpoint | None:
        output = cast(TransactionalOutput, node.component)
        found: Checkpoint | None = node.guarded(lambda: output.checkpoint(self.pipeline))
        return found

    def _finish_intent(
        self, intent: Checkpoint, behind: Sequence[NodeRun], spool: Spool, *, completes: bool
    ) -> Checkpoint:
        """A run died while its outputs were committing: give those that are behind what it had
        spooled for them."""
        self._begin_epoch(intent.epoch)
        settled = replace(intent, generation=self.generation)
        for node in behind:
            output = cast(TransactionalOutput, node.component)
            for batch in spool.read(node.name):
                if refused := node.guarded(lambda: output.write(batch)):  # noqa: B023
                    raise RunError(
                        f"refuses a record that it took before: {refused[0].error}",
                        where=f"{node.name} at {batch.source}:{refused[0].ordinal}",
                        hint="make it take the record, or start over with --fresh",
                    )
            closed = [DeadLetter(*values) for values in intent.closed]
            self._retract(node, settled, closed, all_read=completes and intent.ended)
            self._commit_to(node, settled)
        self._save(settled)
        spool.clear()
        return replace(settled, opened=[], closed=[])

    def _settled(self, theirs: Checkpoint | None) -> Checkpoint | None:
        """A run died when its output had committed and the store knew nothing of it yet: do what
        else that epoch was to do."""
        if theirs is None or not (theirs.opened or theirs.closed):
            return theirs
        self._save(replace(theirs, generation=self.generation))
        return replace(theirs, opened=[], closed=[])

    def _save(self, checkpoint: Checkpoint, pending: Pending | None = None) -> None:
        """Keep a checkpoint in the store and do what it says of letters."""
        letters = [DeadLetter(*values) for values in checkpoint.opened]
        closed = [DeadLetter(*values) for values in checkpoint.closed]
        if pending is not None:
            letters, closed = [*letters, *pending.letters], [*closed, *pending.closed]
        keys = pending.keys if pending is not None else ()
        self.store.save(replace(checkpoint, opened=[], closed=[]), letters, keys, closed)

    def _agreed(
        self, ours: Checkpoint | None, theirs: Mapping[str, Checkpoint | None]
    ) -> Checkpoint | None:
        """The checkpoint on which the transactional outputs agree; ours if there are none."""
        held = {_identity(one) for one in theirs.values()}
        if len(held) > 1:
            if ours is not None and ours.finished and ours is self._newest(ours, theirs):
                return ours  # what comes next is a new run, which they begin together
            raise RunError(
                f"its outputs do not agree on what was committed: {_and(theirs)}",
                where=self.pipeline,
                hint="put them back to the same epoch, or start over with --fresh",
            )
        if ours is not None and ours.by_hand:
            newest = self._newest(ours, theirs)
            if all(one is None or one.generation < ours.generation for one in theirs.values()):
                return replace(ours, epoch=_epoch(newest))  # nothing was committed there since
        if held == {None} and ours is not None and not ours.finished:
            verb = "knows" if len(theirs) == 1 else "know"
            self.notes.append(
                f"{' and '.join(theirs)} {verb} nothing of the run before; starting over"
            )
            return replace(self.start, epoch=ours.epoch, finished=True)
        if not held or held == {None} or held == {_identity(ours)}:
            return ours
        return self._settled(next(iter(theirs.values())))

    def _newest(
        self, ours: Checkpoint | None, theirs: Mapping[str, Checkpoint | None]
    ) -> Checkpoint | None:
        return max([ours, *theirs.values()], key=_epoch)

    def _can_resume(self) -> bool:
        for node in self._inputs():
            if cast(Input, node.component).capability == "ephemeral":
                self.notes.append(f"{node.name} cannot be read again; the run starts over")
                return False
        return True

    def _onward(self, found: Checkpoint | None) -> Checkpoint:
        """Where a new run starts: a finite input at its start, a log after its last position."""
        if found is None:
            return self.start
        logs = self._logs()
        kept = [
            source
            for source in found.positions
            if any(source == name or source.startswith(f"{name}/") for name in logs)
        ]
        return replace(
            self.start,
            positions={source: found.positions[source] for source in kept},
            # One that had a position and no record, as an empty partition does, has no ordinal.
            ordinals={one: found.ordinals[one] for one in kept if one in found.ordinals},
            tenures=found.tenures,
            # What is left of them is of partitions that were given to others.
            states={
                node.name: found.states[node.name]
                for node in self._stages()
                if isinstance(node.component, Partitioned) and node.name in found.states
            },
        )

    # ---- at the end of an epoch -----------------------------------------------------------------

    def commit(self, checkpoint: Checkpoint, pending: Pending, *, complete: bool) -> Checkpoint:
        """Make an epoch happen."""
        was_ended = checkpoint.ended
        marks = {}
        for node in self._outputs():
            mark = node.prepare(checkpoint.epoch)
            if mark is not None:
                marks[node.name] = mark
        states = {node.name: cast(Stage, node.component).snapshot() for node in self._stages()}
        checkpoint = replace(
            checkpoint,
            generation=self.generation,
            marks={**self._absent_marks, **marks},
            states={
                **self._absent_states,
                **{name: state for name, state in states.items() if state is not None},
            },
            ended=complete or checkpoint.ended,
            config_hash=self.config_hash,
            engine=self.start.engine,
        )
        self._put(checkpoint, pending, all_read=complete and not was_ended)
        self._begin_epoch(checkpoint.epoch + 1)
        self._tried.clear()
        if complete:
            for node in self._outputs():
                node.finish()
            checkpoint = replace(checkpoint, finished=True, opened=[], closed=[])
            self.store.save(checkpoint)
        return checkpoint

    def _put(self, checkpoint: Checkpoint, pending: Pending, *, all_read: bool = False) -> None:
        """Make a checkpoint the one that counts. The order of these lines is the promise; see
        DELIVERY 4.2."""
        parties = self._transactional()
        closed = pending.closed
        if parties and pending.closed:
            # A letter may not be open once its result is there, nor open in two places: what
            # becomes of letters travels with the data.
            checkpoint = replace(
                checkpoint,
                opened=list(map(astuple, pending.letters)),
                closed=list(map(astuple, pending.closed)),
            )
            pending = Pending(keys=pending.keys)
        # Letters first: they are keyed, so a repeat overwrites them, and they must not be missing
        # when an output has moved on, nor when it asks whose results it has to keep.
        if (pending.letters or pending.keys) and (parties or checkpoint.reparse is not None):
            self.store.keep(self.pipeline, self.generation, pending.letters, pending.keys)
            pending = Pending(closed=pending.closed)
        for node in self._outputs():
            self._retract(node, checkpoint, closed, all_read=all_read)
        if len(parties) > 1:
            self._make_spool().seal(_identity(checkpoint))
            self.store.put_intent(checkpoint)
        for node in parties:
            self._commit_to(node, checkpoint)
        self._save(checkpoint, pending)
        if len(parties) > 1:
            self._make_spool().clear()

    def _retract(
        self,
        node: NodeRun,
        checkpoint: Checkpoint,
        closed: Sequence[DeadLetter],
        *,
        all_read: bool,
    ) -> None:
        """In a reparse, let an output take back what is no longer so."""
        output = _output(node)
        if checkpoint.reparse is None or not output.retracts or output.replaces:
            return
        if all_read:
            what = retraction(node, checkpoint, self.store, self._logs())
            node.guarded(lambda: output.retract(what))
        if closed:
            of_mended = retraction_of_mended(checkpoint, closed)
            node.guarded(lambda: output.retract(of_mended))

    @property
    def spools(self) -> bool:
        """Whether what is written must be kept until every transactional output has it."""
        return len(self._transactional()) > 1

    def spool(self, node: NodeRun, batch: Batch, failures: Sequence[Failure]) -> None:
        """Keep a copy of what a transactional output has taken of a batch."""
        if node.component.delivery == "transactional":  # type: ignore[attr-defined]
            self._make_spool().write(node.name, batch, failures)

    def attempt(self, place: str) -> int:
        """Note durably that something is tried; how often it was since the last checkpoint."""
        self._tried.append(place)
        return self.store.attempt(self.pipeline, self.generation, place)

    def _commit_to(self, node: NodeRun, checkpoint: Checkpoint) -> None:
        output = cast(TransactionalOutput, node.component)
        node.guarded(lambda: output.commit(checkpoint))

    def _make_spool(self) -> Spool:
        if self._spool is None:
            self._spool = self._spool_of(self.generation)
        return self._spool

    def _spool_of(self, generation: int) -> Spool:
        if self._spool_folder is None:
            raise RunError(
                "several transactional outputs need a state folder to agree",
                where=self.pipeline,
                hint="give the run a store with a folder",
            )
        return Spool(self._spool_folder, self.pipeline, generation)

    # ---- partitions that move between processes -------------------------------------------------

    @property
    def moving(self) -> frozenset[str]:
        """The inputs whose partitions move with the states that belong to them: those that can say
        when, if what is committed in the only transactional output says where others go on."""
        parties = self._transactional()
        inputs = [cast(Input, node.component) for node in self._inputs()]
        able = [one for one in inputs if one.shared and one.hands_over]
        if len(parties) != 1 or not all(map(_output(parties[0]).settles, able)):
            return frozenset()
        keeps = any(isinstance(node.component, Partitioned) for node in self._stages())
        if not keeps and cast(TransactionalOutput, parties[0].component).tells_group:
            return frozenset()
        return frozenset(node.name for node in self._inputs() if node.component in able)

    def checkpoint_of(self, pipeline: str) -> Checkpoint | None:
        """What another worker has last committed."""
        (node,) = self._transactional()
        output = cast(TransactionalOutput, node.component)
        found: Checkpoint | None = node.guarded(lambda: output.checkpoint_of(pipeline))
        return found

    # ---- nodes ----------------------------------------------------------------------------------

    def _inputs(self) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.role == "input"]

    def _logs(self) -> list[str]:
        """The inputs that go on where they stood."""
        return [node.name for node in self._inputs() if not cast(Input, node.component).finite]

    def _outputs(self) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.role == "output" and not node.off]

    def _stages(self) -> list[NodeRun]:
        return [node for node in self.nodes.values() if node.is_stage]

    def _transactional(self) -> list[NodeRun]:
        return [node for node in self._outputs() if node.component.delivery == "transactional"]  # type: ignore[attr-defined]


def _output(node: NodeRun) -> Output:
    return cast(Output, node.component)


def _epoch(checkpoint: Checkpoint | None) -> int:
    return checkpoint.epoch if checkpoint is not None else 0


def _identity(checkpoint: Checkpoint | None) -> tuple[str, int] | None:
    """Which epoch it is. Its number alone is not enough: after something was put back, the same
    number comes again with other records."""
    return (checkpoint.run_id, checkpoint.epoch) if checkpoint is not None else None


def _in_doubt(
    intent: Checkpoint, ours: Checkpoint | None, theirs: Mapping[str, Checkpoint | None]
) -> bool:
    """Whether these outputs may have been left in the middle of committing `intent`; not when it is
    that of an older store, or when one of them was put back as well."""
    behind = [one for one in theirs.values() if _identity(one) != _identity(intent)]
    if ours is None or ours.finished:  # the first epoch of a run: an output may be new to it
        return all(_epoch(one) < intent.epoch for one in behind)
    return all(_epoch(one) == intent.epoch - 1 for one in behind)


def _without(kept: Mapping[str, Any], nodes: Mapping[str, NodeRun]) -> Mapping[str, Any]:
    """What was kept for nodes that do not take part in this run."""
    return {name: value for name, value in kept.items() if name not in nodes}


def _and(theirs: Mapping[str, Checkpoint | None]) -> str:
    return " and ".join(
        f"{name} has {f'epoch {one.epoch} of run {one.run_id}' if one is not None else 'no epoch'}"
        for name, one in theirs.items()
    )
