"""A table: what its columns hold, how it is made from records and how it grows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from penstock import RunError
from penstock_sql.kinds import TABLE_OPTIONS, kind_of, kinds_of_table, type_of, wider

if TYPE_CHECKING:
    from penstock_sql.database import Database

__all__ = ["Table"]


class Table:
    """A table as this output knows it. `kinds` is what each column holds; empty: there is none."""

    def __init__(
        self,
        database: Database,
        schema: str,
        name: str,
        key: Sequence[str],
        columns: Mapping[str, str],
    ) -> None:
        self.database = database
        self.schema = schema
        self.name = name
        self.key = tuple(key)
        self.declared = dict(columns)
        self.kinds: dict[str, str] = {}

    @property
    def quoted(self) -> str:
        return self.database.quoted(self.schema, self.name)

    def look(self, connection: sa.Connection) -> None:
        """Find out what is there."""
        inspector = sa.inspect(connection)
        self.kinds = {}
        if inspector.has_table(self.name, schema=self.schema or None):
            self.kinds = kinds_of_table(connection, self.name, self.schema)

    def check_engine(self, connection: sa.Connection) -> None:
        """MariaDB has tables that keep each row at once: such a one would keep half an epoch."""
        if not self.database.changes_commit:
            return
        query = sa.text(
            "SELECT engine FROM information_schema.tables "
            "WHERE table_schema = COALESCE(:schema, DATABASE()) AND table_name = :table"
        )
        place = {"schema": self.schema or None, "table": self.name}
        engine = connection.execute(query, place).scalar()
        if engine in ("MyISAM", "Aria", "MEMORY", "CSV"):
            raise RunError(
                f"table {self.name!r} is kept by {engine}, which has no transactions",
                hint=f"ALTER TABLE {self.quoted} ENGINE=InnoDB",
            )

    def check_key(self, connection: sa.Connection) -> None:
        """An upsert needs something in the database that tells equal rows."""
        inspector, place = sa.inspect(connection), {"schema": self.schema or None}
        unique = [inspector.get_pk_constraint(self.name, **place)["constrained_columns"]]
        unique += [u["column_names"] for u in inspector.get_unique_constraints(self.name, **place)]
        indexes = inspector.get_indexes(self.name, **place)
        unique += [list(map(str, i["column_names"])) for i in indexes if i["unique"]]
        if set(self.key) not in map(set, unique):
            names = ", ".join(self.key)
            raise RunError(
                f"table {self.name!r} has no primary key or unique index on {names}",
                hint="make one, or name the columns of the one there is as the key",
            )

    def make(
        self,
        connection: sa.Connection,
        columns: Mapping[str, set[type]],
        zoned: Collection[str] = (),
    ) -> None:
        """Make the table for these columns, by the types of their values; the times of those that
        are `zoned` carry an offset."""
        kinds = {name: self._kind(name, types) for name, types in columns.items()}
        kinds = {**kinds, **self.declared}
        missing = [name for name in self.key if name not in kinds]
        if missing:
            raise RunError(
                f"the first records have no {missing[0]!r}, which is of the key", hint="look at key"
            )
        made = sa.Table(
            self.name,
            sa.MetaData(schema=self.schema or None),
            *(self._column(name, kind, name in zoned) for name, kind in kinds.items()),
            **TABLE_OPTIONS,
        )
        made.create(connection)
        self.kinds = kinds

    def add(
        self, connection: sa.Connection, name: str, types: set[type], *, zoned: bool = False
    ) -> None:
        """Add a column."""
        kind = self._kind(name, types)
        column = self._column(name, kind, zoned)
        type_ = column.type.compile(dialect=self.database.dialect)
        column_sql = f"{self.database.quoted(name)} {type_}"
        connection.exec_driver_sql(f"ALTER TABLE {self.quoted} ADD COLUMN {column_sql}")
        self.kinds[name] = kind

    def can_widen(self, name: str, types: set[type]) -> bool:
        """Whether `widen` would change the column for these values."""
        return self._wider(name, types) is not None

    def _wider(self, name: str, types: set[type]) -> str | None:
        kind, found = self.kinds[name], kind_of(types)
        into = wider(kind, found) if found is not None else None
        return None if into == kind or name in self.declared else into

    def widen(self, connection: sa.Connection, name: str, types: set[type]) -> None:
        """Let a column hold these values too, where what it holds can be turned into that."""
        into = self._wider(name, types)
        if into is None:
            return
        if self.database.name == "sqlite":
            if into == "float":  # a column of SQLite takes floats among whole numbers
                self.kinds[name] = into
            return
        type_ = type_of(into).compile(dialect=self.database.dialect)
        column = self.database.quoted(name)
        change = f"ALTER COLUMN {column} TYPE {type_}"
        if self.database.name != "postgresql":
            change = f"MODIFY COLUMN {column} {type_}"
        connection.exec_driver_sql(f"ALTER TABLE {self.quoted} {change}")
        self.kinds[name] = into

    def _kind(self, name: str, types: set[type]) -> str:
        return self.declared.get(name) or _kind_or_text(types)

    def _column(self, name: str, kind: str, zoned: bool) -> sa.Column[Any]:
        is_key = name in self.key
        type_ = type_of(kind, zoned=zoned, key=is_key)
        return sa.Column(name, type_, primary_key=is_key, autoincrement=False)


def _kind_or_text(types: set[type]) -> str:
    found = kind_of(types)
    return "text" if found in (None, "unknown") else str(found)
