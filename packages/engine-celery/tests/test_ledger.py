"""Of two who believe to have a chunk, one has; whoever was overtaken is told so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from penstock import Checkpoint, DeadLetter, FencedError
from penstock_celery.ledger import STARTS, Ledger
from penstock_celery.store import ChunkStore


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def ledger(request, tmp_path):
    if request.param == "sqlite":
        made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
        made.make()
        yield made
        made.close()
        return
    server = request.getfixturevalue(f"{request.param}_server")
    with server.database() as url:
        made = Ledger(url)
        made.make()
        yield made
        made.close()


@pytest.fixture
def run(ledger):
    return ledger.plan("shop", "c0ffee", [("orders", "{}"), ("orders", "{}"), ("more", "{}")])


def letter(chunk, ordinal: int, last: float = 5.0) -> DeadLetter:
    return DeadLetter(
        chunk.name, "orders/1", ordinal, "pay", "ValueError", "no", "{}", "r", last=last
    )


def test_a_chunk_is_taken_once(ledger, run):
    taken = []
    threads = [
        threading.Thread(target=lambda: taken.append(ledger.take(run.name, 1, 30.0)))
        for _ in range(6)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len([one for one in taken if one is not None]) == 1


def test_there_is_nothing_to_do_for_who_is_rung_in_vain(ledger, run):
    chunk = ledger.take(run.name, 1, 30.0)
    assert ledger.take(run.name, 1, 30.0) is None, "somebody has it"
    ledger.finish(chunk, {"status": "ok"})
    assert ledger.take(run.name, 1, 30.0) is None, "it is done"
    assert ledger.take(run.name, 99, 30.0) is None, "there is no such chunk"
    assert ledger.take("shop@99", 1, 30.0) is None, "nor such a run"
    ledger.set_state(run, "held")
    assert ledger.take(run.name, 2, 30.0) is None, "nobody may begin"


def test_who_lets_the_lease_run_out_is_overtaken_and_refused(ledger, run):
    late = ledger.take(run.name, 1, 0.05)
    time.sleep(0.1)
    chunk = ledger.take(run.name, 1, 30.0)
    assert chunk.generation == late.generation + 1
    checkpoint = Checkpoint(late.name, "r", 1)
    for word in (
        lambda: ledger.renew(late, time.time() + 30),
        lambda: ledger.save(late, checkpoint, []),
        lambda: ledger.keep(late, [letter(late, 1)]),
        lambda: ledger.finish(late, None),
        lambda: ledger.fail(late, "no", 1),
        lambda: ledger.give_back(late, 0.0, "no"),
    ):
        with pytest.raises(FencedError):
            word()
    ledger.save(chunk, checkpoint, [])
    ledger.finish(chunk, None)
    assert ledger.outcome(run, 1) == (checkpoint, {}, [])


def test_who_is_seen_to_be_dead_is_not_waited_for(ledger, run):
    program = "import sys, time; from penstock_celery.ledger import Ledger; "
    program += "print(Ledger(sys.argv[1]).take(sys.argv[2], 1, 3600.0).generation, flush=True); "
    program += "time.sleep(60)"
    command = [sys.executable, "-c", program, ledger.database.url, run.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "1\n"
        assert ledger.take(run.name, 1, 30.0) is None
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        assert ledger.take(run.name, 1, 30.0).generation == 2


def test_a_run_that_is_dropped_takes_its_chunks_with_it(ledger, run):
    chunk = ledger.take(run.name, 1, 30.0)
    ledger.set_state(run, "dropped")
    with pytest.raises(FencedError):
        ledger.save(chunk, Checkpoint(chunk.name, "r", 1), [])
    assert ledger.open_run("shop") is None
    assert ledger.plan("shop", "c0ffee", []).name == "shop@2"


def test_a_chunk_whose_workers_always_die_is_given_up(ledger, run):
    for _ in range(STARTS):
        chunk = ledger.take(run.name, 1, 0.0)
        assert chunk is not None
    assert ledger.take(run.name, 1, 0.0) is None
    number, what, code = ledger.failure(run)
    assert (number, code) == (1, 1)
    assert what == "it was begun 12 times and never came to a checkpoint"


def test_a_chunk_that_comes_further_may_be_begun_as_often_again(ledger, run):
    for _ in range(3):
        for _ in range(STARTS):
            chunk = ledger.take(run.name, 1, 0.0)
        ledger.save(chunk, Checkpoint(chunk.name, "r", 1), [])
    assert ledger.failure(run) is None


def test_letters_are_kept_once_and_settled(ledger, run):
    chunk = ledger.take(run.name, 1, 30.0)
    ledger.keep(chunk, [letter(chunk, 1), letter(chunk, 2)])
    ledger.save(chunk, Checkpoint(chunk.name, "r", 1), [letter(chunk, 2, last=9.0)])
    ledger.settle(chunk, 8.0)
    _, _, letters = ledger.outcome(run, 1)
    assert letters == [letter(chunk, 2, last=9.0)]


def test_the_store_of_a_chunk_remembers_what_was_tried(ledger, run):
    chunk = ledger.take(run.name, 1, 0.0)
    store = ChunkStore(ledger, chunk)
    store.lease(chunk.name, "me", 0.0, 9.0, lambda _: None)
    assert store.attempt(chunk.name, chunk.generation, "epoch after 0 records") == 1
    chunk = ledger.take(run.name, 1, 30.0)  # as after its death
    store = ChunkStore(ledger, chunk)
    assert store.lease(chunk.name, "me", 0.0, 9.0, lambda _: None) == chunk.generation
    assert store.attempts(chunk.name) == {"epoch after 0 records": 1}
    assert store.attempt(chunk.name, chunk.generation, "epoch after 0 records") == 2
    store.withdraw(chunk.name, chunk.generation, ["epoch after 0 records"])
    assert ledger.tried(chunk) == {"epoch after 0 records": 1}
    store.save(Checkpoint(chunk.name, "r", 1))
    assert ledger.tried(chunk) == {}
    assert store.checkpoint(chunk.name).epoch == 1
