"""With real brokers, and workers that are killed: every record is there, and once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from amqp.exceptions import ChannelError
from celery import Celery
from celery.exceptions import OperationalError
from redis import Redis

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes found in /proc"),
    pytest.mark.faults,
    pytest.mark.timeout(1800 if LONG else 150),
    pytest.mark.xdist_group("celery"),  # one process has the brokers
]


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request):
    """Each test has a broker without messages of others."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def server(request):
    return request.getfixturevalue(f"{request.node.callspec.params['broker']}_server")


@pytest.fixture
def rabbitmq(rabbitmq_server, request):
    queue = f"q{abs(hash(request.node.name))}"
    return rabbitmq_server.url(), queue


@pytest.fixture
def redis(redis_server, request):
    return redis_server.url(), f"q{abs(hash(request.node.name))}"


SOON = "  visibility_timeout: 15s\n"
"""After how long Redis gives a message again; what is then missing is lost, not late."""


def made(shop, broker, records=40, more="", **how):
    url, queue = broker
    shop.make(records, broker=url, **how)
    text = shop.file.read_text()
    options = f"  use: celery\n  queue: {queue}\n{more}"
    shop.file.write_text(text.replace("  use: celery\n", options))
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


def test_a_file_without_an_engine_is_run_by_naming_it_on_both_sides(shop, redis, worker):
    shop.make(40)
    text = shop.file.read_text()
    shop.file.write_text(text[: text.index("engine:")] + text[text.index("epoch:") :])
    url, queue = redis
    options = {"broker_url": url, "queue": queue, "ledger": "sqlite:///ledger.db", "chunks": "4"}
    named = ["--engine", "celery"]
    for option, value in options.items():
        named += ["--set", f"engine.{option}={value}"]
    worker("-m", "penstock", "celery", "shop.yaml", "--concurrency", "2", *named)
    with shop.start_run(*named) as run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said
    assert shop.lost_and_repeated() == (0, 0)


