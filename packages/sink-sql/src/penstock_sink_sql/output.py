"""The output `sql`: rows in a table, committed together with the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from penstock import (
    Batch,
    Checkpoint,
    Context,
    Duration,
    Failure,
    Input,
    Retraction,
    RunError,
    TransactionalOutput,
    component,
    option,
)
from penstock_sql.urls import Url, check_url, shown, sqlite_file

if TYPE_CHECKING:
    import sqlalchemy as sa

    from .lineage import Lineage
    from .rows import Part
    from .values import Column

__all__ = ["SqlOutput"]

Kind = Literal[
    "integer", "float", "decimal", "boolean", "text", "date", "datetime", "time", "binary", "json"
]


def _not_empty(value: str) -> None:
    if not value.strip():
        raise ValueError("must not be empty")


@component
class SqlOutput(TransactionalOutput):
    """Write records to a table of a SQL database, each epoch in one transaction."""

    url: Url = option(
        help="Database, as in 'sqlite:///shop.db' or 'postgresql://user:password@host/database'.",
        secret=True,
        check=check_url,
        example="sqlite:///shop.db",
    )
    table: str = option(help="Table to write to; made if it is not there.", check=_not_empty)
    schema: str = option(default="", help="Schema of the table; the database's own if left out.")
    mode: Literal["append", "upsert", "replace"] = option(
        default="append",
        help="Add rows; change the rows that have the same key; or replace the whole table when "
        "the run ends well.",
    )
    key: list[str] = option(
        default=[], help="Columns that tell rows apart; the primary key of a new table."
    )
    version: str = option(
        default="",
        help="Upsert: the column that tells which of two rows with one key is newer; an older one "
        "changes nothing.",
        example="updated_at",
    )
    columns: dict[str, Kind] = option(
        default={}, help="Kinds of columns of a new table, where they should not be inferred."
    )
    evolution: Literal["evolve", "freeze", "quarantine"] = option(
        default="evolve",
        help="What to do with a column that the table lacks: add it, stop the run, or set the "
        "record aside.",
    )
    lineage: bool = option(
        default=False,
        help="Also write which record each row came from, in the columns _output, _source, "
        "_ordinal and _epoch; then single rows can be taken back.",
    )
    lock_timeout: Duration = option(
        default=30.0, help="How long to wait for somebody else's lock.", example="5s"
    )

    def check(self) -> None:
        if self.mode == "upsert" and not self.key:
            raise ValueError("mode 'upsert' needs the key: the columns that tell rows apart")
        for name in self.key:
            if self.key.count(name) > 1:
                raise ValueError(f"key names {name!r} twice")
        if self.version and self.mode != "upsert":
            raise ValueError("version is for mode 'upsert'")
        if self.version in self.key:
            raise ValueError(f"version is {self.version!r}, which is of the key")

    @property
    def replaces(self) -> bool:  # type: ignore[override]
        """Whether a new run puts its rows in the place of all others."""
        return self.mode == "replace"

    def settles(self, source: Input) -> bool:
        """A row that is written again takes the place of the one with the same key."""
        return self.mode == "upsert"

    @property
    def retracts(self) -> bool:  # type: ignore[override]
        """Whether the rows of single records can be taken back."""
        return self.lineage

    # ---- opening, closing -----------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        from .checkpoints import Checkpoints
        from .lineage import COLUMNS, Lineage
        from .session import session_for
        from .table import Table
        from .writer import Writer

        self._session = session_for(context.run_id, self.url, self.lock_timeout)
        database = self._session.database
        self._checkpoints = Checkpoints(database, self.schema, context.name)
        columns = {**self.columns, **COLUMNS} if self.lineage else self.columns
        self._target = Table(database, self.schema, self.table, self.key, columns)
        self._staged = self._target
        if self.mode == "replace":
            staged = _staged_name(self.table, context)
            self._staged = Table(database, self.schema, staged, self.key, columns)
        owner = f"{context.pipeline}/{context.name}"
        self._lineage = Lineage(self.schema, self._staged.name, owner) if self.lineage else None
        upsert_key = self.key if self.mode == "upsert" else ()
        self._writer = Writer(self._session, self._staged.quoted, upsert_key, self.version)
        self._columns: dict[str, Column] = {}
        self._last_columns: tuple[str, ...] = ()
        self._taken: frozenset[type] = frozenset()
        self._has_staged = False
        if database.exists():
            with database.reading() as connection:
                self._target.look(connection)
                self._target.check_engine(connection)
                if self._target.kinds and self.mode == "upsert":
                    self._target.check_key(connection)

    def close(self) -> None:
        if hasattr(self, "_session"):  # it could be opened
            self._session.close()

    @property
    def _place(self) -> str:
        file = sqlite_file(self.url)
        return f"{file or shown(self.url)}: table {self.table!r}"

    # ---- epochs ---------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self._checkpoints.latest(pipeline)

    def resume(self, mark: Any, epoch: int) -> None:
        """What an earlier run had staged for a table it did not come to replace is dropped."""
        self._has_staged = bool(mark and mark.get("rows"))
        self._add_lineage()
        if self.mode != "replace" or not self._session.database.exists():
            return
        with self._session.database.transaction() as connection:
            self._staged.look(connection)
            if mark is None and self._staged.kinds:
                self._drop(connection, self._staged.quoted)
                self._staged.kinds = {}

    def _add_lineage(self) -> None:
        """A table that is there may have been made without it."""
        from .lineage import COLUMNS

        missing = [name for name in COLUMNS if name not in self._target.kinds]
        if self._lineage is None or self.replaces or not self._target.kinds or not missing:
            return
        with self._session.database.transaction() as connection:
            self._target.look(connection)
            for name in missing:
                if name not in self._target.kinds:
                    self._target.add(connection, name, set())

    def reopen(self, mark: Any, epoch: int) -> None:
        """Mended records are added to the table, unless it was replaced as a whole."""
        if self.mode == "replace":
            super().reopen(mark, epoch)
        else:
            self.resume(mark, epoch)

    def prepare(self, epoch: int) -> Any:
        """The mark says that the staged table belongs to the run that is resumed, and whether it
        has been made."""
        if self.mode != "replace":
            return None
        self._has_staged = self._has_staged or bool(self._staged.kinds)
        return {"staged": self._staged.name, "rows": self._has_staged}

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._session.lock:
            self._session.commit(self._checkpoints, checkpoint)

    def retract(self, what: Retraction) -> None:
        if self._has_lineage():
            with self._taking_back() as (lineage, connection):
                lineage.retract(connection, what, keyed=self.mode == "upsert")

    def take_back(self, epoch: int) -> None:
        """Rows that `upsert` has changed stay: they are written again."""
        if self.mode != "upsert" and self._has_lineage():
            with self._taking_back() as (lineage, connection):
                lineage.take_back(connection, epoch)

    def _has_lineage(self) -> bool:
        """Whether there is a table with rows that say where they came from."""
        if self._lineage is not None and not self._staged.kinds and self._session.database.exists():
            with self._session.database.reading() as connection:
                self._staged.look(connection)
        return self._lineage is not None and "_epoch" in self._staged.kinds

    @contextmanager
    def _taking_back(self) -> Iterator[tuple[Lineage, sa.Connection]]:
        assert self._lineage is not None
        with self._session.lock:
            self._session.begin(self._checkpoints)
            with self._session.savepoint() as connection:
                yield self._lineage, connection
            self._session.dirty[self._checkpoints] = None

    def finish(self) -> None:
        with self._session.lock:
            connection = self._session.begin(self._checkpoints)
            pipeline = self.context.pipeline
            last = self._checkpoints.read(connection, pipeline)
            if last is None or last.finished:
                return
            apart = self._session.database.changes_commit
            if self.mode == "replace" and apart:
                with self._session.apart() as connection:
                    self._swap_at_once(connection, last)
            with self._session.savepoint() as connection:
                if self.mode == "replace" and not apart:
                    self._swap(connection)
                done = self._checkpoints.finish(connection, last)
            self._session.end(self._checkpoints, done)

    def _swap(self, connection: sa.Connection) -> None:
        """Put the staged table in the place of the one that is there."""
        self._staged.look(connection)
        self._target.look(connection)
        if not self._staged.kinds and self.columns and not self._target.kinds:
            self._staged.make(connection, {})
        if not self._staged.kinds:  # nothing was read
            if self._target.kinds:
                connection.exec_driver_sql(f"DELETE FROM {self._target.quoted}")  # noqa: S608 (quoted)
            return
        if self._target.kinds:
            self._drop(connection, self._target.quoted)
        name = self._session.database.quoted(self.table)
        connection.exec_driver_sql(f"ALTER TABLE {self._staged.quoted} RENAME TO {name}")

    def _swap_at_once(self, connection: sa.Connection, last: Checkpoint) -> None:
        """The same where each change of a table is committed by itself: one statement exchanges the
        tables. The mark tells a run that goes on from there that there was something to stage, so
        a staged table that is gone has been exchanged."""
        self._staged.look(connection)
        self._target.look(connection)
        mark = last.marks.get(self.context.name) or {}
        if not self._staged.kinds and not mark.get("rows"):  # nothing was read
            if self._target.kinds:
                connection.exec_driver_sql(f"DELETE FROM {self._target.quoted}")  # noqa: S608 (quoted)
            elif self.columns:
                self._target.make(connection, {})
            return
        old = self._session.database.quoted(self.schema, f"{self._staged.name}_old")
        if self._staged.kinds:
            change = f"{self._staged.quoted} TO {self._target.quoted}"
            if self._target.kinds:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {old}")
                change = f"{self._target.quoted} TO {old}, {change}"
            connection.exec_driver_sql(f"RENAME TABLE {change}")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {old}")

    @staticmethod
    def _drop(connection: sa.Connection, table: str) -> None:
        connection.exec_driver_sql(f"DROP TABLE {table}")

    # ---- writing --------------------------------------------------------------------------------

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if not len(batch.records):
            return None
        from .rows import Part

        part = Part(batch)
        with self._session.lock:
            self._session.begin(self._checkpoints)
            if part.rows:
                self._fit_and_convert(part)
            if part.rows and self.mode == "upsert":
                part.keep_one_of_each(self.key, self.version)
            if part.rows:
                columns, rows = part.columns, part.rows
                if self._lineage is not None:
                    columns, rows = self._lineage.add_to(part, self.context.epoch)
                part.refuse(self._writer.put(columns, rows))
            if part.rows:
                self._session.dirty[self._checkpoints] = None
        return part.failures

    def _fit_and_convert(self, part: Part) -> None:
        if part.columns != self._last_columns or not part.types() <= self._taken:
            self._look_closer(part)

    def _look_closer(self, part: Part) -> None:
        """Make table and records fit, and note what needs no closer look from now on: the same
        columns with values of types that each of them takes."""
        values = part.by_column()
        types = {name: set(map(type, column)) for name, column in zip(part.columns, values)}
        columns = part.columns
        self._fit(part, types)
        if part.rows:
            self._convert(part, values if part.columns is columns else part.by_column(), types)
            known = [self._column(name) for name in part.columns]
            self._last_columns = part.columns
            self._taken = frozenset.intersection(*(column.surely_takes for column in known))

    def _fit(self, part: Part, types: Mapping[str, set[type]]) -> None:
        """Make table and records agree: make the table, add columns or object to them."""
        table = self._staged
        if not table.kinds and self._has_staged:
            raise RunError(
                "the rows that an earlier run had staged for it are gone",
                where=self._place,
                hint="start over with --fresh",
            )
        if not table.kinds:
            with self._session.changing(table) as connection:
                table.look(connection)  # another output of this run may have made it
                if not table.kinds:
                    made = dict(types)
                    if self.evolution == "evolve":  # columns without a value may wait for it
                        made = {name: one for name, one in types.items() if one != {type(None)}}
                    table.make(connection, made, self._zoned(part, made))
        unknown = [name for name in part.columns if name not in table.kinds]
        if unknown:
            self._grow(part, unknown, types)
        if self.evolution == "evolve":
            for name in part.columns:
                taken = self._column(name).takes
                # A change is begun only for what is one: some systems refuse it in an epoch.
                if not types[name] <= taken and table.can_widen(name, types[name]):
                    with self._session.changing(table) as connection:
                        table.widen(connection, name, types[name])

    def _grow(self, part: Part, unknown: Sequence[str], types: Mapping[str, set[type]]) -> None:
        table = self._staged
        empty = [name for name in unknown if types[name] == {type(None)}]
        new = [name for name in unknown if types[name] != {type(None)}]
        if new and self.evolution == "freeze":
            raise RunError(
                f"there is no column {new[0]!r}",
                where=self._place,
                hint="add it, leave it out of the records, or set evolution to 'evolve'",
            )
        if new and self.evolution == "quarantine":
            part.refuse(
                {
                    row: f"there is no column {name!r} in table {self.table!r}"
                    for name in reversed(new)
                    for row in part.has(name)
                }
            )
            empty = list(unknown)
        elif new:
            with self._session.changing(table) as connection:
                table.look(connection)
                for name in new:
                    if name not in table.kinds:
                        zoned = bool(self._zoned(part, {name: types[name]}))
                        table.add(connection, name, types[name], zoned=zoned)
        part.leave_out(empty)

    def _zoned(self, part: Part, types: Mapping[str, set[type]]) -> set[str]:
        """The columns among these whose times carry an offset."""
        from datetime import datetime

        return {
            name
            for index, name in enumerate(part.columns)
            if datetime in types.get(name, ())
            and any(getattr(row[index], "tzinfo", None) is not None for row in part.rows)
        }

    def _column(self, name: str) -> Column:
        from .values import Column

        kind = self._staged.kinds[name]
        found = self._columns.get(name)
        if found is None or found.kind != kind:
            found = self._columns[name] = Column(self._session.database.name, name, kind)
        return found

    def _convert(
        self, part: Part, values: list[tuple[Any, ...]], types: Mapping[str, set[type]]
    ) -> None:
        """Give every value the form that its column takes."""
        wrong: dict[int, str] = {}
        changed = False
        for index, name in enumerate(part.columns):
            column = self._column(name)
            if column.ready(types[name]) and not column.may_hold_nan(values[index], types[name]):
                continue
            made, reasons = column.converted(values[index])
            values[index] = tuple(made)
            wrong = {**reasons, **wrong}
            changed = True
        if changed:
            part.rows = list(zip(*values))
        part.refuse(wrong)


def _staged_name(table: str, context: Context) -> str:
    """A table of this output alone, with a name that every system takes."""
    from zlib import crc32

    owner = crc32(f"{context.pipeline}/{context.name}/{table}".encode())
    return f"{table[:40]}__{owner:08x}"
