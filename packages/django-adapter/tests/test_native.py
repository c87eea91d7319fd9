"""The input and the output `django`: the rules of the kit, resuming, and being killed."""

from __future__ import annotations

import gc
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from django.db import OperationalError, connections
from newsroom.models import City, News, Order, Raw, SourceItem, Tag
from newsroom_settings import database

import penstock
from penstock import Batch, Checkpoint, Context, FencedError, RunError
from penstock.build import pipeline_of
from penstock.testing import ListInput, ListOutput, Raise
from penstock_django import DjangoStore
from penstock_django.connection import Line
from penstock_django.input import DjangoInput
from penstock_django.models import OutputCheckpoint
from penstock_django.output import DjangoOutput
from penstock_testkit import InputSuite, OutputSuite

HERE = Path(__file__).parent


def orders(*codes):
    Order.objects.bulk_create(Order(code=code) for code in codes)


@pytest.fixture
def store(tmp_path):
    store = DjangoStore(tmp_path)
    yield store
    store.close()


def codes():
    return list(Order.objects.order_by("pk").values_list("code", flat=True))


class TestDjangoInput(InputSuite):
    @pytest.fixture
    def source(self, place):
        def source(count):
            SourceItem.objects.all().delete()
            SourceItem.objects.bulk_create(SourceItem(number=n) for n in range(count))
            return DjangoInput(model="newsroom.SourceItem", fields=["number"], batch_size=3), [
                {"number": n} for n in range(count)
            ]

        return source


class Elsewhere:
    """Outputs to databases of their own, copies of an empty one, that a name in the settings means."""

    def __init__(self, place, prefix):
        place.empty()
        connections["default"].close()
        self.place = place
        self.aliases = (f"{prefix}{number}" for number in itertools.count())
        self.made = []

    def __call__(self):
        alias = next(self.aliases)
        url = self.copied(alias)
        (Path(os.environ["NEWSROOM_MORE"]) / f"{alias}.url").write_text(url)
        known = {"default": {}, alias: database(url)}
        connections.settings[alias] = connections.configure_settings(known)[alias]
        self.made.append((alias, url))
        found = Raw.objects.using(alias).order_by("pk").values("text")
        return DjangoOutput(model="newsroom.Raw", using=alias), lambda: list(found.all())

    def copied(self, alias):
        file = Path(os.environ["NEWSROOM_MORE"]) / f"{alias}.db"
        shutil.copy(self.place.url.removeprefix("sqlite:///"), file)
        return f"sqlite:///{file}"

    def remove(self):
        connections.close_all()
        for alias, _ in self.made:
            (Path(os.environ["NEWSROOM_MORE"]) / f"{alias}.url").unlink()
            connections.settings.pop(alias)


class OnServer(Elsewhere):
    def __init__(self, place, prefix, server):
        super().__init__(place, prefix)
        self.server = server
        self.there = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres"]

    def copied(self, alias):
        template = self.place.url.rpartition("/")[2]
        self.server.call(self.server.bin / "createdb", *self.there, "-T", template, alias)
        return self.server.url(alias)

    def remove(self):
        super().remove()
        for alias, _ in self.made:
            self.server.call(self.server.bin / "dropdb", *self.there, "--force", alias)


class TestDjangoOutput(OutputSuite):
    """On SQLite."""

    @pytest.fixture
    def destination(self, sqlite, tmp_path):
        made = Elsewhere(sqlite, tmp_path.name)
        yield made
        made.remove()

    @pytest.fixture
    def records(self):
        """Without their keys: some rules write the same ones again."""
        return lambda count: [{"text": f"text {n}"} for n in range(1, count + 1)]


class TestDjangoOutputOnPostgreSQL(TestDjangoOutput):
    @pytest.fixture
    def destination(self, postgresql, postgresql_server, tmp_path):
        made = OnServer(postgresql, tmp_path.name[-40:], postgresql_server)
        yield made
        made.remove()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_and_checkpoint_are_in_the_database_that_using_names(request, kind, tmp_path):
    """And nothing is in the other one; an input reads from there too."""
    place = request.getfixturevalue(kind)
    if kind == "sqlite":
        made = Elsewhere(place, tmp_path.name)
    else:
        made = OnServer(place, tmp_path.name[-40:], request.getfixturevalue("postgresql_server"))
    output, rows = made()
    penstock.run(ListInput(values=[{"text": "a"}]), output, name="copy")
    kept = OutputCheckpoint.objects
    assert rows() == [{"text": "a"}]
    assert kept.using(output.using).get().pipeline == "copy"
    assert (Raw.objects.count(), kept.count()) == (0, 0)
    found = read(model="newsroom.Raw", fields=["text"], using=output.using)
    assert found == [{"text": "a"}]
    made.remove()


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_database_that_the_settings_do_not_name_is_said(db, kind):
    run = read if kind == "input" else partial(write, [{"text": "a"}])
    with pytest.raises(RunError) as caught:
        run(model="newsroom.Raw", using="nowhere")
    assert "using: there is no database 'nowhere'" in str(caught.value)


