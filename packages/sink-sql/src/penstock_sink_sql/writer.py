"""Puts rows into a table, as fast as the database takes them; one that it refuses is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from penstock import RecordError, RunError
from penstock_sql.database import explain, verdict_on

from . import statements

if TYPE_CHECKING:
    import sqlalchemy as sa

    from .session import Session

__all__ = ["Writer"]

_AT_ONCE = 100
_MOST_PARAMETERS = 32_000
_NO_COPY = ("42809", "0A000")
"""A view, or a table whose rows are guarded: PostgreSQL takes INSERT there, but no COPY."""
Row = Sequence[Any]


class Writer:
    """Writes rows of one table; with a key, rows that are there are changed, unless their `version`
    is a later one."""

    def __init__(
        self, session: Session, table: str, key: Sequence[str] = (), version: str = ""
    ) -> None:
        self.session = session
        self.database = session.database
        self.table = table
        self.key = [self.database.quoted(name) for name in key]
        self.version = version and self.database.quoted(version)
        driver = self.database.dialect.driver
        self.copies = driver == "psycopg" and not key
        self._texts: dict[tuple[tuple[str, ...], int], str] = {}

    def put(self, columns: tuple[str, ...], rows: Sequence[Row]) -> Mapping[int, RecordError]:
        """Write rows; those that the database refuses are returned, by index, with the reason.

        Where some are refused, halves are tried until each of them is found: 512 rows with one bad
        one take 19 statements, and the order of the others stays.
        """
        refused: dict[int, RecordError] = {}
        todo = [(0, len(rows))]
        while todo:
            start, end = todo.pop()
            if start == end:
                continue
            try:
                with self.session.savepoint() as connection:
                    self._put(connection, columns, rows[start:end])
            except RunError as error:
                if not self.copies or getattr(error.__cause__, "sqlstate", "") not in _NO_COPY:
                    raise
                self.copies = False
                todo.append((start, end))
            except Exception as error:
                if verdict_on(error) != "record":
                    raise
                if end - start == 1:
                    refused[start] = RecordError(explain(error))
                    continue
                middle = (start + end) // 2
                todo += [(middle, end), (start, middle)]
        return refused

    def _put(
        self, connection: sa.Connection, columns: tuple[str, ...], rows: Sequence[Row]
    ) -> None:
        if self.copies:
            self._copy(connection, columns, rows)
        elif self.database.name == "sqlite":
            self._put_many(connection, columns, rows)
        else:
            connection.exec_driver_sql(self._text(columns, 1), list(map(tuple, rows)))

    def _put_many(
        self, connection: sa.Connection, columns: tuple[str, ...], rows: Sequence[Row]
    ) -> None:
        """Many rows in one statement: SQLite takes them a third faster than one by one."""
        at_once = max(1, min(_AT_ONCE, _MOST_PARAMETERS // len(columns)))
        whole = len(rows) - len(rows) % at_once
        if whole:
            parts = [
                tuple(chain.from_iterable(rows[start : start + at_once]))
                for start in range(0, whole, at_once)
            ]
            connection.exec_driver_sql(self._text(columns, at_once), parts)
        if whole < len(rows):
            connection.exec_driver_sql(self._text(columns, 1), list(map(tuple, rows[whole:])))

    def _copy(
        self, connection: sa.Connection, columns: tuple[str, ...], rows: Sequence[Row]
    ) -> None:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(self._copy_text(columns)) as copy:
            write_row = copy.write_row
            for row in rows:
                write_row(row)

    def _text(self, columns: tuple[str, ...], rows: int) -> str:
        text = self._texts.get((columns, rows))
        if text is None:
            quoted = [self.database.quoted(name) for name in columns]
            text = statements.insert(
                self.database.name,
                self.table,
                quoted,
                self.database.marker,
                rows,
                self.key,
                self.version,
            )
            self._texts[columns, rows] = text
        return text

    def _copy_text(self, columns: tuple[str, ...]) -> str:
        return statements.copy(self.table, [self.database.quoted(name) for name in columns])
