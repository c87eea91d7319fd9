"""Partitions that go to other processes and come from them, between two epochs of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from .components import Input, Stage
from .errors import RunError
from .partitions import Partitioned, Share, newest, share_of
from .store import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .batch import Moves, Noted
    from .nodes import NodeRun
    from .runs import Run

__all__ = ["change_hands"]


def change_hands(run: Run, node: NodeRun, moves: Moves) -> None:
    """Right after a commit: put aside what leaves, take what comes, and tell the input."""
    stages = [one for one in run.stages if isinstance(one.component, Partitioned)]
    for source in moves.leaving:
        for stage in stages:
            stage.hand_over(source)
    for source in moves.settled:
        for known in (run.positions, run.ordinals, run.tenures):
            known.pop(source, None)
        for stage in stages:
            cast(Partitioned, stage.component).forget(source)
    shares = _Shares(run, [stage.name for stage in stages])
    begin: dict[str, Any] = {}
    for source, noted in moves.coming.items():
        by, share = shares.of(source, noted)
        run.tenures[source] = share.tenure + 1
        run.take_over(source, share.position, share.ordinal)
        for stage in stages:
            stage.take_over(source, share.states[stage.name], own=by == run.pipeline)
        if share.position is not None:
            begin[source] = share.position
    run.positions.update(node.guarded(partial(cast(Input, node.component).moved, begin)))


class _Shares:
    """What this run and the others know of partitions. Each checkpoint is looked up once."""

    def __init__(self, run: Run, stages: Sequence[str]) -> None:
        self.run = run
        self.stages = stages
        self._kept: dict[str, Checkpoint | None] = {run.pipeline: self._own()}

    def of(self, source: str, noted: Noted) -> tuple[str, Share]:
        """By whom a partition was read last, and what belongs to it."""
        own = self.run.pipeline
        shares = self._shares(source, noted.holders)
        if noted.by not in (None, own, *shares):  # another pipeline, which writes elsewhere
            if self.stages:
                raise RunError(
                    f"was read by {noted.by!r}, and what that one kept of it is not here",
                    where=source,
                    hint="let all write to the same output, or give the input another group",
                )
            return str(noted.by), Share(0, noted.position, None, {})
        # What we kept of it ourselves is of long ago, unless nobody is known to have come further.
        shares = shares or self._shares(source, [own])
        by = newest(shares)
        if by is None:
            return own, Share(0, None, None, dict.fromkeys(self.stages))
        return by, shares[by]

    def _shares(self, source: str, names: Sequence[str]) -> dict[str, Share]:
        found = {name: share_of(self._checkpoint(name), source, self.stages) for name in names}
        return {name: share for name, share in found.items() if share is not None}

    def _checkpoint(self, name: str) -> Checkpoint | None:
        if name not in self._kept:
            self._kept[name] = self.run.delivery.checkpoint_of(name)
        return self._kept[name]

    def _own(self) -> Checkpoint:
        """What this run knows itself; that is what it has committed just now."""
        run = self.run
        states = {name: cast(Stage, run.nodes[name].component).snapshot() for name in self.stages}
        return Checkpoint(
            run.pipeline,
            run.run_id,
            run.epochs,
            positions=run.positions,
            ordinals=run.ordinals,
            states={name: state for name, state in states.items() if state is not None},
            tenures=run.tenures,
        )
