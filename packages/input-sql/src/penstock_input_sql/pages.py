"""Pages of a table or a query, in the order of a key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from penstock import ConnectError
from penstock_sql.database import Database, explain

from .values import readers_of

if TYPE_CHECKING:
    from sqlalchemy.sql.selectable import FromClause

__all__ = ["Pages"]

Key = Sequence[Any]


class Pages:
    """Reads the rows after a key. `order` and `columns` are known once `check` was called."""

    def __init__(
        self,
        database: Database,
        *,
        table: str = "",
        query: str = "",
        schema: str = "",
        columns: Sequence[str] = (),
        order_by: Sequence[str] = (),
        cursor: str = "",
        between: tuple[Key | None, Key | None] = (None, None),
    ) -> None:
        self.database = database
        self.table = table
        self.query = query
        self.schema = schema
        self.columns = list(columns)
        self.order = list(order_by)
        self.cursor = cursor
        self.between = between
        self._unique = False
        self._kinds: dict[str, str] = {}
        self._connection: sa.Connection | None = None

    def close(self) -> None:
        self.leave()
        self.database.close()

    # ---- before reading -------------------------------------------------------------------------

    def check(self) -> None:
        """Find columns and order; ConnectError with what cannot be read."""
        if not self.database.exists():
            raise ConnectError(f"there is no database {self._place!r}", hint="look at the url")
        try:
            with self.database.reading() as connection:
                if self.table:
                    self._look_at_table(connection)
                else:
                    self._look_at_query(connection)
                self._check_order(connection)
        except sa.exc.DBAPIError as error:
            raise ConnectError(f"cannot be read: {explain(error)}", where=self._place) from error

    @property
    def _place(self) -> str:
        from penstock_sql.urls import shown, sqlite_file

        return str(sqlite_file(self.database.url) or shown(self.database.url))

    def _look_at_table(self, connection: sa.Connection) -> None:
        from penstock_sql.kinds import kinds_of_table

        inspector, place = sa.inspect(connection), {"schema": self.schema or None}
        names = {*inspector.get_table_names(**place), *inspector.get_view_names(**place)}
        if self.table not in names:
            raise ConnectError(
                f"there is no table {self.table!r}",
                where=self._place,
                hint=_near(self.table, names),
            )
        self._kinds = kinds_of_table(connection, self.table, self.schema)
        key = inspector.get_pk_constraint(self.table, **place)["constrained_columns"]
        if not self.order and not key and not self.cursor:
            raise ConnectError(
                f"table {self.table!r} has no primary key",
                where=self._place,
                hint="name the columns that give each row its place in order_by",
            )
        self._settle(list(self._kinds), key)

    def _look_at_query(self, connection: sa.Connection) -> None:
        nothing = sa.select(sa.text("*")).select_from(self._source).where(sa.false())
        self._settle(list(connection.execute(nothing).keys()), ())

    def _settle(self, there: Sequence[str], key: Sequence[str]) -> None:
        order = [self.cursor] if self.cursor else []
        order += [name for name in self.order or key if name != self.cursor]
        for name in [*order, *self.columns]:
            if name not in there:
                raise ConnectError(
                    f"there is no column {name!r}", where=self._place, hint=_near(name, there)
                )
        self.order = order
        self._unique = bool(key) and set(key) <= set(order)
        self.columns = self.columns or list(there)

    def _check_order(self, connection: sa.Connection) -> None:
        asked = [] if self._unique else [name for name in self.order if name != self.cursor]
        if not asked:
            return
        empty = sa.or_(*(sa.column(name).is_(None) for name in asked))
        query = sa.select(sa.literal(1)).select_from(self._source).where(empty).limit(1)
        if connection.execute(query).first() is not None:
            raise ConnectError(
                f"a row has no value in {' or '.join(asked)}, so it has no place in the order",
                where=self._place,
                hint="leave such rows out by a query",
            )

    @property
    def _source(self) -> FromClause:
        if self.table:
            return sa.table(self.table, schema=self.schema or None)
        query = self.query.strip().rstrip(";").replace(":", "\\:")  # no parameters of ours
        return sa.text(f"({query}\n) AS penstock_query")  # type: ignore[return-value]

    # ---- reading --------------------------------------------------------------------------------

    def _begun(self) -> sa.Connection:
        """A read-only transaction: of SQLite for one page, elsewhere for all of them."""
        if self._connection is None:
            self._connection = connection = self.database.connect()
            if self.database.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            elif self.database.name == "postgresql":
                connection.exec_driver_sql(
                    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
            else:
                connection.exec_driver_sql(
                    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
                )
        return self._connection

    def leave(self) -> None:
        """Give the connection back; the next page makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):  # it may be gone already
                connection.close()

    def after(self, key: Key | None, count: int) -> tuple[list[Any], Key | None]:
        """About `count` rows after `key`, and the key of the last one.

        A page ends where the key changes: rows with an equal key come together.
        """
        limit = count
        while True:
            rows = self._fetch(key, limit)
            whole = len(rows) < limit or self._unique
            if not whole:
                kept = rows[: self._before_last(key, rows)]
                if not kept:
                    limit *= 2  # a page of nothing but equal keys
                    continue
                rows = kept
            if not rows:
                return [], key
            return self._read([row for row, _ in rows]), rows[-1][1]

    def _before_last(self, key: Key | None, rows: list[tuple[Any, Key]]) -> int:
        """How many rows have a key before the last one. Which texts are equal, as 'a' and 'A' may
        be, only the database knows."""
        last = rows[-1][1]
        if not any(isinstance(value, str) for value in last):
            return sum(pair[1] != last for pair in rows)
        columns = sa.tuple_(*_columns(self.order))
        query = sa.select(sa.func.count()).select_from(self._source)
        query = query.where(*self._conditions(key), columns < _values(last))
        count: int = self._begun().execute(query).scalar_one()
        return min(count, len(rows))

    def _fetch(self, key: Key | None, limit: int) -> list[tuple[Any, Key]]:
        connection = self._begun()
        order = _columns(self.order)
        wanted = _columns(self.columns)
        query = sa.select(*wanted, *(c.label(f"penstock_{i}") for i, c in enumerate(order)))
        query = query.select_from(self._source).where(*self._conditions(key))
        # The driver's own rows: plain tuples, with nothing converted.
        cursor: Any = connection.execute(query.order_by(*order).limit(limit)).cursor
        found = cursor.fetchall()
        width = len(wanted)
        pairs: list[tuple[Any, Key]] = [(tuple(row[:width]), tuple(row[width:])) for row in found]
        if self.database.name == "sqlite":
            connection.rollback()
        return pairs

    def _conditions(self, key: Key | None) -> list[sa.ColumnElement[bool]]:
        columns = sa.tuple_(*(sa.column(name) for name in self.order))
        low, high = self.between
        found: list[sa.ColumnElement[bool]] = []
        if self.cursor:
            found.append(sa.column(self.cursor).is_not(None))
        if key is not None:
            found.append(columns > _values(key))
        elif low is not None:
            found.append(columns >= _values(low))
        if high is not None:
            found.append(columns < _values(high))
        return found

    def _read(self, rows: list[Any]) -> list[Any]:
        if not self._kinds:
            return rows
        readers = readers_of(self.database.name, [self._kinds[name] for name in self.columns])
        if not readers:
            return rows
        values = list(zip(*rows))
        for index, reader in readers.items():
            values[index] = tuple(map(reader, values[index]))
        return list(zip(*values))

    # ---- parts ----------------------------------------------------------------------------------

    def bounds(self, n: int) -> list[Key]:
        """Keys that cut the rows into at most `n` parts of about the same size."""
        order = _columns(self.order)
        conditions = self._conditions(None)
        with self.database.reading() as connection:
            count_all = sa.select(sa.func.count()).select_from(self._source).where(*conditions)
            count = connection.execute(count_all).scalar_one()
            found: list[Key] = []
            for part in range(1, n):
                at = count * part // n
                query = sa.select(*order).select_from(self._source).where(*conditions)
                row = connection.execute(query.order_by(*order).offset(at).limit(1)).first()
                if at and row is not None and tuple(row) not in found:
                    found.append(tuple(row))
        return found

    def hint(self, error: Exception) -> str | None:
        """What to do about an error of reading."""
        if self.database.name == "sqlite" and "locked" in str(error):
            return "if a pipeline reads and writes one file, set PRAGMA journal_mode=WAL on it once"
        return None


def _columns(names: Sequence[str]) -> list[sa.ColumnClause[Any]]:
    return [sa.column(name) for name in names]


def _values(key: Key) -> Any:
    return sa.tuple_(*(sa.literal(value) for value in key))


def _near(name: str, there: Any) -> str:
    from penstock.errors import nearest

    near = nearest(name, list(there))
    if near:
        return f"did you mean {near!r}?"
    return f"there are {', '.join(sorted(there))}" if there else "it is empty"
