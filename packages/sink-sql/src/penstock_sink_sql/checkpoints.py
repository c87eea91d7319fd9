"""The table that says how far a pipeline has come: a row for each pipeline and output.

The row changes in the transaction that writes the epoch's records, and only from the epoch before:
so an epoch is there once, whoever else may be writing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from penstock import Checkpoint, FencedError
from penstock_sql.kinds import TABLE_OPTIONS, type_of

if TYPE_CHECKING:
    from penstock_sql.database import Database

__all__ = ["TABLE", "Checkpoints"]

TABLE = "penstock_checkpoints"


class Checkpoints:
    """The checkpoints of one output."""

    def __init__(self, database: Database, schema: str, output: str) -> None:
        self.database = database
        self.schema = schema
        self.output = output
        self._made = False
        self.table = sa.Table(
            TABLE,
            sa.MetaData(schema=schema or None),
            sa.Column("pipeline", sa.String(200), primary_key=True),
            sa.Column("output", sa.String(200), primary_key=True),
            sa.Column("epoch", sa.BigInteger, nullable=False),
            sa.Column("generation", sa.BigInteger, nullable=False),
            sa.Column("run_id", sa.String(100), nullable=False),
            sa.Column("checkpoint", type_of("text"), nullable=False),
            **TABLE_OPTIONS,
        )

    def make(self) -> None:
        """Make the table if it is not there, in a transaction of its own."""
        if self._made:
            return
        if not self._is_there():
            try:
                with self.database.transaction() as connection:
                    self.table.create(connection, checkfirst=True)
            except sa.exc.DBAPIError:
                if not self._is_there():  # another run may have been first
                    raise
        self._made = True

    def _is_there(self) -> bool:
        if not self.database.exists():
            return False
        with self.database.reading() as connection:
            return sa.inspect(connection).has_table(TABLE, schema=self.schema or None)

    def latest(self, pipeline: str) -> Checkpoint | None:
        """The checkpoint that was last committed here, looked up on a connection of its own."""
        if not self._is_there():
            return None
        with self.database.reading() as connection:
            return self.read(connection, pipeline)

    def read(self, connection: sa.Connection, pipeline: str) -> Checkpoint | None:
        """The same inside a transaction."""
        query = sa.select(self.table.c.checkpoint).where(self._mine(pipeline))
        text = connection.execute(query).scalar()
        return None if text is None else Checkpoint.from_json(text)

    def advance(self, connection: sa.Connection, checkpoint: Checkpoint) -> None:
        """Put `checkpoint` in the place of the one of the epoch before; FencedError when that is
        not what is there, or is of a later generation."""
        c = self.table.c
        values = {
            "epoch": checkpoint.epoch,
            "generation": checkpoint.generation,
            "run_id": checkpoint.run_id,
            "checkpoint": checkpoint.to_json(),
        }
        before = sa.and_(
            self._mine(checkpoint.pipeline),
            c.epoch == checkpoint.epoch - 1,
            c.generation <= checkpoint.generation,
        )
        if connection.execute(sa.update(self.table).where(before).values(values)).rowcount == 1:
            return
        if self.read(connection, checkpoint.pipeline) is not None:
            raise FencedError(checkpoint.pipeline)
        key = {"pipeline": checkpoint.pipeline, "output": self.output}
        try:
            connection.execute(sa.insert(self.table).values(**key, **values))
        except sa.exc.IntegrityError as error:  # another run has just put its first one here
            raise FencedError(checkpoint.pipeline) from error

    def finish(self, connection: sa.Connection, checkpoint: Checkpoint) -> Checkpoint:
        """Note that the output is complete; what is there then."""
        done = replace(checkpoint, finished=True)
        same = sa.and_(self._mine(done.pipeline), self.table.c.epoch == done.epoch)
        connection.execute(sa.update(self.table).where(same).values(checkpoint=done.to_json()))
        return done

    def _mine(self, pipeline: str) -> sa.ColumnElement[bool]:
        c = self.table.c
        return sa.and_(c.pipeline == pipeline, c.output == self.output)
