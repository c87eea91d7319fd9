"""Documents in MongoDB's double are there once, whatever happens to the run, the server, the network
or another run; with transactions and without.

Each promise is tested beside a naive variant, which inserts documents and keeps its position apart.
"""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.certificates import Wrong
from faults.documents import Documents
from faults.killing import Killed, Launcher, Outcome, kill_at_random
from faults.network import LostReplies
from faults.oracle import Verdict
from faults.pairs import MONGODB

from penstock_testkit.servers import MongoDB, running
from penstock_testkit.servers.mongodb import Standalone

ROWS = 3000
MANY = 20_000  # so that a server stops in the middle of a run
OF_ONE_RUN = 4  # kills of its server
MOST = 400
WITH_DEAD_LETTERS = 6
OTHER_SOURCE = 5
NAIVE = "inserts documents"
KINDS = {"replica set": MongoDB, "standalone": Standalone}

Certify = Callable[..., None]


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def documents(kind: str) -> Iterator[Documents]:
    """A database of a server that this test may stop."""
    with running(KINDS[kind]) as server:
        server.own()
        yield Documents(server, "faults")


# ---- runs that are killed ----------------------------------------------------------------------


def kill(
    launcher: Launcher,
    folder: Path,
    documents: Documents,
    kills: int,
    variant: str | None = None,
) -> Killed:
    numbers = itertools.count(1)
    now = documents

    def make(path: Path) -> None:
        nonlocal now
        now = documents.named(f"c{next(numbers)}{'w' if variant else ''}")
        MONGODB.make(path, ROWS, tables=now)

    return kill_at_random(
        launcher,
        make,
        lambda path: MONGODB.judge(path, ROWS, now),
        folder,
        kills=kills,
        seed=kills,
        good_codes=[WITH_DEAD_LETTERS],
        variant=variant,
        enough=(lambda killed: not killed.verdict.right) if variant else lambda _: False,
    )


def test_a_run_that_is_killed(
    launcher: Launcher,
    tmp_path: Path,
    documents: Documents,
    certify: Certify,
    long: bool,
    kind: str,
) -> None:
    right = kill(launcher, tmp_path / "right", documents, 200 if long else 6)
    assert right.failures == []
    assert right.verdict == Verdict()
    wrong = kill(launcher, tmp_path / "wrong", documents, MOST, NAIVE)
    assert not wrong.verdict.right
    caught = Wrong(NAIVE, wrong.kills, wrong.verdict)
    certify("kill -9", f"csv to MongoDB's double, {kind}", right.kills, right.verdict, wrong=caught)


# ---- servers and answers that are lost ---------------------------------------------------------


def to_the_end(run: Callable[[], Outcome], tries: int = 100) -> None:
    """Start a pipeline again until it ends well."""
    for _ in range(tries):
        outcome = run()
        if outcome.code == WITH_DEAD_LETTERS:
            return
        assert outcome.code in (1, 5), outcome.messages
        assert "Traceback" not in outcome.messages
    raise AssertionError(f"did not come to its end: {outcome.messages}")


def restart(
    launcher: Launcher,
    folder: Path,
    documents: Documents,
    restarts: int,
    variant: str | None = None,
) -> tuple[int, Verdict]:
    """Kill and start the server while runs write to it; how often, and what came of it. The wrong
    way is looked for after every run."""
    chance, done, total = random.Random(1), 0, Verdict()
    for trial in itertools.count(1):
        here, now = folder / f"run{trial}", documents.named(f"r{trial}{'w' if variant else ''}")
        MONGODB.make(here, MANY, tables=now)
        run = threading.Thread(
            target=lambda here=here: to_the_end(lambda: launcher.run(here, variant=variant))  # type: ignore[misc]
        )
        run.start()
        until = min(done + OF_ONE_RUN, restarts)
        while run.is_alive() and done < until:
            time.sleep(chance.uniform(0.2, 1.0))
            documents.server.stop(signal.SIGKILL)
            time.sleep(chance.uniform(0.0, 0.3))
            documents.server.start()
            done += 1
        run.join()
        total += MONGODB.judge(here, MANY, now)
        if done >= restarts or not total.right:
            return done, total
    raise AssertionError("unreachable")


