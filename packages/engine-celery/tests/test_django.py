"""Items of a Django project in workers of Celery: each is there once, whatever is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.skipif(
        find_spec("penstock_django") is None, reason="needs penstock-django-adapter"
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="kills processes found in /proc"),
    pytest.mark.timeout(600),
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
from django.db import models

class Item(models.Model):
    number = models.IntegerField()

class Result(models.Model):
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
        time.sleep(0.01)
        if item.number == 13:
            raise LookupError("nobody likes thirteen")
        self.add_to_save(Result(number=item.number))
        return item

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
    def __init__(self, folder, broker: str, queue: str) -> None:
        self.folder = folder
        self.environ = {"PRESS_BROKER": broker, "PRESS_QUEUE": queue}
        self.environ["DJANGO_SETTINGS_MODULE"] = "press_settings"
        for name, text in FILES.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        self.python(
            "from django.core.management import call_command",
            "call_command('migrate', verbosity=0, run_syncdb=True)",
            "from press.models import Item",
            "Item.objects.bulk_create(Item(number=n) for n in range(1, 41))",
        )

    def python(self, *lines: str, expect: int = 0) -> str:
        """Run lines in the project; what they print."""
        program = "\n".join(["import bells", *lines])
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            cwd=self.folder,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout

    def results(self) -> list[int]:
        lines = ["from press.models import Result"]
        lines += ["print(*Result.objects.order_by('number').values_list('number', flat=True))"]
        return [int(word) for word in self.python(*lines).split()]

    def states(self) -> set[str]:
        lines = ["from django.db import connection; c = connection.cursor()"]
        lines += ["c.execute('SELECT DISTINCT state FROM penstock_celery_items')"]
        lines += ["print(*[state for (state,) in c.fetchall()])"]
        return set(self.python(*lines).split())


RUN = (
    "from penstock_django import get_session",
    "from press.models import Item",
)
ALL = "get_session(debug=False).run_in_celery(Item.objects.all(), 'double', celery_chunksize=4)"


@pytest.fixture
def press(tmp_path, rabbitmq_server, request):
    queue = f"press{abs(hash(request.node.name))}"
    return Press(tmp_path, rabbitmq_server.url(), queue)


@pytest.fixture
def start(press, worker, monkeypatch):
    for name, value in press.environ.items():
        monkeypatch.setenv(name, value)

    def start():
        return worker("-m", "celery", "-A", "bells", "worker", "-c", "2", "-l", "INFO")

    return start


def test_D09_items_are_done_once_though_workers_are_killed(press, start, shop):
    one = start()
    press.python(*RUN, ALL)
    chance = random.Random(9)
    for _ in range(3):
        time.sleep(chance.uniform(1.0, 3.0))
        one.kill() if chance.random() < 0.5 else one.kill_child(0)
        if not one.alive:
            one.start()
    again = ["from penstock_celery.django import ring_again", "ring_again(after=2)"]

    def done():
        press.python(*again)
        return press.states() == {"done"}

    shop.until(done, 120)
    assert press.results() == [n for n in range(1, 41) if n != 13]
    errors = ["from penstock_django.models import PipelineError"]
    errors += ["print(*PipelineError.objects.values_list('error_type', flat=True))"]
    assert press.python(*errors).split() == ["LookupError"]


def test_a_kill_between_commit_and_ring_loses_no_chunk(press, start, shop):
    start()
    dying = ["import os, penstock_celery.django.running as running"]
    dying += ["running._ring = lambda bells: os.kill(os.getpid(), 9)"]
    press.python(*RUN, *dying, ALL, expect=-signal.SIGKILL)
    assert press.states() == {"waiting"}
    assert press.results() == []
    rung = "from penstock_celery.django import ring_again; print(ring_again(after=0))"
    assert press.python(rung).strip() == "10"
    shop.until(lambda: press.states() == {"done"}, 120)
    assert press.results() == [n for n in range(1, 41) if n != 13]


def test_what_is_rolled_back_is_not_rung_for(press):
    lines = [
        "from django.db import transaction",
        "running = __import__('penstock_celery.django.running', fromlist=['_ring'])",
    ]
    lines += ["running._ring = print", "try:", "  with transaction.atomic():", f"    {ALL}"]
    lines += ["    raise OSError", "except OSError:", "  pass"]
    press.python("from penstock_celery.django import ring_again; ring_again()")  # makes the table
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


def test_a_broker_that_is_away_does_not_keep_items_from_being_saved(press):
    press.environ["PRESS_BROKER"] = "redis://127.0.0.1:1/0"
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    said = press.python(*lines, *RUN, ALL)
    assert "the broker cannot be reached, ring_again will find what waits" in said
    assert press.states() == {"waiting"}