# ---- what is read -------------------------------------------------------------------------------


def read(**options):
    out = ListOutput()
    penstock.run(DjangoInput(**options), out)
    return out.values


def test_objects_are_read_as_dicts_in_the_order_of_a_field(db):
    orders("c", "a", "b")
    found = read(model="newsroom.Order", fields=["code"], order_by=["code"], batch_size=2)
    assert found == [{"code": "a"}, {"code": "b"}, {"code": "c"}]
    assert set(read(model="newsroom.Order")[0]) == {"id", "code", "price", "changed"}
    assert read(model="newsroom.Order", filter={"code__gt": "b"}, fields=["code"]) == [
        {"code": "c"}
    ]
    assert read(model="newsroom.Order", filter={"code__in": []}) == []


def test_objects_of_the_same_place_are_not_cut_by_a_page(place):
    for number in (1, 2, 2, 2, 2, 3):
        SourceItem.objects.create(number=number)
    found = read(model="newsroom.SourceItem", fields=["number"], order_by=["number"], batch_size=2)
    assert [one["number"] for one in found] == [1, 2, 2, 2, 2, 3]


def test_with_a_cursor_each_run_goes_on(place, store):
    for codes_ in (("a", "b"), (), ("c",)):
        orders(*codes_)
        out = ListOutput()
        source = DjangoInput(model="newsroom.Order", fields=["code"], cursor="id")
        penstock.run(source, out, store=store)
        assert [one["code"] for one in out.values] == list(codes_)


def test_parts_together_read_the_same(place):
    orders(*map(str, range(10)))
    source = DjangoInput(model="newsroom.Order", fields=["code"])
    parts = source.split(3)
    found = []
    for part in parts:
        out = ListOutput()
        penstock.run(part, out)
        found.extend(one["code"] for one in out.values)
    assert len(parts) == 3
    assert found == list(map(str, range(10)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "newsroom.Ordre"}, "no model 'newsroom.Ordre'; did you mean 'newsroom.Order'?"),
        ({"model": "newsroom.Order", "order_by": ["price"]}, "'price' may be empty"),
        (
            {"model": "newsroom.Order", "filter": {"id": "x"}},
            "newsroom.Order: cannot be asked for: Field 'id' expected a number but got 'x'",
        ),
        ({"model": "newsroom.Order", "fields": ["colour"]}, "Cannot resolve keyword 'colour'"),
    ],
)
def test_what_cannot_be_read_is_said(db, options, message):
    with pytest.raises(RunError) as caught:
        read(**options)
    assert message in str(caught.value)


# ---- what is written ----------------------------------------------------------------------------


def write(records, **options):
    given = {"model": "newsroom.Order", **options}
    return penstock.run(ListInput(values=records), DjangoOutput(**given))


def test_an_upsert_changes_what_is_there(place):
    write(
        [{"code": "a", "price": "1.50"}, {"code": "b", "price": None}], mode="upsert", key=["code"]
    )
    again = [{"code": "a", "price": 2}, {"code": "a", "price": 3}, {"code": "c", "price": 4}]
    write(again, mode="upsert", key=["code"])
    found = Order.objects.order_by("code").values_list("code", "price")
    assert [(code, price and float(price)) for code, price in found] == [
        ("a", 3.0),
        ("b", None),
        ("c", 4.0),
    ]


def test_records_that_the_database_refuses_are_set_aside_alone(place):
    orders("taken")
    records = [{"code": f"c{n}"} for n in range(40)]
    records[7], records[30] = {"code": "taken"}, {"code": "x", "price": "many"}
    records += [{"colour": 1}, "text"]
    report = write(records)
    assert report.letters == 4
    assert len(codes()) == 39
    messages = " ".join(group.message for group in report.failures)
    assert "newsroom.Order has no field 'colour'" in messages
    assert "must be a mapping, got str" in messages


