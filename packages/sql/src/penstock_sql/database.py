"""Connecting to a database, and what its errors mean for a run."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from penstock import ConnectError, PluginError

from .kinds import TOO_MANY_DIGITS
from .urls import dialect_of, shown, sqlite_file, with_driver

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

__all__ = ["Database", "Verdict", "explain", "verdict_on"]

Verdict = Literal["record", "passing", "lost", "final"]

_MODULES = {
    "psycopg": ("psycopg", "penstock-sql[postgresql]"),
    "pymysql": ("pymysql", "penstock-sql[mariadb]"),
}


class Database:
    """A database by its URL. `lock_timeout` is how long a statement waits for somebody's lock."""

    def __init__(self, url: str, lock_timeout: float = 30.0) -> None:
        self.url = url
        self.name = dialect_of(url)
        self.lock_timeout = lock_timeout
        self.engine = self._engine()
        self.dialect = self.engine.dialect
        quote = self.dialect.identifier_preparer.quote_identifier
        self._quote = quote
        self.marker = "?" if self.name == "sqlite" else "%s"

    @property
    def changes_commit(self) -> bool:
        """Whether a change of a table commits the transaction that it is in."""
        return self.name in ("mysql", "mariadb")

    def _engine(self) -> Engine:
        import sqlalchemy as sa

        driver = with_driver(self.url).partition(":")[0].partition("+")[2]
        module, extra = _MODULES.get(driver, ("", ""))
        if module and find_spec(module) is None:
            raise PluginError(
                f"{self.name} needs the module {module}", hint=f"pip install '{extra}'"
            )
        try:
            engine = sa.create_engine(
                with_driver(self.url),
                poolclass=sa.pool.NullPool,
                # A connection that is given back is closed, which takes back what is open. To take
                # it back before would make the pool log a traceback when the connection is lost.
                pool_reset_on_return=None,
                connect_args=self._connect_args(driver),
            )
        except (sa.exc.ArgumentError, ImportError, ValueError) as error:
            raise ConnectError(
                f"{shown(self.url)} cannot be used: {explain(error)}", hint="look at the url"
            ) from error
        if self.name == "sqlite":
            sa.event.listen(engine, "connect", _own_transactions)
            sa.event.listen(engine, "begin", _nothing_to_begin)
        return engine

    def _connect_args(self, driver: str) -> dict[str, Any]:
        seconds = max(1, round(self.lock_timeout))
        if self.name == "sqlite":
            return {"timeout": self.lock_timeout, "check_same_thread": False}
        if driver == "psycopg":
            options = f"-c lock_timeout={seconds * 1000}"
            return {"connect_timeout": 10, "options": options, "application_name": "penstock"}
        if driver == "pymysql":
            wait = f"SET SESSION innodb_lock_wait_timeout={seconds}, lock_wait_timeout={seconds}"
            return {"connect_timeout": 10, "init_command": wait}
        return {}

    def quoted(self, *names: str) -> str:
        """A name, or a schema and a name, as they stand in a statement."""
        return ".".join(self._quote(name) for name in names if name)

    def connect(self) -> Connection:
        """A connection; ConnectError when there is none to be had."""
        import sqlalchemy as sa

        self._check_folder()
        try:
            return self.engine.connect()
        except sa.exc.DBAPIError as error:
            raise ConnectError(
                f"{shown(self.url)} cannot be reached: {explain(error)}",
                hint="is the server up, and is the url right?",
            ) from error

    def _check_folder(self) -> None:
        file = sqlite_file(self.url)
        if file is None:
            return
        folder = str(file.parent)
        if not file.parent.is_dir():
            raise ConnectError(
                f"there is no folder {folder!r}", where=str(file), hint="make it first"
            )
        if not file.exists() and not os.access(folder, os.W_OK):
            raise ConnectError(f"folder {folder!r} must not be written to", where=str(file))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection with a transaction of its own."""
        with self.connect() as connection, connection.begin():
            if self.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for a look; nothing is locked or made."""
        with self.connect() as connection, connection.begin():
            if self.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            yield connection

    def exists(self) -> bool:
        """Whether there is a database: looking at one of SQLite would make an empty file.
        ConnectError when there cannot be one."""
        self._check_folder()
        file = sqlite_file(self.url)
        return file is None or file.exists()

    def close(self) -> None:
        self.engine.dispose()


def _own_transactions(connection: Any, _: Any) -> None:
    # The driver would begin by itself, and only before some statements.
    connection.isolation_level = None


def _nothing_to_begin(_: Any) -> None:
    """Whoever wants a transaction of SQLite says which kind it is."""


def explain(error: BaseException) -> str:
    """What went wrong, in a line: no statement, no values, no address of a manual."""
    original = getattr(error, "orig", None) or error
    if len(original.args) == 2 and isinstance(original.args[0], int):
        text = str(original.args[1])  # PyMySQL: a number and a sentence
    else:
        text = str(original)
    if "set_int_max_str_digits" in text:
        return TOO_MANY_DIGITS
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    detail = next((line for line in lines[1:] if line.startswith("DETAIL:")), "")
    text = lines[0] if lines else type(original).__name__
    return f"{text} ({detail[7:].strip().rstrip('.')})" if detail else text


_LOST_NUMBERS = (0, 1053, 1927, 2006, 2013)
"""MariaDB: closed already, a server that stops, a connection that was ended, gone or cut."""
_LOST_STATES = ("08", "57P01", "57P02")
_PASSING_STATES = ("40", "55P03", "57P03", "53300")
"""Serialization failures and deadlocks, a lock not had in time, a server starting or full."""
_RECORD_STATES = ("22", "23", "42804", "44", "45", "P0001")
"""Data, constraints, a type that does not match, a view's check, a trigger that objects."""
_PASSING_NUMBERS = (1205, 1213)  # MariaDB: lock wait, deadlock
_RECORD_NUMBERS = (1264, 1265, 1292, 1366, 1406, 1644, 4025)


def verdict_on(error: BaseException) -> Verdict:
    """What an error while writing means: this "record" is wrong; it is "passing" and may be tried
    again; the connection is "lost" and with it the transaction; or it is "final"."""
    original = getattr(error, "orig", None) or error
    classes = {cls.__name__ for cls in type(original).__mro__}
    if isinstance(original, sqlite3.Error):
        return _verdict_of_sqlite(original)
    if "Error" not in classes:  # no driver's: Python could not make a parameter of a value
        refused = isinstance(original, (ValueError, TypeError, OverflowError))
        return "record" if refused else "final"
    state = getattr(original, "sqlstate", None) or ""
    if getattr(error, "connection_invalidated", False) or state.startswith(_LOST_STATES):
        return "lost"
    number = original.args[0] if original.args else None
    if number in _LOST_NUMBERS and isinstance(number, int):
        return "lost"
    if state.startswith(_PASSING_STATES) or number in _PASSING_NUMBERS:
        return "passing"
    if state.startswith(_RECORD_STATES) or number in _RECORD_NUMBERS:
        return "record"
    if not state and "OperationalError" in classes and not isinstance(number, int):
        return "lost"  # psycopg's words for a connection that is gone carry no state
    if not state and "cannot adapt type" in str(original):
        return "record"
    return "record" if classes & {"IntegrityError", "DataError"} else "final"


def _verdict_of_sqlite(error: sqlite3.Error) -> Verdict:
    text = str(error)
    if "is locked" in text or "is busy" in text:
        return "passing"
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError)):
        return "record"
    # A value that the driver cannot bind: ProgrammingError, before Python 3.11 InterfaceError.
    return "record" if "binding parameter" in text else "final"