def test_what_is_no_bell_is_refused_and_the_worker_lives(shop, broker, worker):
    made(shop, broker)
    one = worker()
    url, queue = broker
    app = Celery("stranger", broker=url, set_as_current=False)
    app.conf.task_default_queue = queue
    name = "penstock.chunk.shop"
    usual = {"task": name, "id": "1", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    body = json.dumps([[], {"run": "shop@1", "chunk": 1}, {}])
    long = json.dumps([[], {"run": "shop@1", "chunk": 1, "more": "x" * 100_000}, {}])
    with app.connection_for_write() as connection, connection.SimpleQueue(queue) as there:

        def send(body, kind="application/json", encoding="utf-8", headers=usual):
            there.producer.publish(
                body if isinstance(body, bytes) else body.encode(),
                routing_key=queue,
                content_type=kind,
                content_encoding=encoding,
                headers=headers,
                correlation_id="1",
            )

        send(b"cos\nsystem\n(S'touch owned'\ntR.", "application/x-python-serialize", "binary")
        send("!!python/object/apply:os.system ['touch owned']", "application/x-yaml")
        send(long)
        for no_call in ("{", "[]", "5", "null", "[5, 5, 5]", "[[], [], []]", "[" * 4000):
            send(no_call)
        for strange in ({"eta": "x"}, {"timelimit": "x"}, {"retries": "x"}, {"id": 5}):
            send(body, headers={**usual, **strange})
        send(body, encoding="no encoding")
        for task in ("posix.system", "penstock.chunk.other", ["a", "list"], None, 5):
            send(body, headers={"task": task})
        if url.startswith("redis"):
            with Redis.from_url(url) as client:
                client.lpush(queue, "no message", "5", "{}", "[" * 5000)
    for said in ({"run": "shop@1"}, {"run": "shop@1", "chunk": "x"}, {"run": "a@1", "chunk": 1}):
        app.send_task(name, kwargs=said, queue=queue, ignore_result=True)
    with shop.start_run() as run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said + one.log()
    assert shop.lost_and_repeated() == (0, 0)
    assert one.starts == 1
    log = shop.until(lambda: one.log().count("is refused") >= 18 and one.log())
    assert "bytes of application/x-python-serialize is refused" in log
    assert "bytes of application/x-yaml is refused" in log
    assert "bytes of application/json is refused" in log
    assert "a message of penstock.chunk.shop that is no call is refused" in log
    assert "a message of 'posix.system' that nobody here serves is refused" in log
    assert "'x' is no chunk" in log
    assert "'a@1' is no run of this pipeline" in log
    assert not (shop.folder / "owned").exists()


def test_a_run_without_workers_says_so_and_ends_when_one_comes(shop, rabbitmq, worker, monkeypatch):
    made(shop, rabbitmq)
    with shop.start_run() as run:
        ledger = shop.ledger()
        ledger.make()  # as the run does, or has done
        shop.until(lambda: ledger.open_run("shop"))
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


def test_who_waits_for_a_blocked_broker_can_be_stopped(shop, rabbitmq, rabbitmq_server, blocked):
    made(shop, rabbitmq)
    with blocked(rabbitmq_server), shop.start_run() as run:
        until_blocked(run)
        since = time.monotonic()
        run.send_signal(2)
        run.communicate(timeout=60)
        assert run.returncode == 130
        assert time.monotonic() - since < 10
    assert not shop.paid()


def test_a_broker_that_is_blocked_is_waited_for_until_it_is_not(
    shop, broker, server, blocked, worker
):
    made(shop, broker)
    worker()
    with blocked(server):
        run = shop.start_run()
        until_blocked(run)
        time.sleep(3)  # it is rung more than once
    with run:
        said, _ = run.communicate(timeout=90)
    assert run.returncode == 0, said
    assert "read 40 = written 40" in said
    assert said.count("is blocked") == 1, "among the warnings of the report"
    assert shop.lost_and_repeated() == (0, 0)


def until_blocked(run):
    line = next(line for line in run.stdout if "is blocked" in line)
    assert line.endswith("; it is rung again until it answers\n")


# ---- kills --------------------------------------------------------------------------------------


def kill_at_random(shop, workers, over, *, children, whole, pause=0.5):
    """Kill so many single processes and so many workers, each while work is done; how many there were before it was over."""
    chance = random.Random(7)
    todo = ["child"] * children + ["whole"] * whole
    chance.shuffle(todo)
    done = {"child": 0, "whole": 0}
    while todo and not over():
        before = sum(shop.paid().values())
        shop.until(lambda: over() or sum(shop.paid().values()) > before, 120)  # noqa: B023
        time.sleep(chance.uniform(0.0, pause))
        one = chance.choice(workers)
        if todo[-1] == "whole":
            one.kill()
        elif not one.kill_child(chance.randrange(9)):
            continue
        done[todo.pop()] += 1
    return done


def test_nothing_is_lost_or_repeated_whatever_is_killed(shop, broker, worker, tasks, certify):
    """The same kills lose tasks of Celery as it comes."""
    chunks, kills, nap = (300, 15, 0.06) if LONG else (24, 2, 0.01)
    made(shop, broker, chunks * 10, chunks=chunks, nap=nap, lease="10s", ring_again="3s", more=SOON)
    workers = [worker(), worker()]
    with shop.start_run() as run:
        killed = kill_at_random(
            shop, workers, lambda: run.poll() is not None, children=kills, whole=kills
        )
        said, _ = run.communicate(timeout=900 if LONG else 60)
    for one in workers:
        one.end()
    assert run.returncode == 0, said
    assert min(killed.values()) >= kills, "the run was over too soon"
    plain, killed_there = tasks.killed(chunks if LONG else 60, kills)
    title = {"amqp": "RabbitMQ", "redis": "Redis"}[broker[0].partition(":")[0]]
    if title == "Redis" and LONG:
        time.sleep(130)  # what Redis gives again it gives late
    right, wrong = shop.lost_and_repeated(), plain.lost_and_repeated()
    assert right == (0, 0), killed
    count = f"{chunks * 10:,}".replace(",", " ")
    assert f"read {count} = written {count} + filtered 0 + dead 0" in said
    assert wrong[0] > 0
    certify(
        "workers and their processes killed",
        f"SQL to SQLite in {chunks} chunks, {title}",
        sum(killed.values()),
        right,
        "Celery as it comes",
        sum(killed_there.values()),
        wrong,
    )


class Tasks:
    """Tasks of Celery as it comes, which pay one order each."""

    def __init__(self, shop, broker, worker, monkeypatch):
        self.shop, self.broker, self.worker = shop, broker, worker
        folder = shop.folder
        (folder / "plain_tasks.py").write_text(
            Path(__file__).with_name("plain_tasks.py").read_text()
        )
        for name, value in (
            ("BROKER", broker[0]),
            ("NAP", 0.5 if LONG else 0.2),
            ("DATABASE", folder / "shop.db"),
        ):
            monkeypatch.setenv(f"PLAIN_{name}", str(value))

    def killed(self, count, kills):
        """Kill workers while they do so many tasks: their shop, and what was killed."""
        url, queue = self.broker[0], f"plain{self.broker[1]}"
        with self.shop.database() as there:
            there.execute("CREATE TABLE paid (id INTEGER)")
        self.shop.ids = list(range(count))
        app = Celery("plain", broker=url, set_as_current=False)
        for number in self.shop.ids:
            app.send_task("plain_tasks.pay", args=[number], queue=queue, ignore_result=True)
        command = ["-m", "celery", "-A", "plain_tasks", "worker", "-c", "2", "-Q", queue]
        names = ["one@%h", "two@%h"]  # what two workers of a machine need
        workers = [self.worker(*command, "-n", name, folder=self.shop.folder) for name in names]
        killed = kill_at_random(
            self.shop,
            workers,
            lambda: is_empty(app, queue),
            children=kills,
            whole=kills,
            pause=0.1,
        )
        until_quiet(self.shop, app, queue)
        return self.shop, killed


@pytest.fixture
def tasks(tmp_path, shop, broker, worker, monkeypatch):
    (tmp_path / "plain").mkdir()
    return Tasks(type(shop)(tmp_path / "plain"), broker, worker, monkeypatch)


def is_empty(app, queue):
    """Whether no message waits any more; some may be in the hands of workers."""
    with app.connection_for_read() as connection:
        try:
            there = connection.default_channel.queue_declare(queue, passive=True)
        except ChannelError:  # Redis has no queue without messages
            return True
        except OperationalError:  # it is too busy to say
            return False
        return there.message_count == 0


def until_quiet(shop, app, queue, seconds=5.0):
    """Until no message waits and nothing has been paid for so long."""
    before, since, end = -1, time.monotonic(), time.monotonic() + 300
    while time.monotonic() - since < seconds:
        assert time.monotonic() < end, "it has never been quiet"
        paid = sum(shop.paid().values())
        if paid != before or not is_empty(app, queue):
            before, since = paid, time.monotonic()
        time.sleep(0.2)


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


NEVER = """
from penstock_celery.coordinator import Coordinator
Coordinator._due = lambda self, chunk, now: False
from penstock.cli import main
main(["run", "shop.yaml", "-q", "--max-seconds", "4"])
"""


def test_a_kill_between_commit_and_enqueue_loses_no_chunk(shop, rabbitmq, worker, certify):
    """Without a second ring it would."""
    made(shop, rabbitmq, 20, chunks=4)
    worker()

    def python(lines, *arguments):
        command = [sys.executable, "-c", lines, *arguments]
        return subprocess.run(command, cwd=shop.folder, check=False, timeout=60).returncode

    times = 50 if LONG else 3
    for number in range(1, times + 1):
        assert python(KILLED, str(number)) == -9
        assert shop.ledger().open_run("shop") is not None
        with shop.start_run() as run:
            said, _ = run.communicate(timeout=90)
        assert run.returncode == 0, said
        assert shop.lost_and_repeated(times=number) == (0, 0)
    python(KILLED, "1")
    python(NEVER)
    lost, repeated = shop.lost_and_repeated(times=times + 1)
    assert lost > 0
    assert repeated == 0
    certify(
        "killed between commit and enqueue",
        "SQL to SQLite in 4 chunks, RabbitMQ",
        times,
        (0, 0),
        "rings once",
        1,
        (lost, repeated),
    )


def _running(shop):
    ledger = shop.ledger()
    return [one for one in ledger.summaries(ledger.open_run("shop")) if one.state == "running"]
