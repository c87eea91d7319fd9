"""The ledger: what there is to do, who does it, and what came of it. The broker only rings.

A chunk changes hands by a compare-and-set on its generation, so that of two workers which both
believe to have it one is refused at its next word. Times are seconds since the epoch; they decide
when somebody may try, never who is right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from penstock import Checkpoint, DeadLetter, FencedError
from penstock.holder import alive, this_process
from penstock_sql.database import Database
from penstock_sql.kinds import TABLE_OPTIONS, type_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = ["Chunk", "Ledger", "LedgerRun", "Summary", "chunk_name"]

STARTS = 12
"""So often a chunk is begun without a checkpoint before it is given up: its workers die of it."""


@dataclass(frozen=True)
class LedgerRun:
    """A run of a pipeline in chunks. `state` is "open", "held" (nobody may begin a chunk), "done"
    or "dropped"."""

    name: str
    pipeline: str
    state: str
    config_hash: str


@dataclass(frozen=True)
class Chunk:
    """A chunk that somebody has taken, until its generation is raised."""

    run: LedgerRun
    number: int
    input: str
    part: str
    generation: int

    @property
    def name(self) -> str:
        return chunk_name(self.run.name, self.number)


@dataclass(frozen=True)
class Summary:
    """How a chunk stands. `state` is "waiting" (not before `until`), "running" (its holder has it
    until then), "done" or "failed"."""

    number: int
    input: str
    state: str
    holder: str
    until: float
    rings: int
    rung: float

    def held(self, now: float) -> bool:
        """Whether somebody is at work on it, as far as can be told."""
        return self.state == "running" and _held(self.holder, self.until, now)


def chunk_name(run: str, number: int) -> str:
    """The name under which a chunk runs: that of a pipeline of its own."""
    return f"{run}.{number}"


class Ledger:
    """The ledger in a database. Every call is a transaction of its own."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        text, metadata = type_of("text"), sa.MetaData()
        self.runs = sa.Table(
            "penstock_celery_runs",
            metadata,
            sa.Column("name", sa.String(200), primary_key=True),
            sa.Column("pipeline", sa.String(180), nullable=False, index=True),
            sa.Column("number", sa.BigInteger, nullable=False),
            sa.Column("state", sa.String(10), nullable=False),
            sa.Column("config_hash", sa.String(64), nullable=False),
            sa.Column("begun", sa.Double, nullable=False),
            **TABLE_OPTIONS,
        )
        self.chunks = sa.Table(
            "penstock_celery_chunks",
            metadata,
            sa.Column("run", sa.String(200), primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("input", sa.String(200), nullable=False),
            sa.Column("part", text, nullable=False),
            sa.Column("state", sa.String(10), nullable=False),
            sa.Column("generation", sa.BigInteger, nullable=False),
            sa.Column("holder", sa.String(300), nullable=False),
            sa.Column("lease_until", sa.Double, nullable=False),
            sa.Column("attempts", sa.Integer, nullable=False),
            sa.Column("rings", sa.Integer, nullable=False),
            sa.Column("rung", sa.Double, nullable=False),
            sa.Column("checkpoint", text),
            sa.Column("tried", text, nullable=False),
            sa.Column("report", text),
            sa.Column("error", text),
            sa.Column("exit_code", sa.Integer, nullable=False),
            **TABLE_OPTIONS,
        )
        self.letters = sa.Table(
            "penstock_celery_letters",
            metadata,
            sa.Column("chunk", sa.String(220), primary_key=True),
            sa.Column("ordinal", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("node", sa.String(200), primary_key=True),
            sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("last", sa.Double, nullable=False),
            sa.Column("letter", text, nullable=False),
            **TABLE_OPTIONS,
        )
        self._metadata = metadata

    def make(self) -> None:
        """Make the tables that are not there."""
        if self._is_there():
            return
        try:
            with self.database.transaction() as connection:
                self._metadata.create_all(connection)
        except sa.exc.DBAPIError:
            if not self._is_there():  # somebody may have been first
                raise

    def _is_there(self) -> bool:
        if not self.database.exists():
            return False
        with self.database.reading() as connection:
            found = sa.inspect(connection)
            return all(found.has_table(name) for name in self._metadata.tables)

    def close(self) -> None:
        self.database.close()

    # ---- runs -----------------------------------------------------------------------------------

    def open_run(self, pipeline: str) -> LedgerRun | None:
        """The run of a pipeline that is not over yet."""
        return self._run(self.runs.c.pipeline == pipeline, self.runs.c.state.in_(["open", "held"]))

    def run(self, name: str) -> LedgerRun | None:
        return self._run(self.runs.c.name == name)

    def _run(self, *which: sa.ColumnElement[bool]) -> LedgerRun | None:
        c = self.runs.c
        query = sa.select(c.name, c.pipeline, c.state, c.config_hash).where(*which)
        with self.database.reading() as connection:
            row = connection.execute(query.order_by(c.number.desc())).first()
        return LedgerRun(*row) if row else None

    def plan(self, pipeline: str, config_hash: str, parts: Sequence[tuple[str, str]]) -> LedgerRun:
        """Write down a new run with a chunk for each (input, part), in one transaction. Whoever
        rings must do it afterwards: a chunk may be lost by no ring, and found by any."""
        c = self.runs.c
        with self.database.transaction() as connection:
            last = connection.execute(
                sa.select(sa.func.max(c.number)).where(c.pipeline == pipeline)
            ).scalar()
            number = (last or 0) + 1
            run = LedgerRun(f"{pipeline}@{number}", pipeline, "open", config_hash)
            connection.execute(
                sa.insert(self.runs).values(**vars(run), number=number, begun=time.time())
            )
            if parts:
                connection.execute(sa.insert(self.chunks), _rows(run.name, parts))
        return run

    def set_state(self, run: LedgerRun, state: str) -> None:
        """Say whether chunks of a run may be begun. One that is dropped takes its chunks with it:
        whoever is at work on one is refused from now on."""
        c = self.chunks.c
        with self.database.transaction() as connection:
            connection.execute(
                sa.update(self.runs).where(self.runs.c.name == run.name).values(state=state)
            )
            if state == "dropped":
                connection.execute(
                    sa.update(self.chunks)
                    .where(c.run == run.name, c.state != "done")
                    .values(state="failed", generation=c.generation + 1, error="dropped")
                )

    def take_up(self, run: LedgerRun) -> None:
        """Go on with a run that was cut off: chunks that failed may be tried again, and all that
        wait are rung for anew, since a bell that came while the run was held has rung in vain."""
        c = self.chunks.c
        mine = sa.update(self.chunks).where(c.run == run.name)
        silent = {"rings": 0, "rung": 0.0}
        again = {"state": "waiting", "lease_until": 0.0, "attempts": 0}
        with self.database.transaction() as connection:
            connection.execute(mine.where(c.state == "waiting").values(**silent))
            connection.execute(mine.where(c.state == "failed").values(**silent, **again))
            connection.execute(
                sa.update(self.runs).where(self.runs.c.name == run.name).values(state="open")
            )

    # ---- what the coordinator looks at ----------------------------------------------------------

    def summaries(self, run: LedgerRun) -> list[Summary]:
        c = self.chunks.c
        query = sa.select(c.number, c.input, c.state, c.holder, c.lease_until, c.rings, c.rung)
        with self.database.reading() as connection:
            rows = connection.execute(query.where(c.run == run.name).order_by(c.number))
            return [Summary(*row) for row in rows]

    def rung(self, run: LedgerRun, numbers: Iterable[int]) -> None:
        """Note that it was rung for these chunks."""
        c = self.chunks.c
        change = (
            sa.update(self.chunks)
            .where(c.run == run.name, c.number == sa.bindparam("chunk"))
            .values(rings=c.rings + 1, rung=time.time())
        )
        with self.database.transaction() as connection:
            connection.execute(change, [{"chunk": number} for number in numbers])

    def outcome(
        self, run: LedgerRun, number: int
    ) -> tuple[Checkpoint, Mapping[str, Any], list[DeadLetter]]:
        """What came of a chunk that is done: its last checkpoint, its report, empty if it died
        before it could keep one, and its letters."""
        c, name = self.chunks.c, chunk_name(run.name, number)
        query = sa.select(c.checkpoint, c.report).where(c.run == run.name, c.number == number)
        with self.database.reading() as connection:
            checkpoint, report = connection.execute(query).one()
            texts = connection.execute(
                sa.select(self.letters.c.letter)
                .where(self.letters.c.chunk == name)
                .order_by(self.letters.c.ordinal, self.letters.c.node, self.letters.c.part)
            ).scalars()
            letters = [DeadLetter(*json.loads(text)) for text in texts]
        return Checkpoint.from_json(checkpoint), json.loads(report or "{}"), letters

    def failure(self, run: LedgerRun) -> tuple[int, str, int] | None:
        """The number, the error and the exit code of the first chunk that failed for good."""
        c = self.chunks.c
        query = sa.select(c.number, c.error, c.exit_code).where(
            c.run == run.name, c.state == "failed"
        )
        with self.database.reading() as connection:
            row = connection.execute(query.order_by(c.number)).first()
        return (row[0], row[1], row[2]) if row else None

    # ---- what a worker does ---------------------------------------------------------------------

    def take(self, run_name: str, number: int, lease: float) -> Chunk | None:
        """Take a chunk, or None when there is nothing to do for whoever was rung: it is done, not
        due, somebody else has it, or its run is not open."""
        now = time.time()
        run = self.run(run_name)
        if run is None or run.state != "open":
            return None
        c = self.chunks.c
        mine = sa.and_(c.run == run_name, c.number == number)
        with self.database.transaction() as connection:
            row = connection.execute(
                sa.select(
                    c.input, c.part, c.state, c.generation, c.holder, c.lease_until, c.attempts
                ).where(mine)
            ).first()
            if row is None or not _may_begin(row, now):
                return None
            values: dict[str, Any] = {"generation": row.generation + 1, "rings": 0, "rung": now}
            if row.attempts >= STARTS:
                what = f"it was begun {STARTS} times and never came to a checkpoint"
                values.update(state="failed", error=what, exit_code=1)
            else:
                values.update(
                    state="running",
                    holder=this_process(),
                    lease_until=now + lease,
                    attempts=row.attempts + 1,
                )
            change = sa.update(self.chunks).where(mine, c.generation == row.generation)
            taken = connection.execute(change.values(**values)).rowcount == 1
        if not taken or values["state"] == "failed":
            return None
        return Chunk(run, number, row.input, row.part, row.generation + 1)

    def change(self, chunk: Chunk, **values: Any) -> None:
        """Change the row of a chunk; FencedError when somebody else has it by now."""
        with self._mine(chunk, values):
            pass

    def renew(self, chunk: Chunk, until: float) -> None:
        self.change(chunk, lease_until=until)

    def give_back(self, chunk: Chunk, until: float, error: str) -> None:
        """Let somebody else try, not before `until`."""
        self.change(chunk, state="waiting", lease_until=until, error=error, rings=0, rung=0.0)

    def fail(self, chunk: Chunk, error: str, exit_code: int) -> None:
        self.change(chunk, state="failed", error=error, exit_code=exit_code)

    def finish(self, chunk: Chunk, report: Mapping[str, Any] | None) -> None:
        """The chunk is done, and all of it is durable."""
        self.change(chunk, state="done", report=json.dumps(report) if report else None)

    def checkpoint(self, chunk: Chunk) -> Checkpoint | None:
        text = self._value(chunk, self.chunks.c.checkpoint)
        return Checkpoint.from_json(text) if text else None

    def tried(self, chunk: Chunk) -> dict[str, int]:
        found: dict[str, int] = json.loads(self._value(chunk, self.chunks.c.tried))
        return found

    def attempts(self, chunk: Chunk) -> int:
        found: int = self._value(chunk, self.chunks.c.attempts)
        return found

    def save(self, chunk: Chunk, checkpoint: Checkpoint, letters: Sequence[DeadLetter]) -> None:
        """Keep a checkpoint and the letters of its epoch in one step."""
        values = {"checkpoint": checkpoint.to_json(), "tried": "{}", "attempts": 0}
        with self._mine(chunk, values) as connection:
            self._put_letters(connection, chunk, letters)

    def keep(self, chunk: Chunk, letters: Sequence[DeadLetter]) -> None:
        """Keep letters ahead of their epoch's checkpoint."""
        with self._mine(chunk, {"generation": chunk.generation}) as connection:
            self._put_letters(connection, chunk, letters)

    def settle(self, chunk: Chunk, before: float) -> int:
        """Forget the letters of a chunk that were last seen before a time."""
        c = self.letters.c
        with self._mine(chunk, {"generation": chunk.generation}) as connection:
            gone = sa.delete(self.letters).where(c.chunk == chunk.name, c.last < before)
            return connection.execute(gone).rowcount

    # ---- rows -----------------------------------------------------------------------------------

    @contextmanager
    def _mine(self, chunk: Chunk, values: Mapping[str, Any]) -> Iterator[Connection]:
        """A transaction in which the row of a chunk that is still ours was changed."""
        c = self.chunks.c
        ours = sa.and_(
            c.run == chunk.run.name,
            c.number == chunk.number,
            c.generation == chunk.generation,
            c.state == "running",
        )
        with self.database.transaction() as connection:
            done = connection.execute(sa.update(self.chunks).where(ours).values(**values))
            if done.rowcount != 1:
                raise FencedError(chunk.name)
            yield connection

    def _value(self, chunk: Chunk, column: sa.Column[Any]) -> Any:
        c = self.chunks.c
        query = sa.select(column).where(c.run == chunk.run.name, c.number == chunk.number)
        with self.database.reading() as connection:
            return connection.execute(query).scalar_one()

    def _put_letters(
        self, connection: Connection, chunk: Chunk, letters: Sequence[DeadLetter]
    ) -> None:
        c = self.letters.c
        for letter in letters:
            key = {"ordinal": letter.ordinal, "node": letter.node, "part": letter.part}
            same = [c[name] == value for name, value in key.items()]
            connection.execute(sa.delete(self.letters).where(c.chunk == chunk.name, *same))
            text = json.dumps(astuple(letter))
            connection.execute(
                sa.insert(self.letters).values(
                    chunk=chunk.name, last=letter.last, letter=text, **key
                )
            )


def _rows(run: str, parts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    new = {
        "state": "waiting",
        "generation": 0,
        "holder": "",
        "lease_until": 0.0,
        "attempts": 0,
        "rings": 0,
        "rung": 0.0,
        "tried": "{}",
        "exit_code": 0,
    }
    return [
        {"run": run, "number": number, "input": name, "part": part, **new}
        for number, (name, part) in enumerate(parts, 1)
    ]


def _may_begin(row: Any, now: float) -> bool:
    if row.state == "waiting":
        return bool(row.lease_until <= now)
    return row.state == "running" and not _held(row.holder, row.lease_until, now)


def _held(holder: str, until: float, now: float) -> bool:
    """A lease that ran out is free even where its holder lives: that process may be at work on
    something else by now. One whose holder is seen to be dead need not be waited for."""
    return until > now and alive(holder) is not False
