"""The records for which something holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from penstock import Batch, Context, Transformer, component, option

from .expressions import compiled, is_expression
from .holding import failed
from .picking import pick

__all__ = ["Filter"]


@component
class Filter(Transformer):
    """Pass on the records for which `where` is true and drop the others."""

    mutates: ClassVar[bool] = False

    where: str = option(
        help="The expression that must be true.", check=is_expression, example="amount > 0"
    )

    def open(self, context: Context) -> None:
        super().open(context)
        self._holds = compiled(self.where, "where")

    def process(self, batch: Batch) -> Iterable[Batch]:
        picked = pick(self._holds, batch)
        yield Batch(picked.records, batch.source, picked.ordinals).keep(picked.values)
        yield from failed(batch.source, picked.failures)