def test_what_is_refused_leaves_nothing_for_the_garbage_collector(db):
    """What waits for it would look as if memory grew with the rows that are refused."""
    records = [{"id": 1, "text": "one"}] * 100
    penstock.run(ListInput(values=records), DjangoOutput(model="newsroom.Raw"))
    output = DjangoOutput(model="newsroom.Raw")
    output.open(Context("out", pipeline="p", run_id="r"))
    batch = Batch(records, "", range(1, 101))
    output.write(batch)  # what is made once
    gc.collect()
    gc.disable()
    try:
        assert len(output.write(batch)) == 100
        assert gc.collect() < 100
    finally:
        gc.enable()
        output.close()


def test_a_record_that_refers_to_nothing_is_set_aside_alone(place):
    News.objects.create(pk=1, title="a")
    records = [
        {"news_id": 1, "word": "x"},
        {"news_id": 99, "word": "y"},
        {"news_id": 1, "word": "z"},
    ]
    report = write(records, model="newsroom.Tag")
    assert report.failures[0].message == "news 99 is not in newsroom.News"
    assert list(Tag.objects.order_by("pk").values_list("word", flat=True)) == ["x", "z"]


def test_an_epoch_that_cannot_be_committed_leaves_nothing(place, monkeypatch):
    def commit(line):
        raise OperationalError("the disk is full")

    monkeypatch.setattr(Line, "commit", commit)
    with pytest.raises(RunError, match="epoch 1 could not be committed: the disk is full"):
        write([{"code": "a"}])
    assert codes() == []


def test_an_epoch_whose_answer_was_lost_is_looked_up(place, monkeypatch):
    real, lost = Line.commit, []

    def commit(line):
        real(line)
        if not lost:
            lost.append(1)
            raise OperationalError("server closed the connection")

    monkeypatch.setattr(Line, "commit", commit)
    write([{"code": "a"}])
    assert (codes(), lost) == (["a"], [1])


def test_another_order_than_before_is_refused(place, store):
    orders("a")
    penstock.run(DjangoInput(model="newsroom.Order", cursor="code"), ListOutput(), store=store)
    orders("b")
    with pytest.raises(RunError) as caught:
        penstock.run(DjangoInput(model="newsroom.Order", cursor="id"), ListOutput(), store=store)
    assert (
        "the kept position is in the order of code, pk, objects are read by id, pk; "
        "put the order back, or start over with --fresh" in str(caught.value)
    )


def test_without_settings_it_is_said_what_is_missing():
    program = (
        "import penstock; from penstock.testing import *; "
        "from penstock_django.input import DjangoInput; "
        "penstock.run(DjangoInput(model='a.B'), ListOutput())"
    )
    settings = {name: text for name, text in os.environ.items() if "DJANGO" not in name}
    done = subprocess.run([sys.executable, "-c", program], env=settings, capture_output=True)
    assert b"Django cannot be set up: Requested setting" in done.stderr
    assert b"set DJANGO_SETTINGS_MODULE, or run `manage.py penstock`" in done.stderr


def test_what_clean_fields_refuses_is_set_aside(db):
    report = write([{"code": "x" * 21, "price": None}, {"code": "y"}], validate=True)
    assert (report.letters, codes()) == (1, ["y"])


def test_a_record_without_its_key_is_set_aside(db):
    report = write([{"price": 1}], mode="upsert", key=["code"])
    assert report.failures[0].message == "'code', which is of the key, is empty"


def test_children_of_other_models_are_written(place):
    write([{"name": "Rome", "people": 3}], model="newsroom.City")
    assert City.objects.get().name == "Rome"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "upsert"}, "mode 'upsert' needs the key"),
        ({"model": "order"}, "must name an app and a model, as in 'shop.Order'"),
        ({"key": ["colour"]}, "there is no field 'colour'"),
        (
            {"model": "newsroom.City", "mode": "upsert", "key": ["name"]},
            "a model that inherits another one's table cannot be upserted",
        ),
    ],
)
def test_what_cannot_be_written_is_said(db, options, message):
    with pytest.raises((penstock.PenstockError, ValueError)) as caught:
        write([{"code": "a"}], **options)
    assert message in str(caught.value)


# ---- rows and checkpoint ------------------------------------------------------------------------


def opened(name="out"):
    output = DjangoOutput(model="newsroom.Order")
    output.open(Context(name, pipeline="p", run_id="r"))
    output.resume(None, 0)
    return output


