"""The first records, or some after the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from penstock import Batch, Context, Transformer, component, option

__all__ = ["Limit"]


def _not_negative(value: int) -> None:
    if value < 0:
        raise ValueError("must not be negative")


@component
class Limit(Transformer):
    """Pass on `count` records after leaving out the first `offset`; then reading may stop."""

    mutates: ClassVar[bool] = False

    count: int = option(help="How many records to pass on.", check=_not_negative, example=100)
    offset: int = option(
        default=0, help="How many records to leave out first.", check=_not_negative
    )

    def open(self, context: Context) -> None:
        super().open(context)
        self._restart(0)

    def process(self, batch: Batch) -> Iterable[Batch]:
        size = len(batch.records)
        start = min(max(self.offset - self._seen, 0), size)
        stop = min(max(self.offset + self.count - self._seen, 0), size)
        self._restart(self._seen + size)
        if stop - start == size:
            yield Batch(batch.records, batch.source, batch.ordinals)
        else:
            records, ordinals = batch.records[start:stop], batch.ordinals[start:stop]
            yield Batch(records, batch.source, ordinals, consumed=size)

    def finish(self) -> Iterable[Batch]:
        self._restart(0)  # a run that goes on where this one ended counts its own records
        return ()

    def snapshot(self) -> Any:
        return {"seen": self._seen}

    def restore(self, state: Any) -> None:
        self._restart(state["seen"])

    def _restart(self, seen: int) -> None:
        self._seen = seen
        self.satisfied = seen >= self.offset + self.count
