"""Items in chunks elsewhere are one run, with the progress of all of them."""

from __future__ import annotations

import json
import sys
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.test import Client
from newsroom.models import News, Raw, SourceItem
from newsroom.pipes import NewsImport

from penstock import UsageError
from penstock_django import Pipe, get_session, pipeline
from penstock_django.live import status_of
from penstock_django.models import PipelineError, RunReport

PAGE = "/admin/penstock_django/runreport/"


@pipeline("elsewhere.refuses")
class Refuses(Pipe):
    def process(self):
        item = super().process()
        if item.number == 2:
            raise self.Error("all of it")
        if item.number == 3:
            raise LookupError("not three")
        return item


class Ledger:
    """Holds what was asked for, and does a chunk when it is told to."""

    def __init__(self) -> None:
        self.todo = {}
        self.states = {}

    def run(self, options, items, pipeline, size, queue):
        self.queue, items = queue, list(items)
        parts = [items[first : first + size] for first in range(0, len(items), size)]
        self.todo = {number: (options, part, pipeline) for number, part in enumerate(parts, 1)}
        self.states = dict.fromkeys(self.todo, "waiting")
        return "the-batch"

    def do(self, number):
        options, items, pipeline = self.todo[number]
        try:
            with transaction.atomic():
                get_session(**json.loads(json.dumps(options))).run(items, pipeline)
        except Exception as error:
            self.states[number] = f"failed: {error}"
        else:
            self.states[number] = "done"

    def states_of(self, batch):
        assert batch == "the-batch"
        found = {}
        for one in self.states.values():
            state, _, error = one.partition(": ")
            found[state] = (found.get(state, (0, None))[0] + 1, error or None)
        return found


@pytest.fixture
def ledger(monkeypatch, settings):
    made, module = Ledger(), type(sys)("far_away")
    module.run, module.states_of = made.run, made.states_of
    monkeypatch.setitem(sys.modules, "far_away", module)
    with settings(PENSTOCK_RUN_IN_CELERY="far_away.run", ALLOWED_HOSTS=["testserver"]):
        yield made


def viewer():
    client = Client()
    client.force_login(User.objects.create_superuser("viewer"))
    return client


def shown(client):
    return json.loads(client.get(f"{PAGE}live/").content)["runs"]


def sources(*numbers):
    for number in numbers:
        SourceItem.objects.create(number=number)
    return SourceItem.objects.order_by("pk")


def test_chunks_are_one_run_that_grows(place, ledger):
    client = viewer()
    for text in ("a b", "c", "d", "e", "f"):
        Raw.objects.create(text=text)
    get_session(debug=False).run_in_celery(
        Raw.objects.order_by("pk"), "news.import", celery_chunksize=2
    )
    seen = []
    for number in (1, 2, 3):
        (run,) = shown(client)
        seen.append((run["done"], run["total"], run["chunks"]))
        ledger.do(number)
    assert seen == [(0, 5, "0 of 3 chunks"), (2, 5, "1 of 3 chunks"), (4, 5, "2 of 3 chunks")]
    assert shown(client) == []
    rows = {row.pipeline: json.loads(row.report) for row in RunReport.objects.all()}
    assert set(rows) == {"news.import", "news.link.tags"}, "the run, and that of what it triggers"
    assert rows["news.import"]["status"] == "ok"
    for report in rows.values():
        assert {node["name"]: node["sent"] for node in report["nodes"]} == {
            "items": 5,
            "process": 5,
            "results": 5,
        }
        assert (report["balance"]["read"], report["balance"]["written"]) == (5, 5)
        assert report["balance"]["holds"]
    page = client.get(f"{PAGE}{rows['news.import']['run_id']}/change/").content.decode()
    assert "3 of 3 chunks" in page
    assert News.objects.count() == 5


