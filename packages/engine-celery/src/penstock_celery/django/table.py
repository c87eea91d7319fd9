"""The table of chunks of items, read and written through Django's connection.

It is no model: a project needs no migration and no other application for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from penstock import FencedError
from penstock.holder import alive, this_process

__all__ = ["ItemChunk", "add", "fail", "finish", "make", "overdue", "rung", "take"]

TABLE = "penstock_celery_items"
STARTS = 12
"""So often a chunk is begun before it is given up: its workers die of it. What stops them otherwise
is noted as its error the first time."""

_MAKE = """
CREATE TABLE penstock_celery_items (
    batch varchar(40) NOT NULL,
    chunk integer NOT NULL,
    pipeline varchar(200) NOT NULL,
    items text NOT NULL,
    options text NOT NULL,
    queue varchar(200) NOT NULL,
    state varchar(10) NOT NULL,
    generation integer NOT NULL,
    holder varchar(300) NOT NULL,
    lease_until double precision NOT NULL,
    rung double precision NOT NULL,
    error text,
    PRIMARY KEY (batch, chunk)
)
"""
_ADD = """
INSERT INTO penstock_celery_items
    (batch, chunk, pipeline, items, options, queue,
     state, generation, holder, lease_until, rung)
VALUES (%s, %s, %s, %s, %s, %s, 'waiting', 0, '', 0, %s)
"""
_LOOK = """
SELECT pipeline, items, options, state, generation, holder, lease_until
FROM penstock_celery_items WHERE batch = %s AND chunk = %s
"""
_GIVE_UP = """
UPDATE penstock_celery_items SET state = 'failed', error = %s
WHERE batch = %s AND chunk = %s AND generation = %s AND state = %s
"""
_TAKE = """
UPDATE penstock_celery_items
SET state = 'running', generation = generation + 1, holder = %s, lease_until = %s
WHERE batch = %s AND chunk = %s AND generation = %s AND state = %s
"""
_END = """
UPDATE penstock_celery_items SET state = %s, error = %s
WHERE batch = %s AND chunk = %s AND generation = %s AND state = 'running'
"""
_OVERDUE = """
SELECT batch, chunk, queue, state, holder, lease_until
FROM penstock_celery_items WHERE state IN ('waiting', 'running') AND rung <= %s
ORDER BY batch, chunk
"""
_RUNG = "UPDATE penstock_celery_items SET rung = %s WHERE batch = %s AND chunk = %s"


@dataclass(frozen=True)
class ItemChunk:
    """A chunk that somebody has taken, until its generation is raised."""

    batch: str
    chunk: int
    generation: int
    pipeline: str
    items: str
    options: str


def make(connection: Any) -> None:
    """Make the table if it is not there."""
    if TABLE not in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(_MAKE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))


def add(
    connection: Any, batch: str, pipeline: str, parts: Sequence[str], options: str, queue: str
) -> None:
    """Write down the chunks of a batch."""
    now = time.time()
    rows = [
        (batch, number, pipeline, items, options, queue, now)
        for number, items in enumerate(parts, 1)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, rows)


def take(connection: Any, batch: str, chunk: int, lease: float) -> ItemChunk | None:
    """Take a chunk; None when it is done, somebody else has it, or whoever takes it dies."""
    now = time.time()
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, (batch, chunk))
        row = cursor.fetchone()
        if row is None:
            return None
        pipeline, items, options, state, generation, holder, until = row
        if state not in ("waiting", "running") or _held(state, holder, until, now):
            return None
        if generation >= STARTS:
            what = f"it was begun {STARTS} times and never came to an end"
            cursor.execute(_GIVE_UP, (what, batch, chunk, generation, state))
            return None
        values = (this_process(), now + lease, batch, chunk, generation, state)
        cursor.execute(_TAKE, values)
        if cursor.rowcount != 1:
            return None
    return ItemChunk(batch, chunk, generation + 1, pipeline, items, options)


def finish(connection: Any, chunk: ItemChunk) -> None:
    """The chunk is done, in the transaction that is under way. FencedError when somebody else has
    taken it."""
    _end(connection, chunk, "done", None)


def fail(connection: Any, chunk: ItemChunk, error: str) -> None:
    _end(connection, chunk, "failed", error)


def overdue(connection: Any, before: float) -> list[tuple[str, int, str]]:
    """Batch, chunk and queue of what was last rung for before a time and that nobody has."""
    with connection.cursor() as cursor:
        cursor.execute(_OVERDUE, (before,))
        rows = cursor.fetchall()
    now = time.time()
    return [
        (batch, chunk, queue)
        for batch, chunk, queue, state, holder, until in rows
        if not _held(state, holder, until, now)
    ]


def rung(connection: Any, chunks: Iterable[tuple[str, int]]) -> None:
    now = time.time()
    with connection.cursor() as cursor:
        cursor.executemany(_RUNG, [(now, batch, chunk) for batch, chunk in chunks])


def _end(connection: Any, chunk: ItemChunk, state: str, error: str | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_END, (state, error, chunk.batch, chunk.chunk, chunk.generation))
        if cursor.rowcount != 1:
            raise FencedError(f"{chunk.batch}.{chunk.chunk}")


def _held(state: str, holder: str, until: float, now: float) -> bool:
    return state == "running" and until > now and alive(holder) is not False
