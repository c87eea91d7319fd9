"""How items of a Django project are rung for, and what is no bell for them."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import pytest
from celery import Celery

VERSION = getattr(find_spec("django") and __import__("django"), "VERSION", (0, 0))

pytestmark = [
    pytest.mark.skipif(
        find_spec("penstock_django") is None, reason="needs penstock-django-adapter"
    ),
    pytest.mark.skipif(sys.platform != "linux", reason="workers are as on Linux"),
    pytest.mark.timeout(150),
    pytest.mark.xdist_group("celery"),  # one process has the brokers
]

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
    press.python(*press.RUN, press.ALL)
    assert press.states() == {"done"}
    assert press.results() == [n for n in range(1, 41) if n != 13]


@with_tasks
def test_a_task_of_django_says_no_more_than_which_chunk(press, tasks):
    tasks("dummy.DummyBackend")
    said = press.python(
        *press.RUN,
        press.ALL.replace("celery_chunksize=4", "celery_chunksize=20, queue='night'"),
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
    lines = ["try:", "  " + press.ALL.replace("celery_chunksize=4", "queue='day'")]
    lines += ["except Exception as error: print(error)"]
    assert "Queue 'day' is not valid for backend" in press.python(*press.RUN, *lines)
    assert press.states() == set()


@with_tasks
def test_tasks_that_cannot_be_enqueued_do_not_keep_items_from_being_saved(press, tasks):
    tasks("dummy.DummyBackend")
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    lines += ["import penstock_celery.django.tasks as there"]
    lines += ["def ring(bells): raise OSError('nobody there')", "there.ring = ring"]
    said = press.python(*lines, *press.RUN, press.ALL)
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
    said = press.python(
        *press.RUN, "try:", f"  {press.ALL}", "except Exception as error: print(error)"
    )
    assert message in said
    assert press.states() == set()


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
    press.python(*press.RUN, press.ALL)
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
        said = press.python(*lines, *press.RUN, press.ALL)
        assert "ring_again will find what waits: it takes no messages, for want of memory" in said
        again = press.python(*lines, *press.RUN, press.RINGS)
        assert again.rstrip().endswith("\n0")
    assert press.states() == {"waiting"}
    start()
    assert press.python(*press.RUN, press.RINGS) == "10\n"
    shop.until(lambda: press.states() == {"done"}, 60)


def test_a_broker_that_is_away_does_not_keep_items_from_being_saved(press):
    press.environ["PRESS_BROKER"] = "redis://127.0.0.1:1/0"
    lines = ["import logging, sys; logging.basicConfig(stream=sys.stdout)"]
    said = press.python(*lines, *press.RUN, press.ALL)
    assert "the broker cannot be reached, ring_again will find what waits" in said
    assert press.states() == {"waiting"}
