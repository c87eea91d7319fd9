"""The SQLite store: one file, `state.db`, in the state folder of a pipeline.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut (DELIVERY: with NORMAL
the last commits may go).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import ConnectError
from ..store import Checkpoint, DeadLetter, IndexedKey, Store

__all__ = ["VERSION", "SqliteStore"]

VERSION = 1
"""Of the tables below. A file with a higher number is refused untouched."""

_TABLES = """
CREATE TABLE IF NOT EXISTS checkpoints (
    pipeline TEXT PRIMARY KEY, run_id TEXT NOT NULL, epoch INTEGER NOT NULL,
    positions TEXT NOT NULL, states TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS letters (
    pipeline TEXT NOT NULL, source TEXT NOT NULL, ordinal INTEGER NOT NULL, node TEXT NOT NULL,
    error TEXT NOT NULL, message TEXT NOT NULL, record TEXT NOT NULL, run_id TEXT NOT NULL,
    plugin TEXT NOT NULL, version TEXT NOT NULL, config_hash TEXT NOT NULL,
    attempts INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    PRIMARY KEY (pipeline, source, ordinal, node));
CREATE INDEX IF NOT EXISTS letters_by_run ON letters (run_id);
CREATE TABLE IF NOT EXISTS reports (
    run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, started REAL NOT NULL, report TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS record_keys (
    pipeline TEXT NOT NULL, run_id TEXT NOT NULL, source TEXT NOT NULL, ordinal INTEGER NOT NULL,
    key TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS record_keys_by_key ON record_keys (key);
"""

# The columns stand in the order of the fields of DeadLetter.
_PUT_LETTER = """
INSERT INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (pipeline, source, ordinal, node) DO UPDATE SET
    error = excluded.error, message = excluded.message, record = excluded.record,
    run_id = excluded.run_id, plugin = excluded.plugin, version = excluded.version,
    config_hash = excluded.config_hash, last = excluded.last,
    attempts = letters.attempts + excluded.attempts
"""


class SqliteStore(Store):
    """A store in `folder`/state.db; the folder is made when something is kept there."""

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / "state.db"
        self._connection: sqlite3.Connection | None = None
        self._lock = Lock()

    def open(self) -> None:
        if self._connection is not None:
            return
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir()
                # The folder holds data, so it stays out of a repository by itself.
                (self.path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
            connection = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
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
        connection.execute("PRAGMA journal_mode=WAL")
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

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        with self._transaction() as connection:
            connection.executemany(_PUT_LETTER, map(astuple, letters))
            connection.executemany(
                "INSERT INTO record_keys (pipeline, run_id, source, ordinal, key) "
                "VALUES (?, ?, ?, ?, ?)",
                map(astuple, keys),
            )
            connection.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?,?,?,?,?)",
                (
                    checkpoint.pipeline,
                    checkpoint.run_id,
                    checkpoint.epoch,
                    json.dumps(dict(checkpoint.positions)),
                    json.dumps(dict(checkpoint.states)),
                ),
            )

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        rows = self._rows("SELECT * FROM checkpoints WHERE pipeline = ?", (pipeline,))
        for name, run_id, epoch, positions, states in rows:
            return Checkpoint(name, run_id, epoch, json.loads(positions), json.loads(states))
        return None

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        rows = self._rows(
            "SELECT * FROM letters WHERE (? IS NULL OR pipeline = ?) "
            "AND (? IS NULL OR run_id = ?) ORDER BY pipeline, source, ordinal, node",
            (pipeline, pipeline, run_id, run_id),
        )
        return [DeadLetter(*row) for row in rows]

    def drop_letters(self, letters: Iterable[DeadLetter]) -> int:
        with self._transaction() as connection:
            done = connection.executemany(
                "DELETE FROM letters "
                "WHERE pipeline = ? AND source = ? AND ordinal = ? AND node = ?",
                [letter.identity for letter in letters],
            )
            return done.rowcount

    def settle_letters(self, pipeline: str, run_id: str, sources: Iterable[str]) -> int:
        with self._transaction() as connection:
            done = connection.executemany(
                "DELETE FROM letters WHERE pipeline = ? AND run_id <> ? AND source = ?",
                [(pipeline, run_id, source) for source in sources],
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
