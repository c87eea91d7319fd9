"""Runs that are under way say how far they are, and are known to be dead when they are."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from newsroom.models import Raw, SourceItem

import penstock
from penstock import Transformer
from penstock.build import pipeline_of
from penstock.testing import ListInput
from penstock_django import DjangoStore, Pipe, PipeError, get_session, live
from penstock_django.management.commands.penstock import Command
from penstock_django.models import RunReport
from penstock_django.output import DjangoOutput

LIVE = "/admin/penstock_django/runreport/live/"


@pytest.fixture
def quick(monkeypatch, settings, tmp_path):
    """Runs say so every moment."""
    monkeypatch.setattr(live, "EVERY", 0.01)
    with settings(PENSTOCK_STATE=tmp_path / ".penstock"):
        yield tmp_path / ".penstock" / "live"


def viewer():
    user, _ = User.objects.get_or_create(username="ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_runreport"))
    made = Client()
    made.force_login(user)
    return made


def shown(client):
    return json.loads(client.get(LIVE).content)["runs"]


def until(client, fits, seconds=20):
    """What is shown, as soon as it fits."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for run in shown(client):
            if fits(run):
                return run
        time.sleep(0.01)
    raise AssertionError(f"not shown in {seconds} s: {shown(client)}")


def counts(run):
    return {node["node"]: (node["in"], node["out"], node["failed"]) for node in run["nodes"]}


@pytest.mark.parametrize("output", ["elsewhere", "in the database"])
def test_a_run_of_a_pipeline_is_shown_while_it_goes_on(place, quick, output):
    client, seen = viewer(), []

    class Watches(Transformer):
        def transform(self, record):
            if record["text"] == "bad":
                raise ValueError("no")
            if record["text"] == "look":
                seen.append(until(client, lambda run: run["done"] == 4))
            return record

    texts = ["a", "bad", "b", "look", "c"]
    source = ListInput(values=[{"text": text} for text in texts], batch_size=1)
    out = (
        penstock.testing.ListOutput()
        if output == "elsewhere"
        else DjangoOutput(model="newsroom.Raw")
    )
    plan = pipeline_of([[source, Watches(), out]], penstock.Plugins(discover=False), name="copy")
    store = DjangoStore(quick)
    run = plan.start(store=store)
    with live.shown_live(run):
        report = run.execute()
    store.close()
    assert (report.status, seen[0]["pipeline"]) == ("letters", "copy")
    assert counts(seen[0])["watches"] == (4, 2, 1), "in, out, failed: it is at the fourth"
    assert seen[0]["url"] == f"/admin/penstock_django/runreport/{run.run_id}/change/"
    assert shown(client) == []
    assert RunReport.objects.get().status == "letters", "what it said last is not its report"
    assert list(quick.glob("*")) == []


def test_a_run_of_pipes_is_shown_while_its_transaction_lasts(place, quick):
    """Also in the middle of a chunk."""
    client, seen = viewer(), []

    class Watches(Pipe):
        def process(self):
            if self.item.number in (1, 7):
                seen.append(until(client, lambda run: run["done"] == self.item.number + 1))
            return super().process()

    SourceItem.objects.bulk_create(SourceItem(number=n) for n in range(9))
    get_session(debug=False, chunksize=6).run(SourceItem.objects.order_by("pk"), pipe=Watches)
    assert [(one["done"], one["total"]) for one in seen] == [(2, 9), (8, 9)]
    assert [counts(one)["process"][1] for one in seen] == [0, 6], "those of a whole chunk"
    assert shown(client) == []
    assert RunReport.objects.get().status == "ok"


def test_a_run_that_was_rolled_back_is_not_shown_for_ever(place, quick):
    client = viewer()

    class Stops(Pipe):
        def process(self):
            until(client, lambda run: True)
            raise PipeError("stop")

    with pytest.raises(PipeError):
        get_session(debug=False).run([1], pipe=Stops)
    assert shown(client) == []
    assert RunReport.objects.get().status == "failed"


def test_a_short_run_writes_nothing_on_the_way(db, settings, tmp_path):
    with settings(PENSTOCK_STATE=tmp_path / ".penstock"):
        get_session(debug=False).run([1, 2, 3], pipe=Pipe)
    assert not (tmp_path / ".penstock").exists()


def gone():
    """The name of a process that has ended."""
    program = "from penstock.holder import this_process; print(this_process())"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("holder", "ago", "lives"),
    [
        (lambda: gone().strip(), 0, False),
        (penstock.holder.this_process, 1000, True),
        (lambda: "elsewhere, process 1, started 1", 5, True),
        (lambda: "elsewhere, process 1, started 1", live.LIVES + 5, False),
    ],
    ids=["dead", "alive", "elsewhere", "elsewhere and silent"],
)
def test_a_run_that_died_is_cut_off(db, quick, holder, ago, lives, capsys):
    report = {"run_id": "r", "pipeline": "p", "started": 1.0, "seconds": 2.0, "nodes": []}
    whole = json.dumps({**report, "balance": {"read": 3}})
    RunReport.objects.create(
        run_id="r",
        pipeline="p",
        status="running",
        started=1,
        report=whole,
        holder=holder(),
        told=time.time() - ago,
    )
    client = viewer()
    assert [run["run_id"] for run in shown(client)] == (["r"] if lives else [])
    page = client.get("/admin/penstock_django/runreport/").content.decode()
    assert ("cut off" in page) is not lives
    Command().run(["runs"])
    assert capsys.readouterr().out == f"r  p  {'running' if lives else 'cut off'}  0.00 s\n"
    assert (
        'id="penstock-live"'
        in client.get("/admin/penstock_django/runreport/r/change/").content.decode()
    ) is lives


def test_only_the_run_that_is_asked_for_is_told(db, quick):
    for name in ("r", "s"):
        report = {"run_id": name, "pipeline": "p", "started": 1.0, "seconds": 2.0, "nodes": []}
        RunReport.objects.create(
            run_id=name,
            pipeline="p",
            status="running",
            started=1,
            told=time.time(),
            report=json.dumps({**report, "balance": {"read": 3}}),
            holder="elsewhere",
        )
    found = json.loads(viewer().get(LIVE, {"run": "s"}).content)
    assert [run["run_id"] for run in found["runs"]] == ["s"]


def test_a_run_goes_on_where_it_cannot_say_how_far_it_is(db, quick):
    quick.parent.mkdir(parents=True)
    quick.write_text("a file stands where the folder should")
    said = []

    class Slow(Pipe):
        def process(self):
            time.sleep(0.05)
            said.append(self.item)
            return super().process()

    get_session(debug=False).run([1, 2], pipe=Slow)
    assert said == [1, 2]
    assert Raw.objects.count() == 0
