"""A part of the records that is the same in every run."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, ClassVar

from penstock import Batch, Context, Transformer, component, option

__all__ = ["Sample"]

_PER_DIGEST = 8
_UNPACK = struct.Struct(f">{_PER_DIGEST}Q").unpack
_ALL = 2**64


def _fraction(value: float | None) -> None:
    if value is not None and not 0 <= value <= 1:
        raise ValueError("must be from 0 to 1")


def _positive(value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


@component
class Sample(Transformer):
    """Pass on a fraction of the records, or one of every so many.

    Whether a record is in a `fraction` depends on `seed`, its source and its ordinal alone: not on
    the run, the engine, or what else is read. Records made from one source record stay together.
    """

    mutates: ClassVar[bool] = False
    partitioned = True

    fraction: float | None = option(
        default=None, help="Which part of the records, from 0 to 1.", check=_fraction, example=0.01
    )
    every: int | None = option(
        default=None, help="Pass on the first of every so many of a source.", check=_positive
    )
    seed: int | str = option(default=0, help="Another seed draws another sample.")

    def check(self) -> None:
        if (self.fraction is None) == (self.every is None):
            raise ValueError("give either fraction or every")

    def open(self, context: Context) -> None:
        super().open(context)
        self._seen: dict[str, int] = {}

    def process(self, batch: Batch) -> Iterable[Batch]:
        if self.every is not None:
            yield batch.keep(self._every(self.every, batch))
        elif self.fraction is not None:
            yield batch.keep(self._drawn(self.fraction, batch.source, batch.ordinals))

    def _every(self, step: int, batch: Batch) -> Sequence[bool]:
        size = len(batch.records)
        seen = self._seen.get(batch.source, 0)
        self._seen[batch.source] = (seen + size) % step
        flags = [False] * size
        flags[-seen % step :: step] = [True] * len(range(-seen % step, size, step))
        return flags

    def _drawn(self, fraction: float, source: str, ordinals: Sequence[int]) -> Sequence[bool]:
        # One digest decides over eight ordinals, which costs an eighth and needs no state.
        below = int(fraction * _ALL)
        flags = []
        current, draws = -1, ()
        for ordinal in ordinals:
            block, place = divmod(ordinal, _PER_DIGEST)
            if block != current:
                current = block
                text = f"{self.seed}\0{source}\0{block}"
                draws = _UNPACK(blake2b(text.encode("utf-8", "surrogatepass")).digest())
            flags.append(draws[place] < below)
        return flags

    @property
    def keeps_state(self) -> bool:
        return self.every is not None

    def snapshot(self) -> Any:
        return {"seen": dict(self._seen)} if self.every is not None else None

    def restore(self, state: Any) -> None:
        self._seen = dict(state["seen"])