def test_a_server_that_is_killed_under_load(
    launcher: Launcher,
    tmp_path: Path,
    documents: Documents,
    certify: Certify,
    long: bool,
    kind: str,
) -> None:
    done, right = restart(launcher, tmp_path / "right", documents, 60 if long else 3)
    assert right == Verdict()
    tried, wrong = restart(launcher, tmp_path / "wrong", documents, 60, NAIVE)
    assert not wrong.right
    caught = Wrong(NAIVE, tried, wrong)
    certify("server killed", f"csv to MongoDB's double, {kind}", done, right, wrong=caught)


def lose_replies(
    launcher: Launcher, folder: Path, documents: Documents, runs: int, variant: str | None = None
) -> tuple[int, Verdict]:
    """How many answers were lost, and what came of it."""
    lost, total = 0, Verdict()
    for number in range(1, runs + 1):
        here, now = folder / f"run{number}", documents.named(f"l{number}{'w' if variant else ''}")
        with LostReplies(documents.server.port, 0.01, seed=number) as network:
            MONGODB.make(here, ROWS, tables=now.by_port(network.port))
            to_the_end(lambda here=here: launcher.run(here, variant=variant))  # type: ignore[misc]
            lost += network.lost
        total += MONGODB.judge(here, ROWS, now)
        if not total.right:
            break
    return lost, total


def test_a_lost_reply_is_looked_up(
    launcher: Launcher,
    tmp_path: Path,
    documents: Documents,
    certify: Certify,
    long: bool,
    kind: str,
) -> None:
    runs = 20 if long else 3
    lost, right = lose_replies(launcher, tmp_path / "right", documents, runs)
    assert right == Verdict()
    assert lost
    tried, wrong = lose_replies(launcher, tmp_path / "wrong", documents, 60, NAIVE)
    assert not wrong.right
    caught = Wrong(NAIVE, tried, wrong)
    certify("lost reply", f"csv to MongoDB's double, {kind}", lost, right, wrong=caught)


# ---- two runs ----------------------------------------------------------------------------------


def two_at_once(
    launchers: tuple[Launcher, Launcher],
    folder: Path,
    documents: Documents,
    variant: str | None = None,
) -> tuple[list[Outcome], Verdict]:
    """The same pipeline on two machines: each has a state folder of its own."""
    outcomes: list[Outcome] = []
    threads = []
    for number, launcher in enumerate(launchers):
        here = folder / f"run{number}"
        MONGODB.make(here, ROWS, tables=documents)
        target = lambda one=launcher, here=here: outcomes.append(one.run(here, variant=variant))  # noqa: E731
        threads.append(threading.Thread(target=target))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes, MONGODB.judge_outputs(folder, ROWS, documents, set())


def test_of_two_runs_one_writes(
    launcher: Launcher, tmp_path: Path, certify: Certify, long: bool
) -> None:
    """Whether they overlap is chance: then one of them is told, else the second adds a run."""
    overlapped, total, wrong = 0, Verdict(), Verdict()
    with Launcher() as other, running(MongoDB) as server:
        server.own()
        documents = Documents(server, "faults")
        both = (launcher, other)
        for number in range(1, 200 if long else 40):
            now = documents.named(f"t{number}")
            outcomes, verdict = two_at_once(both, tmp_path / f"{number}", now)
            said = " ".join(outcome.messages for outcome in outcomes)
            codes = sorted(outcome.code or 0 for outcome in outcomes)
            if codes == [WITH_DEAD_LETTERS, WITH_DEAD_LETTERS]:
                continue
            total += verdict
            if "was replaced or changed" in said:  # one resumed the other's, from its own copy
                assert codes == [OTHER_SOURCE, WITH_DEAD_LETTERS], said
                continue
            assert codes == [1, WITH_DEAD_LETTERS], said
            assert "another run has taken this pipeline over" in said
            overlapped += 1
            if overlapped == (20 if long else 2):
                break
        assert overlapped
        assert total == Verdict()
        _, wrong = two_at_once(both, tmp_path / "wrong", documents.named("w"), NAIVE)
        assert wrong.repeated
    caught = Wrong(NAIVE, 1, wrong)
    of = "csv to MongoDB's double, replica set"
    certify("two runs at once", of, overlapped, total, wrong=caught)
