"""With real brokers, and workers that are killed: every record is there, and once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes found in /proc"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request):
    """Each test has a broker without messages of others."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def rabbitmq(rabbitmq_server, request):
    queue = f"q{abs(hash(request.node.name))}"
    return rabbitmq_server.url(), queue


@pytest.fixture
def redis(redis_server, request):
    return redis_server.url(), f"q{abs(hash(request.node.name))}"


def made(shop, broker, records=40, **how):
    url, queue = broker
    shop.make(records, broker=url, **how)
    text = shop.file.read_text()
    shop.file.write_text(text.replace("  use: celery\n", f"  use: celery\n  queue: {queue}\n"))
    return shop


def test_the_command_ends_as_with_any_engine(shop, broker, worker):
    made(shop, broker, wrong=(7,))
    worker()
    with shop.start_run() as run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 6, said
    assert "read 40 = written 39 + filtered 0 + dead 1" in said
    assert "1 record was set aside; see it with: penstock errors shop.yaml" in said
    paid = shop.paid()
    assert {one for one in shop.ids if paid[one] != 1} == {7}


def test_what_is_no_bell_is_refused_and_the_worker_lives(shop, broker, worker):
    made(shop, broker)
    one = worker()
    url, queue = broker
    app = Celery("stranger", broker=url, set_as_current=False)
    app.conf.task_default_queue = queue
    name = "penstock.chunk.shop"
    with app.connection_for_write() as connection, connection.SimpleQueue(queue) as there:
        headers = {"task": name, "id": "1", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
        body = json.dumps([[], {"run": "shop@1", "chunk": 1}, {}])

        def send(body, kind, encoding="utf-8"):
            there.producer.publish(
                body,
                routing_key=queue,
                content_type=kind,
                content_encoding=encoding,
                headers=headers,
                correlation_id="1",
            )

        send(b"cos\nsystem\n(S'touch owned'\ntR.", "application/x-python-serialize", "binary")
        send("!!python/object/apply:os.system ['touch owned']", "application/x-yaml")
        send(
            json.dumps([[], {"run": "shop@1", "chunk": 1, "more": "x" * 100_000}, {}]),
            "application/json",
        )
        send("{", "application/json")
        headers["task"] = "posix.system"
        send(body, "application/json")
        headers["task"] = "penstock.chunk.other"
        send(body, "application/json")
    for said in ({"run": "shop@1"}, {"run": "shop@1", "chunk": "x"}, {"run": "a@1", "chunk": 1}):
        app.send_task(name, kwargs=said, queue=queue, ignore_result=True)
    with shop.start_run() as run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said + one.log()
    assert shop.lost_and_repeated() == (0, 0)
    assert one.alive
    log = shop.until(lambda: one.log().count("is refused") >= 6 and one.log())
    assert "bytes of application/x-python-serialize is refused" in log
    assert "bytes of application/x-yaml is refused" in log
    assert "bytes of application/json is refused" in log
    assert "'x' is no chunk" in log
    assert "'a@1' is no run of this pipeline" in log
    assert not (shop.folder / "owned").exists()


def test_a_run_without_workers_says_so_and_ends_when_one_comes(shop, rabbitmq, worker, monkeypatch):
    made(shop, rabbitmq)
    with shop.start_run() as run:
        ledger = shop.ledger()
        shop.until(lambda: (shop.folder / "ledger.db").exists() and ledger.open_run("shop"))
        worker()
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said
    assert shop.lost_and_repeated() == (0, 0)


def test_ctrl_c_leaves_chunks_for_the_next_run(shop, rabbitmq, worker):
    made(shop, rabbitmq, 200, chunks=40, nap=0.02)
    worker()
    with shop.start_run() as run:
        shop.until(lambda: len(shop.paid()) > 20)
        run.send_signal(2)
        run.communicate(timeout=60)
    assert run.returncode == 130
    shop.until(lambda: not _running(shop))
    paid = len(shop.paid())
    assert paid < 200
    time.sleep(1)
    assert len(shop.paid()) == paid, "nobody begins another chunk"
    with shop.start_run() as run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said
    assert "read 200 = written 200" in said
    assert shop.lost_and_repeated() == (0, 0)


# ---- kills --------------------------------------------------------------------------------------


def kill_at_random(shop, workers, over, *, children, whole, seed=7):
    """Kill so many single processes and so many workers, each started again, and each while work is
    done; how many there were before it was over."""
    chance = random.Random(seed)
    todo = ["child"] * children + ["whole"] * whole
    chance.shuffle(todo)
    done = {"child": 0, "whole": 0}
    while todo and not over():
        before = sum(shop.paid().values())
        shop.until(lambda: over() or sum(shop.paid().values()) > before, 120)  # noqa: B023
        time.sleep(chance.uniform(0.0, 0.5))
        one = chance.choice(workers)
        if todo[-1] == "whole":
            one.kill()
            one.start()
        elif not one.kill_child(chance.randrange(9)):
            continue
        done[todo.pop()] += 1
    return done


def test_nothing_is_lost_or_repeated_whatever_is_killed(shop, broker, worker, long):
    chunks, kills = (300, 15) if long else (40, 3)
    made(
        shop,
        broker,
        chunks * 10,
        chunks=chunks,
        nap=0.06 if long else 0.01,
        lease="10s",
        ring_again="3s",
    )
    workers = [worker(), worker()]
    with shop.start_run() as run:
        killed = kill_at_random(
            shop, workers, lambda: run.poll() is not None, children=kills, whole=kills
        )
        said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    assert min(killed.values()) >= kills, "the run was over too soon"
    if long and broker[0].startswith("redis"):
        time.sleep(130)  # what Redis gives again it gives late
    assert shop.lost_and_repeated() == (0, 0), killed
    assert f"read {chunks * 10:,} = written".replace(",", " ") in said
    print(f"\n{broker[0].partition(':')[0]}: {chunks} chunks, killed {killed}, lost 0, repeated 0")


def test_celery_as_it_comes_loses_tasks_in_the_same_kills(
    tmp_path, rabbitmq, shop, worker, long, monkeypatch
):
    url, queue = rabbitmq
    shop.make(1)
    with shop.database() as there:
        there.execute("CREATE TABLE paid (id INTEGER)")
    shop.ids = list(range(300 if long else 60))
    for name, value in (("BROKER", url), ("NAP", "0.2"), ("DATABASE", shop.folder / "shop.db")):
        monkeypatch.setenv(f"PLAIN_{name}", str(value))
    (tmp_path / "plain_tasks.py").write_text(Path(__file__).with_name("plain_tasks.py").read_text())
    command = ["-m", "celery", "-A", "plain_tasks", "worker", "-c", "2", "-Q", queue, "-l", "INFO"]
    workers = [worker(*command), worker(*command)]
    app = Celery("plain", broker=url, set_as_current=False)
    for number in shop.ids:
        app.send_task("plain_tasks.pay", args=[number], queue=queue, ignore_result=True)
    kills = 15 if long else 3
    killed = kill_at_random(shop, workers, lambda: _over(app, queue), children=kills, whole=kills)
    _until_quiet(shop, app, queue)
    lost, _ = shop.lost_and_repeated()
    assert lost > 0
    print(f"\nCelery as it comes: {len(shop.ids)} tasks, killed {killed}, lost {lost}")


# ---- between commit and enqueue -----------------------------------------------------------------

KILLED = """
import os, random, signal, sys
from penstock_celery.coordinator import Coordinator
send, left = Coordinator._send, random.Random(int(sys.argv[1])).randrange(3)

def dying(self, numbers):
    send(self, numbers[:left])
    os.kill(os.getpid(), signal.SIGKILL)

Coordinator._send = dying
from penstock.cli import main
main(["run", "shop.yaml", "-q"])
"""


def test_a_kill_between_commit_and_enqueue_loses_no_chunk(shop, rabbitmq, worker, long):
    made(shop, rabbitmq, 20, chunks=4)
    worker()
    times = 50 if long else 5
    for number in range(1, times + 1):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(number)], cwd=shop.folder, check=False
        )
        assert done.returncode == -9
        assert shop.ledger().open_run("shop") is not None
        with shop.start_run() as run:
            said, _ = run.communicate(timeout=90)
        assert run.returncode == 0, said
        assert shop.lost_and_repeated(times=number) == (0, 0)


