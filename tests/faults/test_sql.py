"""Rows in a database are there once, whatever happens to the server, the network or another run.

Each promise is tested beside a naive variant, which keeps its position apart from its rows: a fault
that does not catch that one would prove nothing.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from databases import Place
from faults.certificates import Wrong
from faults.killing import Launcher, Outcome
from faults.network import LostReplies
from faults.oracle import Verdict
from faults.pairs import TABLES
from faults.tables import Tables

from penstock_testkit.servers import MariaDB, PostgreSQL

ROWS = 3000
MANY = 20_000  # so that a server stops in the middle of a run
WITH_DEAD_LETTERS = 6
NAIVE = "keeps the position apart"
HASTY = "commits every batch"
PAIR = TABLES["csv to {system}"]

Certify = Callable[..., None]


# ---- lost replies -------------------------------------------------------------------------------


def run_to_the_end(run: Callable[[], Outcome], tries: int = 200) -> None:
    """Start a pipeline again until it ends well."""
    for _ in range(tries):
        outcome = run()
        if outcome.code == WITH_DEAD_LETTERS:
            return
        assert outcome.code in (1, 5), outcome.messages
        assert "Traceback" not in outcome.messages
    raise AssertionError(f"did not come to its end: {outcome.messages}")


def lose_replies(
    launcher: Launcher,
    tables: Tables,
    port: int,
    folder: Path,
    runs: int,
    variant: str | None = None,
) -> tuple[int, Verdict]:
    """How many answers were lost, and what came of it."""
    lost, total = 0, Verdict()
    for number in range(1, runs + 1):
        here, now = folder / f"run{number}", tables.named(f"t{number}{'w' if variant else ''}")
        with LostReplies(port, 0.01, seed=number) as network:
            PAIR.make(here, ROWS, tables=now.by_port(port, network.port))
            run_to_the_end(lambda here=here: launcher.run(here, variant=variant))  # type: ignore[misc]
            lost += network.lost
        total += PAIR.judge(here, ROWS, now)
        if variant and not total.right:
            break
    return lost, total


@pytest.mark.parametrize(
    ("system", "server"), [("PostgreSQL", "postgresql_server"), ("MariaDB", "mariadb_server")]
)
def test_a_lost_reply_is_looked_up(
    request: pytest.FixtureRequest,
    launcher: Launcher,
    tables_of: Callable[[str], Tables],
    certify: Certify,
    long: bool,
    system: str,
    server: str,
    tmp_path: Path,
) -> None:
    runs = 20 if long else 3
    port = request.getfixturevalue(server).port
    tables = tables_of(system)
    lost, right = lose_replies(launcher, tables, port, tmp_path / "right", runs)
    assert lost >= runs
    assert right == Verdict()
    tried, wrong = lose_replies(launcher, tables, port, tmp_path / "wrong", 60, HASTY)
    assert not wrong.right
    certify("lost reply", f"csv to {system}", lost, right, wrong=Wrong(HASTY, tried, wrong))


# ---- servers that go away -----------------------------------------------------------------------


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[PostgreSQL | MariaDB]:
    """A server that this test may stop."""
    server: PostgreSQL | MariaDB = request.param()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


def restart_under_load(
    launcher: Launcher,
    server: PostgreSQL | MariaDB,
    how: list[signal.Signals],
    folder: Path,
    restarts: int,
    variant: str | None = None,
) -> tuple[int, Verdict]:
    """Stop and start the server while runs write to it; how often, and what came of it."""
    chance = random.Random(1)
    place = Place(server.url())
    tables = Tables(place, place, "whole" + ("w" if variant else ""))
    PAIR.make(folder / "whole", MANY, tables=tables)
    whole = launcher.run(folder / "whole").seconds
    done, trial, total = 0, 0, Verdict()
    while done < restarts and (variant is None or total.right):
        trial += 1
        here, now = folder / f"run{trial}", tables.named(f"t{trial}{'w' if variant else ''}")
        PAIR.make(here, MANY, tables=now)
        outcomes: list[Outcome] = []
        while not outcomes or outcomes[-1].code != WITH_DEAD_LETTERS:
            run = threading.Thread(
                target=lambda here=here, outcomes=outcomes: outcomes.append(
                    launcher.run(here, variant=variant)
                )
            )
            run.start()
            if done < restarts:
                time.sleep(chance.uniform(0.1, 0.9) * whole)
                server.stop(how[done % len(how)])
                server.start()  # the run may outlive it, trying again, or have to be started anew
                done += 1
            run.join()
            assert outcomes[-1].code in (WITH_DEAD_LETTERS, 1, 5), outcomes[-1].messages
        total += PAIR.judge(here, MANY, now)
    return done, total


@pytest.mark.parametrize(
    ("own_server", "how"),
    [
        (PostgreSQL, [signal.SIGINT, signal.SIGQUIT]),
        (MariaDB, [signal.SIGTERM, signal.SIGKILL]),
    ],
    indirect=["own_server"],
)
def test_a_server_that_is_restarted_under_load(
    launcher: Launcher,
    tmp_path: Path,
    long: bool,
    certify: Certify,
    own_server: PostgreSQL | MariaDB,
    how: list[signal.Signals],
) -> None:
    """Stopped as by an administrator and as by a crash, in turns."""
    restarts = 10 if long else 3
    done, right = restart_under_load(launcher, own_server, how, tmp_path / "right", restarts)
    assert done >= restarts
    assert right == Verdict()
    wrong = None
    if long:  # it outlives most restarts, and each of them takes a second
        tried, found = restart_under_load(launcher, own_server, how, tmp_path / "wrong", 100, HASTY)
        assert not found.right
        wrong = Wrong(HASTY, tried, found)
    of = f"csv to {type(own_server).__name__}"
    certify("server restarted", of, done, right, wrong=wrong)


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


def until_each_has_begun(folders: Sequence[Path], seconds: float = 60) -> None:
    """Wait until each run has looked where it is: then it counts its attempts at what follows."""
    end = time.monotonic() + seconds
    for folder in folders:
        found = False
        while not found:
            assert time.monotonic() < end, f"{folder.name} does not begin"
            time.sleep(0.02)
            with contextlib.suppress(sqlite3.Error):
                path = f"file:{folder / '.penstock' / 'state.db'}?mode=ro"
                with contextlib.closing(sqlite3.connect(path, uri=True)) as store:
                    found = bool(store.execute("SELECT * FROM attempts").fetchall())


def two_at_once(
    launchers: Sequence[Launcher], tables: Tables, folder: Path, variant: str | None = None
) -> tuple[list[Outcome], Verdict]:
    """The same pipeline on two machines: each has a state folder of its own."""
    outcomes: list[Outcome] = []
    threads, folders = [], []
    for number, launcher in enumerate(launchers):
        warm, here = folder / f"warm{number}", folder / f"run{number}"
        PAIR.make(warm, 1, tables=tables.named(f"{tables.name}warm{number}"))
        assert launcher.run(warm).code == 0
        PAIR.make(here, ROWS, tables=tables)
        folders.append(here)
        target = lambda one=launcher, here=here: outcomes.append(one.run(here, variant=variant))  # noqa: E731
        threads.append(threading.Thread(target=target))
    with nobody_may_write(tables.first):
        for thread in threads:
            thread.start()
        until_each_has_begun(folders)
    for thread in threads:
        thread.join()
    return outcomes, PAIR.judge_outputs(folder, ROWS, tables, set())


@pytest.mark.parametrize("system", ["SQLite", "PostgreSQL", "MariaDB"])
def test_of_two_runs_one_writes(
    launcher: Launcher,
    tables_of: Callable[[str], Tables],
    tmp_path: Path,
    certify: Certify,
    long: bool,
    system: str,
) -> None:
    tables, tries, total = tables_of(system), 20 if long else 2, Verdict()
    with Launcher() as other:
        both = (launcher, other)
        for number in range(1, tries + 1):
            outcomes, verdict = two_at_once(
                both, tables.named(f"t{number}"), tmp_path / f"{number}"
            )
            said = " ".join(outcome.messages for outcome in outcomes)
            codes = sorted(outcome.code or 0 for outcome in outcomes)
            assert codes == [1, WITH_DEAD_LETTERS], said
            assert "another run has taken this pipeline over" in said
            total += verdict
        assert total == Verdict()
        tables.first.do("CREATE TABLE w (id TEXT, payload TEXT)")
        _, wrong = two_at_once(both, tables.named("w"), tmp_path / "wrong", NAIVE)
        assert wrong.repeated
    certify("two runs at once", f"csv to {system}", tries, total, wrong=Wrong(NAIVE, 1, wrong))
