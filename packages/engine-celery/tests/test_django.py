"""Items of a Django project in workers of Celery: each is there once, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from importlib.util import find_spec

import pytest

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
    press.python(*press.RUN, DYING, *last, expect=-signal.SIGKILL)
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
        *press.RUN,
        f"Item.objects.bulk_create(Item(number=n) for n in range(41, {count + 1}))",
        press.ALL,
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
            *press.RUN,
            f"new = [Item.objects.get_or_create(number=n)[0] for n in range({new.start}, {new.stop})]",
            *dying,
            "get_session(debug=False).run_in_celery(new, 'double', celery_chunksize=4)",
            expect=-signal.SIGKILL,
        )
        assert "waiting" in press.states()
        lost = len(new) - (13 in new) - (len(press.results()) - len(there))
        assert lost == len(new) - (13 in new), "nobody was rung"
        assert press.python(press.RINGS).strip() == "10"
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


def test_what_is_rolled_back_is_not_rung_for(press):
    lines = [
        "from django.db import transaction",
        "running = __import__('penstock_celery.django.running', fromlist=['_ring'])",
    ]
    lines += ["running._ring = print", "try:", "  with transaction.atomic():", f"    {press.ALL}"]
    lines += ["    raise OSError", "except OSError:", "  pass"]
    assert press.python(*press.RUN, *lines) == ""
    assert press.states() == set()


def test_a_chunk_that_a_pipe_stops_gives_nothing_and_says_why(press):
    lines = [
        "import penstock_celery.django.running as running",
        "running._ring = lambda bells: None",
        "three = list(Item.objects.order_by('number')[:3])",
        "batch = get_session(debug=False).run_in_celery(three, 'stops')",
        "print(running.do_items(batch, 1), running.do_items(batch, 1), running.do_items(batch, 9))",
    ]
    assert press.python(*press.RUN, *lines).split() == ["failed", "idle", "idle"]
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
    assert press.python(*press.RUN, *lines).split() == ["lost"]
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
    assert press.python(*press.RUN, *lines).split() == ["q", "q", "q", "done", "done", "done"]
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
    assert press.python(*press.RUN, *lines).splitlines() == [
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
    assert press.python(*press.RUN, *lines).split() == ["idle", "0"]
    assert press.states() == {"failed"}
    (said,) = press._asked("SELECT error FROM penstock_celery_items")
    assert said == "it was begun 12 times and never came to an end"