def test_without_a_second_ring_that_kill_would_lose_them(shop, rabbitmq, worker):
    made(shop, rabbitmq, 20, chunks=4)
    worker()
    subprocess.run([sys.executable, "-c", KILLED, "1"], cwd=shop.folder, check=False)
    never = "from penstock_celery.coordinator import Coordinator\n"
    never += "Coordinator._due = lambda self, chunk, now: False\n"
    never += "from penstock.cli import main\nmain(['run', 'shop.yaml', '-q', '--max-seconds', '4'])"
    subprocess.run([sys.executable, "-c", never], cwd=shop.folder, check=False)
    lost, repeated = shop.lost_and_repeated()
    assert lost > 0
    assert repeated == 0


def _running(shop):
    ledger = shop.ledger()
    return [one for one in ledger.summaries(ledger.open_run("shop")) if one.state == "running"]


def _over(app, queue):
    """Whether no message waits any more; some may be in the hands of workers."""
    with app.connection_for_read() as connection:
        return connection.default_channel.queue_declare(queue, passive=True).message_count == 0


def _until_quiet(shop, app, queue, seconds=10.0):
    """Until no message waits and nothing has been paid for so long."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        paid = sum(shop.paid().values())
        if paid != before or not _over(app, queue):
            before, since = paid, time.monotonic()
        time.sleep(0.2)
