"""How many records a stream must have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from penstock import Batch, Context, component, option

from .judging import Action, EndJudge, end_action

__all__ = ["Count"]


def _not_negative(value: int | None) -> None:
    if value is not None and value < 0:
        raise ValueError("must not be negative")


@component
class Count(EndJudge):
    """Object, when the stream has ended, to too few or too many records."""

    min: int | None = option(
        default=None, help="The least number of records.", check=_not_negative, example=1
    )
    max: int | None = option(
        default=None, help="The greatest number of records.", check=_not_negative
    )
    action: Action = end_action()

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("give min or max, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min must not be greater than max, got {self.min} and {self.max}")

    def open(self, context: Context) -> None:
        super().open(context)
        self._count = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        self._count += len(batch.records)
        yield Batch(batch.records, batch.source, batch.ordinals)

    def finish(self) -> Iterable[Batch]:
        count, self._count = self._count, 0
        self.context.observe("count", count)
        found = []
        if self.min is not None and count < self.min:
            found.append(f"there must be at least {self.min} records, and there were {count}")
        if self.max is not None and count > self.max:
            found.append(f"there must be at most {self.max} records, and there were {count}")
        self.object(found, "look whether the source is complete, or change min or max")
        return ()

    def snapshot(self) -> Any:
        return {"count": self._count}

    def restore(self, state: Any) -> None:
        self._count = state["count"]
