"""Rows in a database are there once, whatever happens to the run, the server or the network.

Each promise is tested beside a naive variant, which keeps its position apart from its rows: a fault
that does not catch that one would prove nothing. PENSTOCK_FAULTS=long is the long form.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from databases import Place
from sqlfaults import LostReplies, Outcome, Runner, Tally, judge, make, payload

from penstock_testkit.servers import MariaDB, PostgreSQL

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
KILLS = 200 if LONG else 6
ROWS = 3000
WITH_DEAD_LETTERS = 6

pytestmark = pytest.mark.timeout(1800 if LONG else 120)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as one:
        yield one


def tally(place: Place, table: str, letters: Sequence[int] = ()) -> Tally:
    """What is in a table, and among the dead letters."""
    rows = place.rows(table, "id") if table in place.tables() else []
    aside = [(number, payload(number)) for number in letters]
    return judge([*rows, *aside], ROWS)  # type: ignore[list-item]


def set_aside(folder: Path) -> list[int]:
    """Records that were tried alone when the process was killed for the fourth time at one place:
    the run has to take them for what kills it, and says so in a dead letter."""
    with contextlib.closing(sqlite3.connect(folder / ".penstock" / "state.db")) as store:
        found = store.execute("SELECT ordinal, message FROM letters").fetchall()
    assert all(message.startswith("killed the worker 3 times") for _, message in found)
    return [ordinal for ordinal, _ in found]


def is_done(folder: Path) -> bool:
    """Whether the run has noted that it is complete, so that another one would start anew."""
    state = folder / ".penstock" / "state.db"
    if not state.exists():
        return False
    with contextlib.closing(sqlite3.connect(state)) as store, contextlib.suppress(sqlite3.Error):
        kept = store.execute("SELECT checkpoint FROM checkpoints").fetchall()
        return any(json.loads(text)["finished"] for (text,) in kept)
    return False


def kill_at_random(
    runner: Runner, place: Place, folder: Path, kills: int, engine: str, naive: bool
) -> tuple[int, Tally]:
    """Kill runs until there were so many kills; every table that was finished is judged."""
    chance = random.Random(kills)
    make(folder / "whole", place.url, "whole", ROWS, engine=engine)
    whole = runner.run(folder / "whole").seconds
    landed, trial, total = 0, 0, Tally()
    while landed < kills and not (naive and total != Tally()):
        trial += 1
        table, here = f"t{trial}", folder / f"t{trial}"
        make(here, place.url, table, ROWS, engine=engine)
        while True:
            kill_after = chance.uniform(0.1, 1.0) * whole if landed < kills else None
            outcome = runner.run(here, kill_after=kill_after, naive=naive)
            if outcome.code != -signal.SIGKILL:
                assert outcome.code in (0, WITH_DEAD_LETTERS), outcome.said
                break
            landed += 1
            if is_done(here):
                break
        total += tally(place, table, set_aside(here))
        shutil.rmtree(here)
    return landed, total


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_run_that_is_killed_writes_every_row_once(
    runner: Runner, place: Place, tmp_path: Path, engine: str
) -> None:
    landed, total = kill_at_random(runner, place, tmp_path / "runs", KILLS, engine, False)
    print(f"csv to {place.dialect}, {engine}: {landed} kills: {total}")
    assert landed >= KILLS
    assert total == Tally()


def test_kills_catch_a_position_that_is_kept_apart(
    runner: Runner, sqlite: Place, tmp_path: Path
) -> None:
    landed, total = kill_at_random(runner, sqlite, tmp_path / "runs", 400, "inline", True)
    print(f"naive: {total} after {landed} kills")
    assert total.repeated or total.lost


# ---- lost replies -------------------------------------------------------------------------------


def run_to_the_end(run: Callable[[], Outcome], tries: int = 200) -> int:
    """Start a pipeline again until it ends well; how often that was."""
    for number in range(1, tries + 1):
        outcome = run()
        if outcome.code == 0:
            return number
        assert outcome.code in (1, 5), outcome.said
        assert "Traceback" not in outcome.said
    raise AssertionError(f"did not come to its end: {outcome.said}")


def lose_replies(
    runner: Runner, place: Place, server: PostgreSQL | MariaDB, folder: Path, runs: int, naive: bool
) -> tuple[int, Tally]:
    lost, total = 0, Tally()
    for number in range(1, runs + 1):
        table, here = f"t{number}", folder / f"t{number}"
        with LostReplies(server.port, 0.01, seed=number) as network:
            name = place.url.rpartition("/")[2]
            make(here, server.url(name, network.port), table, ROWS)
            run_to_the_end(lambda here=here: runner.run(here, naive=naive))  # type: ignore[misc]
            lost += network.lost
        total += tally(place, table)
        if naive and total.repeated:
            break
    return lost, total


@pytest.mark.parametrize(
    ("system", "server"), [("postgres", "postgresql_server"), ("mariadb", "mariadb_server")]
)
def test_a_lost_reply_is_looked_up(
    request: pytest.FixtureRequest, runner: Runner, system: str, server: str, tmp_path: Path
) -> None:
    runs = 20 if LONG else 4
    place, machine = request.getfixturevalue(system), request.getfixturevalue(server)
    lost, total = lose_replies(runner, place, machine, tmp_path, runs, False)
    print(f"{runs} runs, {lost} replies lost: {total}")
    assert lost >= runs
    assert total == Tally()


def test_lost_replies_catch_a_position_that_is_kept_apart(
    runner: Runner, postgres: Place, postgresql_server: PostgreSQL, tmp_path: Path
) -> None:
    lost, total = lose_replies(runner, postgres, postgresql_server, tmp_path, 60, True)
    print(f"naive: {total} after {lost} lost replies")
    assert total.repeated


# ---- servers that go away -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "by_hand", "crash"),
    [(PostgreSQL, signal.SIGINT, signal.SIGQUIT), (MariaDB, signal.SIGTERM, signal.SIGKILL)],
)
def test_a_server_that_is_restarted_under_load(
    runner: Runner,
    tmp_path: Path,
    system: type[PostgreSQL] | type[MariaDB],
    by_hand: signal.Signals,
    crash: signal.Signals,
) -> None:
    """Stopped as by an administrator and as by a crash, in turns."""
    restarts = 10 if LONG else 3
    chance = random.Random(1)
    server = system()
    try:
        server.make()
        server.start()
        place = Place(server.url())
        make(tmp_path / "whole", place.url, "whole", ROWS)
        whole = runner.run(tmp_path / "whole").seconds
        done, trial, total = 0, 0, Tally()
        while done < restarts:
            trial += 1
            table, here = f"t{trial}", tmp_path / f"t{trial}"
            make(here, place.url, table, ROWS)
            outcomes: list[Outcome] = []
            while not outcomes or outcomes[-1].code != 0:
                run = threading.Thread(target=lambda: outcomes.append(runner.run(here)))  # noqa: B023
                run.start()
                if done < restarts:
                    time.sleep(chance.uniform(0.1, 0.9) * whole)
                    server.stop(crash if done % 2 else by_hand)
                    run.join()
                    server.start()
                    done += 1
                run.join()
                assert outcomes[-1].code in (0, 1, 5), outcomes[-1].said
            total += tally(place, table)
        assert total == Tally()
    finally:
        server.remove()


# ---- two runs -----------------------------------------------------------------------------------


@contextlib.contextmanager
def nobody_may_write(place: Place) -> Iterator[None]:
    """Runs may look where they are, and then wait until all of them have."""
    with place.database.connect() as connection, connection.begin():
        lock = "LOCK TABLE penstock_checkpoints IN EXCLUSIVE MODE"
        if place.dialect == "sqlite":
            lock = "BEGIN IMMEDIATE"
        elif place.dialect == "mariadb":
            lock = "SELECT * FROM penstock_checkpoints FOR UPDATE"  # and every gap between rows
        connection.exec_driver_sql(lock)
        yield
        time.sleep(1)


def two_at_once(place: Place, folder: Path, table: str, naive: bool) -> tuple[list[Outcome], Tally]:
    """The same pipeline on two machines: each has a state folder of its own."""
    outcomes: list[Outcome] = []
    with Runner() as one, Runner() as other:
        threads = []
        for number, runner in enumerate((one, other)):
            warm, here = folder / f"{table}-warm{number}", folder / f"{table}-{number}"
            make(warm, place.url, f"{table}_warm{number}", 1)
            assert runner.run(warm).code == 0
            make(here, place.url, table, ROWS)
            target = lambda r=runner, h=here: outcomes.append(r.run(h, naive=naive))  # noqa: E731
            threads.append(threading.Thread(target=target))
        with nobody_may_write(place):
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
    return outcomes, tally(place, table)


def test_of_two_runs_one_writes(place: Place, tmp_path: Path) -> None:
    for number in range(20 if LONG else 2):
        outcomes, total = two_at_once(place, tmp_path, f"t{number}", False)
        said = " ".join(outcome.said for outcome in outcomes)
        assert sorted(outcome.code for outcome in outcomes) == [0, 1], said
        assert "another run has taken this pipeline over" in said
        assert total == Tally()


def test_two_runs_catch_a_position_that_is_kept_apart(postgres: Place, tmp_path: Path) -> None:
    postgres.do("CREATE TABLE t (id TEXT, payload TEXT)")
    _, total = two_at_once(postgres, tmp_path, "t", True)
    assert total.repeated