def test_rows_and_checkpoint_become_visible_together(place):
    output = opened()
    output.write(Batch([{"code": "a"}]))
    if place.dialect == "postgresql":
        assert codes() == []
    output.commit(Checkpoint("p", "r", 1, 1))
    assert (codes(), output.checkpoint("p").epoch) == (["a"], 1)
    output.write(Batch([{"code": "b"}]))
    output.close()
    assert codes() == ["a"]


@pytest.mark.parametrize(("epoch", "generation"), [(1, 1), (3, 1), (2, 0)])
def test_a_commit_that_does_not_follow_is_refused_and_leaves_nothing(place, epoch, generation):
    output = opened()
    output.commit(Checkpoint("p", "r", 1, 1))
    output.write(Batch([{"code": "a"}]))
    with pytest.raises(FencedError):
        output.commit(Checkpoint("p", "other", epoch, generation))
    output.close()
    assert codes() == []


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_run_that_failed_goes_on_and_its_store_is_in_the_same_database(place, engine, store):
    output = DjangoOutput(model="newsroom.Order")

    def run(*values):
        records = [one if isinstance(one, Raise) else {"code": str(one)} for one in values]
        source = ListInput(values=records, batch_size=1)
        plan = pipeline_of([[source, output]], penstock.Plugins(discover=False), engine=engine)
        plan.spec.epoch = {"records": 2}
        one = plan.start(store=store)
        one.execute()
        return one

    cut_off = run(1, "x" * 5, 3, Raise(OSError("gone")), 4)
    assert "gone" in str(cut_off.error)
    if engine == "inline":  # the other one may have read the error before the first two are written
        assert codes() == ["1", "xxxxx"]
    resumed = run(1, "x" * 5, 3, 3, 4)
    assert resumed.error is None
    assert codes() == ["1", "xxxxx", "3", "4"]
    assert [letter.ordinal for letter in store.letters()] == [4]


def test_two_outputs_of_a_run_commit_together(place, store):
    penstock.run(
        [ListInput(values=[{"text": "a"}]), DjangoOutput(model="newsroom.Raw")],
        [ListInput(values=[{"code": "z"}]), DjangoOutput(model="newsroom.Order")],
        store=store,
    )
    assert (codes(), Raw.objects.count()) == (["z"], 1)


# ---- killed -------------------------------------------------------------------------------------

COPY = """
import sys
sys.path.insert(0, sys.argv[1])
import django
django.setup()
import time
from penstock import Plugins
from penstock.build import pipeline_of
from penstock_django import DjangoStore
from penstock_django.input import DjangoInput
from penstock_django.output import DjangoOutput

class Naive(DjangoOutput):
    delivery = "append"  # the rows, and their checkpoint some time later

    def prepare(self, epoch):
        with self._line.bound():
            if self._line.begun:
                self._line.commit()
        time.sleep(0.002)

class Slow(DjangoOutput):
    def write(self, batch):
        time.sleep(0.001)
        return super().write(batch)

def names(record):
    return {"text": str(record["number"])}

source = DjangoInput(model="newsroom.SourceItem", fields=["number"], batch_size=10)
from penstock import Transformer
class Names(Transformer):
    def transform(self, record):
        return names(record)
output = (Naive if sys.argv[2] == "naive" else Slow)(model="newsroom.Raw")
plan = pipeline_of([[source, Names(), output]], Plugins(discover=False), name="copy")
plan.spec.epoch = {"records": 10}
run = plan.start(store=DjangoStore())
run.execute()
if run.error is not None:
    raise run.error
"""


def copied(kind, kills, count=200):
    """Copy objects while the process is killed again and again; what is there in the end."""
    SourceItem.objects.bulk_create(SourceItem(number=n) for n in range(count))
    chance = random.Random(kind)
    killed = 0
    command = [sys.executable, "-c", COPY, str(HERE), kind]
    while True:
        before = Raw.objects.count()
        child = subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE)
        if killed == kills:
            _, told = child.communicate()
            assert child.returncode == 0, told.decode()
            break
        deadline = time.monotonic() + 30
        while Raw.objects.count() == before and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.003)
        time.sleep(chance.random() * 0.01)
        child.kill()
        child.communicate()
        killed += 1
    return sorted(int(text) for text in Raw.objects.values_list("text", flat=True))


@pytest.mark.timeout(300)
def test_killed_at_any_time_every_object_is_copied_once(place):
    assert copied("slow", kills=3) == list(range(200))


@pytest.mark.timeout(300)
def test_with_the_checkpoint_behind_the_rows_the_same_kills_repeat_some(db):
    assert len(copied("naive", kills=3)) > 200
