"""The connection and the transaction in which an epoch is written.

Outputs of one run that write to the same database share them: SQLite has one writer at a time, and
two transactions of one run that wait for each other's rows would wait for ever. What they have
written is committed in one step, each with its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, NoReturn
from weakref import WeakValueDictionary

import sqlalchemy as sa

from penstock import Checkpoint, ConnectError, PenstockError, RunError, TransientError
from penstock_sql.database import Database, explain, verdict_on
from penstock_sql.urls import sqlite_file

if TYPE_CHECKING:
    from .checkpoints import Checkpoints
    from .table import Table

__all__ = ["Session", "session_for"]

_LOOKS = 6
_AGAIN = "run the pipeline again: it goes on after its last checkpoint"

# The one thing that the outputs of a run have in common is the run's id, so they meet here.
_open_sessions: WeakValueDictionary[tuple[str, str], Session] = WeakValueDictionary()
_meeting = RLock()


def session_for(run_id: str, url: str, lock_timeout: float) -> Session:
    """The session of a run with a database: made by the first output that asks for it."""
    with _meeting:
        found = _open_sessions.get((run_id, url)) if run_id else None
        if found is None:
            found = Session(Database(url, lock_timeout))
            if run_id:
                _open_sessions[run_id, url] = found
        found.users += 1
        return found


class Session:
    """A connection with at most one transaction. Hold `lock` while working on it.

    `dirty` are the outputs with rows in the transaction.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.lock = RLock()
        self.users = 0
        self.dirty: dict[Checkpoints, None] = {}
        self._committed: dict[Checkpoints, tuple[int, int, str, bool]] = {}
        self._connection: sa.Connection | None = None
        self._begun = False
        self._broken: PenstockError | None = None

    def close(self) -> None:
        """Leave; the last output to do so takes back what is not committed."""
        with _meeting:
            self.users -= 1
            if self.users <= 0:
                self._drop()
                self.database.close()

    # ---- the transaction ------------------------------------------------------------------------

    def begin(self, checkpoints: Checkpoints) -> sa.Connection:
        """The connection, in a transaction."""
        if self._broken is not None:
            raise self._broken
        if self._begun and self._connection is not None:
            return self._connection
        try:
            checkpoints.make()
            if self._connection is None:
                self._connection = self._connect()
            self._connection.begin()
            if self.database.name == "sqlite":
                self._connection.exec_driver_sql("BEGIN IMMEDIATE")
            self._begun = True
        except ConnectError as error:
            self._drop()
            raise TransientError(str(error)) from error  # nothing is written yet, so try again
        except sa.exc.DBAPIError as error:
            self._drop()
            self._give_up(error)
        return self._connection

    def _connect(self) -> sa.Connection:
        connection = self.database.connect()
        if self.database.changes_commit:
            # Otherwise the first epochs of two pipelines lock each other out: a deadlock.
            return connection.execution_options(isolation_level="READ COMMITTED")
        return connection

    @contextmanager
    def savepoint(self) -> Iterator[sa.Connection]:
        """Take back what is done inside when it raises; what was written before stays.

        An error of the database comes out as it is when the record is to blame, as TransientError
        when it may pass, and as RunError when it will not.
        """
        connection = self._connection
        assert connection is not None
        try:
            connection.exec_driver_sql("SAVEPOINT penstock")
            yield connection
            connection.exec_driver_sql("RELEASE SAVEPOINT penstock")
        except Exception as error:
            if verdict_on(error) == "lost" or not self._take_back(connection):
                self._lose(error)
            if verdict_on(error) == "record" or isinstance(error, PenstockError):
                raise
            self._give_up(error)

    @contextmanager
    def changing(self, table: Table) -> Iterator[sa.Connection]:
        """A savepoint for a change of a table; its errors are no record's fault.

        When it fails because somebody else has just made the same change, that is what counts:
        `table` is looked at again, and the caller finds out.
        """
        before = dict(table.kinds)
        try:
            with self._apart(table) if self.database.changes_commit else self.savepoint() as one:
                yield one
        except (sa.exc.DBAPIError, RunError) as error:
            if self._broken is not None or self._connection is None:
                raise
            table.look(self._connection)
            if table.kinds == before:
                raise RunError(explain(error)) from error

    @contextmanager
    def _apart(self, table: Table) -> Iterator[sa.Connection]:
        """A connection of its own, where a change would commit what is in the transaction.

        A table can be made there at any time. One that is there can change only while no row waits
        to be committed, as the change would wait for these rows and they for it.
        """
        assert self._connection is not None
        if table.kinds and self.dirty:
            raise RunError(
                f"table {table.name!r} cannot change in the middle of an epoch: "
                f"{self.database.name} would commit the rows before it",
                hint="give it the columns that the records have, by hand",
            )
        if not self.dirty:  # hold nothing that the change would wait for
            self._connection.rollback()
            self._connection.begin()
        with self.database.transaction() as connection:
            yield connection

    @contextmanager
    def apart(self) -> Iterator[sa.Connection]:
        """A connection of its own, for what is not of the epoch."""
        try:
            with self.database.transaction() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            self._give_up(error)

    def _take_back(self, connection: sa.Connection) -> bool:
        """Go back to the savepoint; False when the whole transaction is gone."""
        driver = connection.connection.driver_connection
        if self.database.name == "sqlite" and not getattr(driver, "in_transaction", True):
            return False
        try:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT penstock")
            connection.exec_driver_sql("RELEASE SAVEPOINT penstock")
        except sa.exc.SQLAlchemyError:
            return False
        return True

    def _give_up(self, error: Exception) -> NoReturn:
        """Raise what an error means when no row is lost by it."""
        if verdict_on(error) in ("passing", "lost"):
            raise TransientError(explain(error)) from error
        raise RunError(self._explained(error)) from error

    def _explained(self, error: Exception) -> str:
        """What went wrong; a file of SQLite, of which the system says nothing, is named."""
        file = sqlite_file(self.database.url)
        text = explain(error)
        return f"{file}: {text}" if file and verdict_on(error) == "final" else text

    def _lose(self, error: Exception) -> NoReturn:
        """The transaction is gone. Rows of earlier batches went with it, so no output may go on."""
        had_rows = bool(self.dirty)
        self._drop()
        if not had_rows and verdict_on(error) in ("lost", "passing"):
            raise TransientError(explain(error)) from error
        what = f"the transaction was lost in the middle of an epoch: {self._explained(error)}"
        self._broken = RunError(what, hint=_AGAIN)
        raise self._broken from error

    def _drop(self) -> None:
        """Let go of the connection and of what is not committed."""
        connection, self._connection = self._connection, None
        self._begun = False
        self.dirty.clear()
        if connection is not None:
            with suppress(sa.exc.SQLAlchemyError):  # it may be gone already
                connection.close()

    # ---- the commit -----------------------------------------------------------------------------

    def commit(self, mine: Checkpoints, checkpoint: Checkpoint) -> None:
        """Commit the epoch of every output that has rows in the transaction, and that of `mine`.

        An output whose epoch went with another one's finds that out here.
        """
        key = _identity(checkpoint)
        if self._committed.pop(mine, None) == key:
            return
        try:
            parties = self._advance(mine, checkpoint)
        except TransientError:  # an idle connection was gone, and no rows with it
            parties = self._advance(mine, checkpoint)
        self.end(mine, checkpoint)
        for party in parties:
            if party is not mine:
                self._committed[party] = key

    def _advance(self, mine: Checkpoints, checkpoint: Checkpoint) -> list[Checkpoints]:
        connection = self.begin(mine)
        parties = list({**self.dirty, mine: None})
        try:
            for party in parties:
                party.advance(connection, checkpoint)
        except sa.exc.DBAPIError as error:
            if verdict_on(error) == "lost":
                self._lose(error)
            self._drop()
            raise RunError(f"the epoch could not be committed: {self._explained(error)}") from error
        except PenstockError:
            self._drop()
            raise
        return parties

    def end(self, mine: Checkpoints, checkpoint: Checkpoint) -> None:
        """Commit what is in the transaction; `checkpoint` is what `mine` has then."""
        assert self._connection is not None
        try:
            self._connection.commit()
        except sa.exc.DBAPIError as error:
            verdict = verdict_on(error)
            self._drop()
            if verdict != "lost":
                what = f"the epoch could not be committed: {self._explained(error)}"
                raise RunError(what, hint=_AGAIN) from error
            self._settle_doubt(mine, checkpoint, error)
        self.dirty.clear()
        self._begun = False

    def _settle_doubt(self, mine: Checkpoints, checkpoint: Checkpoint, error: Exception) -> None:
        """The answer to a commit was lost: look whether it has happened."""
        from time import sleep

        for attempt in range(_LOOKS):
            try:
                there = mine.latest(checkpoint.pipeline)
            except (ConnectError, sa.exc.DBAPIError):
                sleep(0.1 * 2**attempt)
                continue
            if there is not None and _identity(there) == _identity(checkpoint):
                return
            what = f"the connection was lost, and epoch {checkpoint.epoch} was not committed"
            self._broken = RunError(what, hint=_AGAIN)
            raise self._broken from error
        what = f"the connection was lost while epoch {checkpoint.epoch} was committed"
        self._broken = RunError(what, hint=_AGAIN)
        raise self._broken from error


def _identity(checkpoint: Checkpoint) -> tuple[int, int, str, bool]:
    return (checkpoint.epoch, checkpoint.generation, checkpoint.run_id, checkpoint.finished)
