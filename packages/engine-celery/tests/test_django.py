"""Items of a Django project in workers of Celery: each is there once, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

VERSION = getattr(find_spec("django") and __import__("django"), "VERSION", (0, 0))
LONG = os.environ.get("PENSTOCK_FAULTS") == "long"

pytestmark = [
    pytest.mark.skipif(
        find_spec("penstock_django") is None, reason="needs penstock-django-adapter"
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes found in /proc"),
    pytest.mark.faults,
    pytest.mark.timeout(1800 if LONG else 150),
    pytest.mark.xdist_group("celery"),  # one process has the brokers
]

FILES = {
    "press_settings.py": """
import os
SECRET_KEY = "a-secret-key-of-the-tests"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "penstock_django", "press"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(os.path.dirname(__file__), "press.db"),
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
""",
    "press/__init__.py": "",
    "press/models.py": """
import uuid
from django.db import models

class Item(models.Model):
    number = models.IntegerField()

class Result(models.Model):
    number = models.IntegerField()

class Ticket(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    number = models.IntegerField()
""",
    "press/pipes.py": """
import time
from penstock_django import Pipe, pipeline
from .models import Result

@pipeline("double")
class Double(Pipe):
    def process(self):
        item = super().process()
        time.sleep(0.02)
        if item.number == 13:
            raise LookupError("nobody likes thirteen")
        self.add_to_save(Result(number=item.number))
        return item

@pipeline("counts")
class Counts(Pipe):
    def process(self):
        self.context["count"] = self.context.get("count", 0) + 1
        assert "not" not in self.context
        self.add_to_save(Result(number=self.context["count"]))
        return super().process()

@pipeline("stops")
class Stops(Pipe):
    def process(self):
        item = super().process()
        self.add_to_save(Result(number=item.number))
        if item.number == 2:
            raise self.Error("all of it")
        return item
""",
    "bells.py": """
import os
import django
django.setup()
from celery import Celery
from penstock_celery.django import serve_items
app = Celery("press", broker=os.environ["PRESS_BROKER"])
app.conf.update(
    accept_content=["json"], worker_prefetch_multiplier=1, task_default_queue=os.environ["PRESS_QUEUE"]
)
serve_items(app)
""",
}


class Press:
    """The folder of a project with forty items."""

    def __init__(self, folder: Path, broker: str = "memory://", queue: str = "press") -> None:
        self.folder = folder
        self.environ = {"PRESS_BROKER": broker, "PRESS_QUEUE": queue}
        self.environ["DJANGO_SETTINGS_MODULE"] = "press_settings"

    def make(self) -> None:
        for name, text in FILES.items():
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        self.python(
            "from django.core.management import call_command",
            "call_command('migrate', verbosity=0, run_syncdb=True)",
            "from press.models import Item",
            "Item.objects.bulk_create(Item(number=n) for n in range(1, 41))",
            "from penstock_celery.django import ring_again; ring_again()",  # makes the table
        )

    def python(self, *lines: str, expect: int = 0) -> str:
        """Run lines in the project; what they print."""
        done = subprocess.run(
            self._command(*lines),
            cwd=self.folder,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout

    def _command(self, *lines: str) -> list[str]:
        return [sys.executable, "-W", "ignore", "-c", "\n".join(["import bells", *lines])]

    @contextmanager
    def ringing(self) -> Iterator[None]:
        """Ring again every second, as a periodic task would."""
        lines = ["import time", "from penstock_celery.django import ring_again"]
        lines += ["while True: time.sleep(1), ring_again(after=2)"]
        environ = {**os.environ, **self.environ}
        command = self._command(*lines)
        with subprocess.Popen(command, cwd=self.folder, env=environ) as bell:
            try:
                yield
            finally:
                bell.kill()

    def _asked(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "press.db", timeout=60)) as there:
            return [value for (value,) in there.execute(query)]

    def results(self) -> list[int]:
        return self._asked("SELECT number FROM press_result ORDER BY number")

    def errors(self) -> list[str]:
        return self._asked("SELECT error_type FROM penstock_django_pipelineerror")

    def states(self) -> set[str]:
        return set(self._asked("SELECT DISTINCT state FROM penstock_celery_items"))


RUN = (
    "from penstock_django import get_session",
    "from press.models import Item",
)
RINGS = "from penstock_celery.django import ring_again; print(ring_again(after=0))"
ALL = "get_session(debug=False).run_in_celery(Item.objects.all(), 'double', celery_chunksize=4)"


@pytest.fixture(scope="session")
def made_press(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "press"
    folder.mkdir()
    Press(folder).make()
    return folder


@pytest.fixture
def press(made_press, tmp_path):
    shutil.copytree(made_press, tmp_path, dirs_exist_ok=True)
    return Press(tmp_path)


@pytest.fixture
def start(press, worker, rabbitmq_server, request, monkeypatch):
    press.environ["PRESS_BROKER"] = rabbitmq_server.url()
    press.environ["PRESS_QUEUE"] = f"press{abs(hash(request.node.name))}"
    for name, value in press.environ.items():
        monkeypatch.setenv(name, value)

    def start():
        return worker("-m", "celery", "-A", "bells", "worker", "-c", "2", "-l", "INFO")

    return start


DYING = """
import os, penstock_celery.django.running as running
from penstock_celery.django import table
from django.db import connection, transaction

def run(chunk):
    there(chunk)
    os.kill(os.getpid(), 9)

there, running._run, running._ring = running._run, run, lambda bells: None
four = [Item.objects.create(number=number) for number in range(4)]  # old ones are replaced
batch = get_session(debug=False).run_in_celery(four, "double")
"""
APART = """
chunk = table.take(connection, batch, 1, 600.0)
table.finish(connection, chunk)
with transaction.atomic(): running._run(chunk)
"""


def lost_by(press, *last):
    """How many of four items have no result when whoever did them was killed just before the end
    and all was rung for again."""
    before = len(press.results())
    press.python(*RUN, DYING, *last, expect=-signal.SIGKILL)
    press.python(
        "import penstock_celery.django.running as running",
        "running._ring = lambda bells: len([running.do_items(*bell[:2]) for bell in bells])",
        "running.ring_again(after=0)",
    )
    return 4 - (len(press.results()) - before)


def test_D09_items_are_done_once_though_workers_are_killed(press, start, shop, certify):
    """Were a chunk noted as done apart from its rows, a kill would lose them."""
    count, kills = (1200, 15) if LONG else (80, 1)
    press.python(
        *RUN,
        f"Item.objects.bulk_create(Item(number=n) for n in range(41, {count + 1}))",
        ALL,
    )
    workers = [start(), start()]
    chance = random.Random(9)
    with press.ringing():
        for number in range(2 * kills):  # a process, then a worker
            done = len(press.results())
            shop.until(lambda: len(press.results()) > done, 60)  # noqa: B023
            one = chance.choice(workers)
            one.kill() if number % 2 else shop.until(lambda: one.kill_child(0))  # noqa: B023
        shop.until(lambda: press.states() == {"done"}, 300 if LONG else 60)
    assert press.results() == [n for n in range(1, count + 1) if n != 13]
    assert press.errors() == ["LookupError"]
    (report,) = map(json.loads, press._asked("SELECT report FROM penstock_django_runreport"))
    told = (report["status"], report["done"], report["balance"]["written"])
    assert told == ("ok", count, count - 1), "what a killed worker did is not counted"
    assert lost_by(press, "running.do_items(batch, 1)") == 0
    lost = lost_by(press, APART)
    assert lost == 4
    certify(
        "workers and their processes killed",
        f"{count} items of Django, RabbitMQ",
        *(2 * kills, (0, 0)),
        "notes chunks done before their rows",
        *(1, (lost, 0)),
    )


def test_a_kill_between_commit_and_ring_loses_no_chunk(press, start, shop, certify):
    """Without a second ring it would."""
    start()
    dying = ["import os, penstock_celery.django.running as running"]
    dying += ["running._ring = lambda bells: os.kill(os.getpid(), 9)"]
    times = 50 if LONG else 1
    for number in range(times):
        new = range(40 * number + 1, 40 * number + 41)
        there = press.results()
        press.python(
            *RUN,
            f"new = [Item.objects.get_or_create(number=n)[0] for n in range({new.start}, {new.stop})]",
            *dying,
            "get_session(debug=False).run_in_celery(new, 'double', celery_chunksize=4)",
            expect=-signal.SIGKILL,
        )
        assert "waiting" in press.states()
        lost = len(new) - (13 in new) - (len(press.results()) - len(there))
        assert lost == len(new) - (13 in new), "nobody was rung"
        assert press.python(RINGS).strip() == "10"
        shop.until(lambda: press.states() == {"done"}, 120)
        assert press.results() == [*there, *(n for n in new if n != 13)]
    certify(
        "killed between commit and enqueue",
        "40 items of Django in 10 chunks, RabbitMQ",
        *(times, (0, 0)),
        *("rings once", 1, (lost, 0)),
    )


PRINT = """
engine: {use: celery, broker_url: "memory://", ledger: "sqlite:///ledger.db", chunks: 4}
inputs:
  tickets: {use: django, model: press.Ticket, fields: [number]}
outputs:
  results: {use: django, model: press.Result}
pipes:
  print: [tickets, results]
"""


def test_a_pipeline_whose_input_and_output_are_models_is_run_in_chunks(press):
    """Whatever the key of the model."""
    (press.folder / "print.yaml").write_text(PRINT)
    said = press.python(
        "from pathlib import Path",
        "from press.models import Ticket",
        "Ticket.objects.bulk_create(Ticket(number=n) for n in range(40))",
        "from penstock import load_pipeline",
        "from penstock.stores.sqlite import SqliteStore",
        "from penstock.supervise import supervise",
        "from penstock_celery.chunks import do_chunk",
        "from penstock_celery.ledger import Ledger",
        "pipeline, store = load_pipeline('print.yaml'), SqliteStore(Path('.penstock'))",
        "store.open()",
        "supervise(pipeline, store, max_seconds=0.3)",
        "ledger = Ledger('sqlite:///ledger.db')",
        "run = ledger.open_run('print')",
        "ledger.set_state(run, 'open')",
        "for n in (1, 2, 3, 4): print(do_chunk(pipeline, ledger, run.name, n, 30.0))",
        "print(supervise(load_pipeline('print.yaml'), store)[1].balance)",
    )
    assert said.splitlines() == ["done"] * 4 + ["read 40 = written 40 + filtered 0 + dead 0"]
    assert press.results() == list(range(40))


TASKS = """
PENSTOCK_BELL = "tasks"
TASKS = {"default": {"BACKEND": "django.tasks.backends.%s", "QUEUES": ["default", "night"]}}
"""


@pytest.fixture
def tasks(press):
    """The project rings by the tasks of Django; a function that names the backend."""

    def tasks(backend):
        settings = press.folder / "press_settings.py"
        settings.write_text(settings.read_text() + TASKS % backend)

    return tasks


with_tasks = pytest.mark.skipif(VERSION < (6, 0), reason="Django 6.0 has tasks")


@with_tasks
def test_the_tasks_of_django_are_another_bell_for_the_same_ledger(press, tasks):
    tasks("immediate.ImmediateBackend")
    press.python(*RUN, ALL)
    assert press.states() == {"done"}
    assert press.results() == [n for n in range(1, 41) if n != 13]


@with_tasks
def test_a_task_of_django_says_no_more_than_which_chunk(press, tasks):
    tasks("dummy.DummyBackend")
    said = press.python(
        *RUN,
        ALL.replace("celery_chunksize=4", "celery_chunksize=20, queue='night'"),
        "from django.tasks import default_task_backend as there",
        "for one in there.results: print(one.task.queue_name, one.args, *one.kwargs)",
        "from penstock_celery.django.running import answer",
        "print(*[answer((), one.kwargs) for one in there.results for _ in 'ab'])",
        "print(answer((), {'batch': 'x', 'chunk': 1}))",
    )
    assert said.split("\n")[:4] == [
        "night [] batch chunk",
        "night [] batch chunk",
        "done idle done idle",
        "refused",
    ]
    assert press.results() == [n for n in range(1, 41) if n != 13]


@with_tasks
def test_a_queue_that_the_tasks_of_django_do_not_have_is_said_before_anything_is_added(
    press, tasks
):
    tasks("dummy.DummyBackend")
    lines = ["try:", "  " + ALL.replace("celery_chunksize=4", "queue='day'")]
    lines += ["except Exception as error: print(error)"]
    assert "Queue 'day' is not valid for backend" in press.python(*RUN, *lines)
    assert press.states() == set()


@with_tasks
def test_tasks_that_cannot_be_enqueued_do_not_keep_items_from_being_saved(press, tasks):
    tasks("dummy.DummyBackend")
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    lines += ["import penstock_celery.django.tasks as there"]
    lines += ["def ring(bells): raise OSError('nobody there')", "there.ring = ring"]
    said = press.python(*lines, *RUN, ALL)
    assert "no task can be enqueued, ring_again will find what waits: nobody there" in said
    assert press.states() == {"waiting"}


@pytest.mark.parametrize(
    ("bell", "message"),
    [
        ("gong", "PENSTOCK_BELL: the setting is 'celery' or 'tasks', not 'gong'"),
        pytest.param(
            "tasks",
            "has no tasks; use Django 6.0, or leave the setting out and serve the items by Celery",
            marks=pytest.mark.skipif(VERSION >= (6, 0), reason="this Django has tasks"),
        ),
    ],
)
def test_a_bell_that_is_not_there_is_said(press, bell, message):
    settings = press.folder / "press_settings.py"
    settings.write_text(settings.read_text() + f"PENSTOCK_BELL = {bell!r}\n")
    said = press.python(*RUN, "try:", f"  {ALL}", "except Exception as error: print(error)")
    assert message in said
    assert press.states() == set()


def test_a_chunk_has_an_item_at_least(press):
    none = ALL.replace("celery_chunksize=4", "celery_chunksize=0")
    said = press.python(*RUN, "try:", f"  {none}", "except Exception as error: print(error)")
    assert said == "celery_chunksize: must be at least 1, not 0\n"


def test_what_is_rolled_back_is_not_rung_for(press):
    lines = [
        "from django.db import transaction",
        "running = __import__('penstock_celery.django.running', fromlist=['_ring'])",
    ]
    lines += ["running._ring = print", "try:", "  with transaction.atomic():", f"    {ALL}"]
    lines += ["    raise OSError", "except OSError:", "  pass"]
    assert press.python(*RUN, *lines) == ""
    assert press.states() == set()


def test_a_chunk_that_a_pipe_stops_gives_nothing_and_says_why(press):
    lines = [
        "import penstock_celery.django.running as running",
        "running._ring = lambda bells: None",
        "three = list(Item.objects.order_by('number')[:3])",
        "batch = get_session(debug=False).run_in_celery(three, 'stops')",
        "print(running.do_items(batch, 1), running.do_items(batch, 1), running.do_items(batch, 9))",
    ]
    assert press.python(*RUN, *lines).split() == ["failed", "idle", "idle"]
    assert press.results() == []
    assert press.states() == {"failed"}


def test_who_was_overtaken_saves_nothing(press):
    lines = [
        "import penstock_celery.django.running as running",
        "from penstock_celery.django import table",
        "from django.db import connection",
        "running._ring = lambda bells: None",
        "batch = get_session(debug=False).run_in_celery(list(Item.objects.all()[:3]), 'double')",
        "take = table.take",
        "def overtaken(*arguments):",
        "    late = take(*arguments[:3], -1.0)",
        "    assert take(*arguments) is not None",
        "    return late",
        "table.take = overtaken",
        "print(running.do_items(batch, 1))",
    ]
    assert press.python(*RUN, *lines).split() == ["lost"]
    assert press.results() == []


def test_D09_every_chunk_is_a_session_of_its_own(press):
    lines = [
        "import penstock_celery.django.running as running",
        "bells = []",
        "running._ring = bells.extend",
        "items = list(Item.objects.order_by('number')[:7])",
        "get_session(debug=False, context={'not': 'sent'}).run_in_celery('counts', items, 3, 'q')",
        "print(*[queue for _, _, queue in bells])",
        "print(*[running.do_items(batch, chunk) for batch, chunk, _ in bells])",
    ]
    assert press.python(*RUN, *lines).split() == ["q", "q", "q", "done", "done", "done"]
    assert press.results() == [1, 1, 1, 2, 2, 3, 3]


def test_the_chunks_of_a_batch_are_one_run(press):
    lines = [
        "import penstock_celery.django.running as running",
        "from penstock_celery.django import states_of",
        "from penstock_django.live import under_way",
        "from penstock_django.models import RunReport",
        "running._ring = lambda bells: None",
        "batch = get_session(debug=False).run_in_celery(Item.objects.all()[:6], 'stops', 2)",
        "print(states_of(batch))",
        "for n in (1, 2, 3): print(running.do_items(batch, n), [r['done'] for r in under_way()])",
        "print(RunReport.objects.get().status, states_of(batch))",
        "print(__import__('json').loads(RunReport.objects.get().report)['error'])",
    ]
    assert press.python(*RUN, *lines).splitlines() == [
        "{'waiting': (3, None)}",
        "failed [0]",
        "done [2]",
        "done []",
        "failed {'done': (2, None), 'failed': (1, 'PipeError: all of it')}",
        "1 chunk of 3 failed: PipeError: all of it",
    ]


def test_a_chunk_whose_workers_always_die_is_given_up(press):
    lines = [
        "import penstock_celery.django.running as running",
        "from penstock_celery.django import table",
        "from django.db import connection",
        "running._ring = lambda bells: None",
        "batch = get_session(debug=False).run_in_celery(list(Item.objects.all()[:3]), 'double')",
        "for _ in range(table.STARTS): assert table.take(connection, batch, 1, -1.0) is not None",
        "print(running.do_items(batch, 1), running.ring_again(after=0))",
    ]
    assert press.python(*RUN, *lines).split() == ["idle", "0"]
    assert press.states() == {"failed"}
    (said,) = press._asked("SELECT error FROM penstock_celery_items")
    assert said == "it was begun 12 times and never came to an end"


def test_what_is_no_bell_is_refused_and_the_worker_lives(press, start, shop):
    one = start()
    name, queue = "penstock.items", press.environ["PRESS_QUEUE"]
    app = Celery("stranger", broker=press.environ["PRESS_BROKER"], set_as_current=False)
    body = json.dumps([[], {"batch": "a" * 32, "chunk": 1}, {}])
    with app.connection_for_write() as connection, connection.SimpleQueue(queue) as there:
        for text, kind, encoding in (
            (b"cos\nsystem\n(S'touch owned'\ntR.", "application/x-python-serialize", "binary"),
            ("!!python/object/apply:os.system ['touch owned']", "application/x-yaml", "utf-8"),
            (body + " " * 5000, "application/json", "utf-8"),
            ("{", "application/json", "utf-8"),
            ("[]", "application/json", "utf-8"),
            (body.replace("chunk", "file"), "application/json", "utf-8"),
        ):
            there.producer.publish(
                text,
                routing_key=queue,
                content_type=kind,
                content_encoding=encoding,
                headers={"task": name, "id": "1", "lang": "py", "argsrepr": "", "kwargsrepr": ""},
                correlation_id="1",
            )
    press.python(*RUN, ALL)
    shop.until(lambda: press.states() == {"done"})
    log = shop.until(lambda: one.log().count("is refused") >= 4 and one.log())
    assert "bytes of application/x-python-serialize is refused" in log
    assert "bytes of application/x-yaml is refused" in log
    assert "bytes of application/json is refused" in log
    assert "it must say batch and chunk, and says ['batch', 'file']" in log
    assert one.starts == 1
    assert not (press.folder / "owned").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("accept_content=['json', 'pickle']", "app: accepts 'pickle', not only JSON"),
        (
            "broker_url='redis://h/0', task_time_limit=7200",
            "time_limit: 7200 s is not below the broker's visibility_timeout of 3600 s",
        ),
    ],
)
def test_an_application_whose_settings_would_break_the_promise_is_refused(press, settings, message):
    lines = ["from celery import Celery", "from penstock_celery.django import serve_items"]
    lines += ["app = Celery('own', set_as_current=False)", f"app.conf.update({settings})"]
    lines += ["try: serve_items(app)", "except Exception as error: print(error)"]
    assert message in press.python(*lines)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("1, batch='x'", "it must say batch and chunk"),
        ("batch='x', chunk=1", "'x' is no batch"),
        ("batch='a' * 32, chunk='1'", "'1' is no chunk"),
    ],
)
def test_a_message_that_is_no_bell_is_refused(press, said, why):
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    lines += [f"print(bells.app.tasks['penstock.items']({said}))"]
    said = press.python(*lines)
    assert "a message for penstock.items is refused" in said
    assert why in said
    assert said.rstrip().endswith("refused")


def test_who_saves_does_not_wait_for_a_broker_that_is_blocked(
    press, rabbitmq_server, blocked, shop, start
):
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    with blocked(rabbitmq_server):
        press.environ["PRESS_BROKER"] = rabbitmq_server.url()
        said = press.python(*lines, *RUN, ALL)
        assert "ring_again will find what waits: it takes no messages, for want of memory" in said
        again = press.python(*lines, *RUN, RINGS)
        assert again.rstrip().endswith("\n0")
    assert press.states() == {"waiting"}
    start()
    assert press.python(*RUN, RINGS) == "10\n"
    shop.until(lambda: press.states() == {"done"}, 60)


def test_a_broker_that_is_away_does_not_keep_items_from_being_saved(press):
    press.environ["PRESS_BROKER"] = "redis://127.0.0.1:1/0"
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    said = press.python(*lines, *RUN, ALL)
    assert "the broker cannot be reached, ring_again will find what waits" in said
    assert press.states() == {"waiting"}
