"""The SQLite store: one file, `state.db`, in the state folder of a pipeline.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut (DELIVERY: with NORMAL
the last commits may go).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import ConnectError
from ..store import (
    HISTORY,
    Alive,
    Checkpoint,
    DeadLetter,
    FencedError,
    IndexedKey,
    Store,
    holds,
    lease_taken,
)

__all__ = ["VERSION", "SqliteStore"]

VERSION = 2
"""Of the tables below. A file with a higher number is refused untouched; one with a lower number
gets what it lacks, in one transaction."""

_KEYED_RUNS = 10
"""Of so many runs of a pipeline the keys are kept; those of every record for ever would fill the
disk."""

_PATIENCE = 30.0
"""Seconds to wait for another process that writes."""

_TABLES = """
CREATE TABLE IF NOT EXISTS leases (
    pipeline TEXT PRIMARY KEY, holder TEXT NOT NULL, generation INTEGER NOT NULL,
    until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (
    pipeline TEXT PRIMARY KEY, epoch INTEGER NOT NULL, checkpoint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (pipeline TEXT PRIMARY KEY, file TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    pipeline TEXT NOT NULL, epoch INTEGER NOT NULL, checkpoint TEXT NOT NULL,
    PRIMARY KEY (pipeline, epoch));
INSERT OR IGNORE INTO history SELECT pipeline, epoch, checkpoint FROM checkpoints;
CREATE TABLE IF NOT EXISTS intents (
    pipeline TEXT PRIMARY KEY, epoch INTEGER NOT NULL, checkpoint TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS attempts (
    pipeline TEXT NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pipeline, place));
CREATE TABLE IF NOT EXISTS letters (
    pipeline TEXT NOT NULL, source TEXT NOT NULL, ordinal INTEGER NOT NULL, node TEXT NOT NULL,
    error TEXT NOT NULL, message TEXT NOT NULL, record TEXT NOT NULL, run_id TEXT NOT NULL,
    plugin TEXT NOT NULL, version TEXT NOT NULL, config_hash TEXT NOT NULL,
    attempts INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    part INTEGER NOT NULL, PRIMARY KEY (pipeline, source, ordinal, node, part));
CREATE INDEX IF NOT EXISTS letters_by_run ON letters (run_id);
CREATE TABLE IF NOT EXISTS reports (
    run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, started REAL NOT NULL, report TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record_keys (
    pipeline TEXT NOT NULL, run_id TEXT NOT NULL, source TEXT NOT NULL, ordinal INTEGER NOT NULL,
    key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS record_keys_by_key ON record_keys (key);
CREATE INDEX IF NOT EXISTS record_keys_by_run ON record_keys (pipeline, run_id);
"""

# The columns stand in the order of the fields of DeadLetter.
_PUT_LETTER = """
INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (pipeline, source, ordinal, node, part) DO UPDATE SET
    error = excluded.error, message = excluded.message, record = excluded.record,
    run_id = excluded.run_id, plugin = excluded.plugin, version = excluded.version,
    config_hash = excluded.config_hash, last = max(letters.last, excluded.last),
    attempts = letters.attempts + excluded.attempts
"""


class SqliteStore(Store):
    """A store in `folder`/state.db; the folder is made when something is kept there."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "state.db"
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def open(self) -> None:
        if self._connection is not None:
            return
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir(exist_ok=True)  # another run may begin at the same time
                # The folder holds data, so it stays out of a repository by itself.
                (self.path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
                _sync(self.path.parent.parent)  # or a power cut may take the folder away again
            connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise ConnectError(
                f"the state cannot be opened: {error}",
                where=str(self.path),
                hint="choose a folder with --state",
            ) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise ConnectError(
                f"the state cannot be used: {error}",
                where=str(self.path),
                hint="choose a folder with --state",
            ) from error
        except ConnectError:
            connection.close()
            raise
        self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise ConnectError(
                f"was written by a newer penstock (state version {version}; this knows {VERSION})",
                where=str(self.path),
                hint="upgrade penstock, or choose another folder with --state",
            )
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        if version < VERSION:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;"
            )

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.open()
        assert self._connection is not None
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise ConnectError(
                        f"the state cannot be written: {error}",
                        where=str(self.path),
                        hint="free some space, or choose a folder with --state",
                    ) from error
                raise

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        if self._connection is None and not os.path.exists(self.path):
            return []  # looking must not leave a folder behind
        self.open()
        assert self._connection is not None
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    # ---- leases ---------------------------------------------------------------------------------

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Alive) -> int:
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT holder, generation, until FROM leases WHERE pipeline = ?", (pipeline,)
            ).fetchone()
            other, generation, ends = row or ("", 0, 0.0)
            if other and holds(alive(other), ends > now):
                raise lease_taken(pipeline, other)
            connection.execute(
                "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)",
                (pipeline, holder, generation + 1, until),
            )
            return int(generation) + 1

    def outrank(self, pipeline: str, generation: int, other: int) -> int:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            generation = max(generation, other + 1)
            connection.execute(
                "UPDATE leases SET generation = ? WHERE pipeline = ?", (generation, pipeline)
            )
            return generation

    def renew(self, pipeline: str, generation: int, until: float) -> None:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            connection.execute("UPDATE leases SET until = ? WHERE pipeline = ?", (until, pipeline))

    def release(self, pipeline: str, generation: int) -> None:
        with self._transaction() as connection:
            connection.execute(
                "UPDATE leases SET holder = '' WHERE pipeline = ? AND generation = ?",
                (pipeline, generation),
            )

    def claim(self, pipeline: str, file: str) -> None:
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (pipeline, file))

    def claimed(self, pipeline: str) -> str | None:
        rows = self._rows("SELECT file FROM files WHERE pipeline = ?", (pipeline,))
        return rows[0][0] if rows else None

    def holder(self, pipeline: str) -> tuple[str, float] | None:
        rows = self._rows(
            "SELECT holder, until FROM leases WHERE pipeline = ? AND holder <> ''", (pipeline,)
        )
        return (rows[0][0], rows[0][1]) if rows else None

    # ---- progress -------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self._one("SELECT checkpoint FROM checkpoints WHERE pipeline = ?", pipeline)

    def intent(self, pipeline: str) -> Checkpoint | None:
        return self._one("SELECT checkpoint FROM intents WHERE pipeline = ?", pipeline)

    def _one(self, query: str, pipeline: str) -> Checkpoint | None:
        rows = self._rows(query, (pipeline,))
        return Checkpoint.from_json(rows[0][0]) if rows else None

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        with self._transaction() as connection:
            _fence(connection, checkpoint.pipeline, checkpoint.generation)
            _keep(connection, letters, keys)
            _drop(connection, closed)
            _end_attempts(connection, checkpoint.pipeline)
            row = (checkpoint.pipeline, checkpoint.epoch, checkpoint.to_json())
            connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)", row)
            connection.execute("INSERT OR REPLACE INTO history VALUES (?, ?, ?)", row)
            connection.execute(
                "DELETE FROM history WHERE pipeline = ? AND epoch <= "
                "(SELECT epoch FROM history WHERE pipeline = ? "
                "ORDER BY epoch DESC LIMIT 1 OFFSET ?)",
                (checkpoint.pipeline, checkpoint.pipeline, HISTORY),
            )

    def history(self, pipeline: str) -> list[Checkpoint]:
        query = "SELECT checkpoint FROM history WHERE pipeline = ? ORDER BY epoch DESC"
        return [Checkpoint.from_json(text) for (text,) in self._rows(query, (pipeline,))]

    def forget_after(self, pipeline: str, generation: int, epoch: int) -> None:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            connection.execute(
                "DELETE FROM history WHERE pipeline = ? AND epoch > ?", (pipeline, epoch)
            )

    def keep(
        self,
        pipeline: str,
        generation: int,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            _keep(connection, letters, keys)

    def forget(self, pipeline: str, generation: int) -> None:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            _end_attempts(connection, pipeline)
            connection.execute("DELETE FROM checkpoints WHERE pipeline = ?", (pipeline,))
            connection.execute("DELETE FROM history WHERE pipeline = ?", (pipeline,))

    def put_intent(self, checkpoint: Checkpoint) -> None:
        with self._transaction() as connection:
            _fence(connection, checkpoint.pipeline, checkpoint.generation)
            connection.execute(
                "INSERT OR REPLACE INTO intents VALUES (?, ?, ?)",
                (checkpoint.pipeline, checkpoint.epoch, checkpoint.to_json()),
            )

    def attempt(self, pipeline: str, generation: int, place: str) -> int:
        with self._transaction() as connection:
            _fence(connection, pipeline, generation)
            (count,) = connection.execute(
                "INSERT INTO attempts VALUES (?, ?, 1) "
                "ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count",
                (pipeline, place),
            ).fetchone()
            return int(count)

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE attempts SET count = count - 1 WHERE pipeline = ? AND place = ? AND EXISTS "
                "(SELECT 1 FROM leases WHERE pipeline = ? AND generation = ?)",
                [(pipeline, place, pipeline, generation) for place in places],
            )
            connection.execute("DELETE FROM attempts WHERE count <= 0")

    def attempts(self, pipeline: str) -> Mapping[str, int]:
        return dict(self._rows("SELECT place, count FROM attempts WHERE pipeline = ?", (pipeline,)))

    # ---- letters, reports, keys -----------------------------------------------------------------

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        rows = self._rows(
            "SELECT * FROM letters WHERE (? IS NULL OR pipeline = ?) "
            "AND (? IS NULL OR run_id = ?) ORDER BY pipeline, source, ordinal, node, part",
            (pipeline, pipeline, run_id, run_id),
        )
        return [DeadLetter(*row) for row in rows]

    def failed(self, pipeline: str, since: float) -> list[tuple[str, int, str]]:
        return self._rows(
            "SELECT source, ordinal, node FROM letters WHERE pipeline = ? AND last >= ?",
            (pipeline, since),
        )

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        with self._transaction() as connection:
            return _drop(connection, letters)

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        with self._transaction() as connection:
            done = connection.executemany(
                "DELETE FROM letters WHERE pipeline = ? AND last < ? AND source = ?",
                [(pipeline, before, source) for source in sources],
            )
            return done.rowcount

    def keep_report(self, report: Mapping[str, Any]) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO reports VALUES (?,?,?,?)",
                (
                    report["run_id"],
                    report["pipeline"],
                    report["started"],
                    json.dumps(dict(report), default=str),
                ),
            )
            connection.execute(
                "DELETE FROM record_keys WHERE pipeline = ? AND run_id NOT IN "
                "(SELECT run_id FROM record_keys WHERE pipeline = ? "
                "GROUP BY run_id ORDER BY max(rowid) DESC LIMIT ?)",
                (report["pipeline"], report["pipeline"], _KEYED_RUNS),
            )

    def reports(self, pipeline: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        rows = self._rows(
            "SELECT report FROM reports WHERE (? IS NULL OR pipeline = ?) "
            "ORDER BY started DESC, run_id DESC LIMIT ?",
            (pipeline, pipeline, limit),
        )
        return [json.loads(text) for (text,) in rows]

    def find_key(self, key: str, pipeline: str | None = None) -> list[IndexedKey]:
        rows = self._rows(
            "SELECT pipeline, run_id, source, ordinal, key FROM record_keys WHERE key = ? "
            "AND (? IS NULL OR pipeline = ?) ORDER BY rowid DESC",
            (key, pipeline, pipeline),
        )
        return [IndexedKey(*row) for row in rows]


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for a lock when it changes the journal's mode, so we do: another run may
    be making the same file."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        time.sleep(0.02)


def _sync(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fence(connection: sqlite3.Connection, pipeline: str, generation: int) -> None:
    row = connection.execute(
        "SELECT generation FROM leases WHERE pipeline = ?", (pipeline,)
    ).fetchone()
    if row is None or row[0] != generation:
        raise FencedError(pipeline)


def _keep(
    connection: sqlite3.Connection, letters: Sequence[DeadLetter], keys: Sequence[IndexedKey]
) -> None:
    connection.executemany(_PUT_LETTER, map(astuple, letters))
    connection.executemany("INSERT INTO record_keys VALUES (?, ?, ?, ?, ?)", map(astuple, keys))


def _drop(connection: sqlite3.Connection, letters: Iterable[DeadLetter]) -> int:
    done = connection.executemany(
        "DELETE FROM letters "
        "WHERE pipeline = ? AND source = ? AND ordinal = ? AND node = ? AND part = ?",
        [letter.identity for letter in letters],
    )
    return done.rowcount


def _end_attempts(connection: sqlite3.Connection, pipeline: str) -> None:
    connection.execute("DELETE FROM intents WHERE pipeline = ?", (pipeline,))
    connection.execute("DELETE FROM attempts WHERE pipeline = ?", (pipeline,))