def test_failed_items_of_chunks_are_counted_and_grouped(db, ledger):
    items = sources(1, 3, 3, 4)
    get_session(debug=False).run_in_celery(items, "elsewhere.refuses", celery_chunksize=2)
    for number in (1, 2):
        ledger.do(number)
    report = json.loads(RunReport.objects.get().report)
    assert [(node["name"], node["failed"]) for node in report["nodes"]] == [
        ("items", 0),
        ("process", 2),
        ("results", 0),
    ]
    (group,) = report["failures"]
    assert (group["count"], group["node"]) == (2, "process")


def test_a_chunk_that_was_rolled_back_adds_nothing_and_the_run_says_that_it_failed(place, ledger):
    client = viewer()
    items = sources(1, 2, 4)
    get_session(debug=False).run_in_celery(items, "elsewhere.refuses", celery_chunksize=1)
    for number in (1, 2):
        ledger.do(number)
    (run,) = shown(client)
    assert (run["done"], run["chunks"]) == (1, "1 of 3 chunks"), "one is still waiting"
    ledger.do(3)
    assert shown(client) == []
    row = RunReport.objects.get()
    report = json.loads(row.report)
    assert (status_of(row), report["balance"]["read"]) == ("failed", 2)
    assert report["error"] == "1 chunk of 3 failed: all of it"


def test_a_run_ends_when_the_items_of_a_chunk_are_gone(db, ledger):
    get_session(debug=False).run_in_celery(sources(1, 4), "elsewhere.refuses", celery_chunksize=1)
    ledger.do(1)
    ledger.states[2] = "done"  # nothing was left to run
    assert shown(viewer()) == []
    assert RunReport.objects.get().status == "ok"


def test_a_ledger_that_tells_nothing_leaves_the_run_open(db, ledger, monkeypatch):
    monkeypatch.delattr(sys.modules["far_away"], "states_of")
    get_session(debug=False).run_in_celery(sources(2, 4), "elsewhere.refuses", celery_chunksize=1)
    ledger.do(1)
    ledger.do(2)
    (run,) = shown(viewer())
    assert run["chunks"] == "1 of 2 chunks"


def test_what_is_rolled_back_with_its_caller_is_no_run(place, ledger):
    with transaction.atomic():
        get_session().run_in_celery(sources(1), "elsewhere.refuses")
        assert RunReport.objects.exists()
        transaction.set_rollback(True)
    assert not RunReport.objects.exists()


def test_chunks_that_end_at_the_same_time_are_all_counted(postgresql, ledger):
    postgresql.empty()
    items = sources(*range(10, 18))
    get_session(debug=False).run_in_celery(items, "elsewhere.refuses", celery_chunksize=1)
    begin = Barrier(8)

    def work(number):
        begin.wait()
        ledger.do(number)
        connections["default"].close()

    threads = [Thread(target=work, args=(number,)) for number in range(1, 9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    report = json.loads(RunReport.objects.get().report)
    assert (report["done"], report["chunks_done"], report["status"]) == (8, 8, "ok")
    connections["default"].close()


def test_a_chunk_has_an_item_at_least(db, ledger):
    with pytest.raises(UsageError) as caught:
        get_session().run_in_celery(sources(1), "elsewhere.refuses", celery_chunksize=0)
    assert str(caught.value) == "run_in_celery: celery_chunksize must be at least 1, got 0"


def test_D19_errors_are_redone_elsewhere(place, ledger):
    for text in ("bad", "good"):
        Raw.objects.create(text=text)
    NewsImport.broken = ("bad",)
    get_session(debug=False).run(Raw.objects.order_by("pk"), "news.import")
    error = PipelineError.objects.get()
    NewsImport.broken = ()
    try:
        assert error.do_fix_it(in_celery=True, queue="night") == "the-batch"
        assert (ledger.queue, [item.text for item in ledger.todo[1][1]]) == ("night", ["bad"])
        assert PipelineError.objects.get().fixed is None, "it is only asked for"
        ledger.do(1)
    finally:
        NewsImport.broken = ("bad",)
    assert PipelineError.objects.get().fixed is not None
    assert sorted(News.objects.values_list("title", flat=True)) == ["bad", "good"]
