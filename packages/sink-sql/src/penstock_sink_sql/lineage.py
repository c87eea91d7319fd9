"""Which record each row came from, and taking rows back by it.

Four columns say so: the output, the source and the ordinal of the record, and the epoch in which
the row was written. Epochs of a pipeline are numbered from run to run, so the number alone tells
what stood in the table before a reparse or after a place to go back to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from penstock import Retraction, RunError

if TYPE_CHECKING:
    from .rows import Part

__all__ = ["COLUMNS", "Lineage"]

COLUMNS = {"_output": "text", "_source": "text", "_ordinal": "integer", "_epoch": "integer"}
"""Their kinds by name."""

_AT_ONCE = 400
Records = set[tuple[str, int]]


class Lineage:
    """The lineage of the rows that `owner`, as "pipeline/output", writes to a table."""

    def __init__(self, schema: str, table: str, owner: str) -> None:
        self.owner = owner
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in COLUMNS]
        self.table = sa.table(table, *columns, schema=schema or None)

    def add_to(self, part: Part, epoch: int) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The columns and rows of a part of a batch, with their lineage."""
        taken = [name for name in COLUMNS if name in part.columns]
        if taken:
            raise RunError(
                f"the records have a field {taken[0]!r}, which is a column of the lineage",
                hint="rename it before, or set lineage to false",
            )
        owner, source, ordinals = self.owner, part.batch.source, part.batch.ordinals
        rows = [
            (*row, owner, source, ordinals[at], epoch)
            for row, at in zip(part.rows, part.at, strict=True)
        ]
        return (*part.columns, *COLUMNS), rows

    def retract(self, connection: sa.Connection, what: Retraction, *, keyed: bool) -> None:
        """Delete what is meant; `keyed` rows that were written again are of a later epoch now."""
        c = self.table.c
        old = sa.and_(c._output == self.owner, c._epoch <= what.epoch, c._epoch > 0)
        if what.only is not None:
            for records in _parts(what.only):
                connection.execute(sa.delete(self.table).where(old, self._of(records)))
            return
        # Marked first: they may be too many for one statement.
        for records in _parts(what.keep):
            if not keyed:  # what came again of such a record would stand beside what it had
                records = records - self._written_since(connection, what.epoch, records)
            if records:
                mark = sa.update(self.table).where(old, self._of(records))
                connection.execute(mark.values(_epoch=-c._epoch))
        spared = [self._of_input(name) for name in what.spare]
        connection.execute(sa.delete(self.table).where(old, *map(sa.not_, spared)))
        mine = sa.and_(c._output == self.owner, c._epoch < 0)
        connection.execute(sa.update(self.table).where(mine).values(_epoch=-c._epoch))

    def take_back(self, connection: sa.Connection, epoch: int) -> None:
        """Delete what was written after an epoch."""
        c = self.table.c
        late = sa.and_(c._output == self.owner, c._epoch > epoch)
        connection.execute(sa.delete(self.table).where(late))

    def _written_since(
        self, connection: sa.Connection, epoch: int, records: Records
    ) -> set[tuple[str, int]]:
        c = self.table.c
        query = sa.select(c._source, c._ordinal).distinct()
        query = query.where(c._output == self.owner, c._epoch > epoch, self._of(records))
        return {(source, ordinal) for source, ordinal in connection.execute(query)}

    def _of(self, records: Records) -> sa.ColumnElement[bool]:
        c = self.table.c
        return sa.tuple_(c._source, c._ordinal).in_(sorted(records))

    def _of_input(self, name: str) -> sa.ColumnElement[bool]:
        source = self.table.c._source
        return sa.or_(source == name, source.startswith(f"{name}/", autoescape=True))


def _parts(records: Iterable[tuple[str, int]]) -> Iterator[Records]:
    """As many at a time as every system takes in one statement."""
    iterator = iter(records)
    while part := set(islice(iterator, _AT_ONCE)):
        yield part
