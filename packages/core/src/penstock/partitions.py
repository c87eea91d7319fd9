"""Stages that keep a state for each source, and what goes with a partition to another process.

What belongs to a partition is in the checkpoint of whoever has read it last: its position, its
ordinal, and the state that each stage has of it. Nobody keeps it anywhere else. Whoever gets the
partition looks into the checkpoints of those who may have had it, and goes on from the right one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .batch import Batch
from .components import Context, Stage
from .errors import RunError
from .steps import Step
from .store import Checkpoint

__all__ = ["Partitioned", "Share", "newest", "share_of"]

_BY_SOURCE = "by_source"


class Partitioned(Stage):
    """A stage as one of its kind for each source. Its state is that of each source: how many
    records are held, and a snapshot.

    States put `aside` are those of sources that belong to nobody here: they are in the snapshot and
    nothing else, until somebody else is known to have gone on with them. Those of the inputs that
    are `moving` begin there. `step_of` gives the function that puts batches through a stage.
    """

    step_of: Callable[[Stage], Step]
    moving: frozenset[str] = frozenset()

    def __init__(self, inner: Stage) -> None:
        self.inner = inner
        self._blank = copy.copy(inner)
        self._made: dict[str, _One] = {}
        self._aside: dict[str, Any] = {}

    def open(self, context: Context) -> None:
        super().open(context)
        self.inner.open(context)  # it is never used, but says at once what does not open

    def close(self) -> None:
        for one in self._made.values():
            one.stage.close()
        self.inner.close()

    def process(self, batch: Batch) -> Iterator[Batch]:
        one = self._made.get(batch.source) or self._make(batch.source)
        one.held += len(batch.records)
        yield from one.given(one.step(batch))

    def idle(self, now: float) -> Iterator[Batch]:
        for one in list(self._made.values()):
            yield from one.given(one.stage.idle(now))

    def finish(self) -> Iterator[Batch]:
        for one in list(self._made.values()):
            yield from one.given(one.stage.finish())

    def snapshot(self) -> Any:
        states = dict(self._aside)
        for source, one in self._made.items():
            state = one.stage.snapshot()
            if state is not None or one.held:
                states[source] = [one.held, state]
        return {_BY_SOURCE: states} if states else None

    def restore(self, state: Any) -> None:
        if not isinstance(state, dict) or _BY_SOURCE not in state:
            raise RunError(
                "was not partitioned when its state was kept",
                where=self.context.name,
                hint="start over with --fresh",
            )
        for source, kept in state[_BY_SOURCE].items():
            if source.rpartition("/")[0] in self.moving:
                self._aside[source] = kept
            else:
                self.take(source, kept)

    # ---- partitions that come and go ------------------------------------------------------------

    @property
    def held(self) -> int:
        """Records in it, but for those that are put aside."""
        return sum(one.held for one in self._made.values())

    def put_aside(self, source: str) -> int:
        """Keep the state of a source and work on it no more; how many records are held in it."""
        one = self._made.pop(source, None)
        if one is None:
            return 0
        state = one.stage.snapshot()
        if state is not None or one.held:
            self._aside[source] = [one.held, state]
        one.stage.close()
        return one.held

    def take(self, source: str, kept: Any) -> int:
        """Go on with this state of a source, or without one; how many records are held in it."""
        self._aside.pop(source, None)
        if kept is None:
            return 0
        one = self._make(source)
        one.held, state = kept
        if state is not None:
            one.stage.restore(state)
        return one.held

    def forget(self, source: str) -> None:
        """Keep nothing of a source that was put aside."""
        self._aside.pop(source, None)

    def _make(self, source: str) -> _One:
        stage = copy.copy(self._blank)
        stage.open(self.context)
        one = self._made[source] = _One(source, stage, self.step_of(stage))
        return one


class _One:
    """The stage of one source, and how many records it holds."""

    def __init__(self, source: str, stage: Stage, step: Step) -> None:
        self.source, self.stage, self.step = source, stage, step
        self.held = 0

    def given(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for batch in batches:
            batch.source = batch.source or self.source
            self.held -= batch.consumed
            yield batch


class Share(NamedTuple):
    """What a checkpoint knows of a partition; `states` by stage."""

    tenure: int
    position: Any
    ordinal: int | None
    states: Mapping[str, Any]


def share_of(checkpoint: Checkpoint | None, source: str, stages: Iterable[str]) -> Share | None:
    """What a checkpoint knows of a source; None when that is nothing."""
    if checkpoint is None or not (source in checkpoint.positions or source in checkpoint.tenures):
        return None
    states = {name: checkpoint.states.get(name) or {} for name in stages}
    return Share(
        checkpoint.tenures.get(source, 0),
        checkpoint.positions.get(source),
        checkpoint.ordinals.get(source),
        {name: state.get(_BY_SOURCE, {}).get(source) for name, state in states.items()},
    )


def newest(shares: Mapping[str, Share]) -> str | None:
    """By whom it was read last. Of those that never heard of tenures, whoever is named first."""
    return max(shares, key=lambda name: shares[name].tenure, default=None)
