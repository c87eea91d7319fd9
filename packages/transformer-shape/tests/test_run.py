"""The transformers inside a run, on both engines: the sums meet and the records are right."""

import pickle

import pytest

import penstock
from penstock import RecordInput, component, option
from penstock.testing import ListInput, ListOutput
from penstock_shape import Dedupe, Filter, Group, Limit, Pack, Sample, Sort, Unpack

SALES = [{"id": n, "country": ("de", "fr", "it")[n % 3], "amount": n * 7 % 50} for n in range(1000)]


@pytest.fixture(params=["inline", "threads"])
def ran(request):
    """Runs components as one pipe and gives what was written, and the report."""

    def ran(*components):
        output = ListOutput()
        report = penstock.run(*components, output, engine=request.param)
        assert report.balance.holds, str(report.balance)
        assert report.balance.held == 0
        return output.values, report

    return ran


def test_several_of_them_in_one_pipe(ran):
    values, report = ran(
        ListInput(values=[*SALES, {"id": 1, "country": None, "amount": 1}, {"id": 5000}]),
        Dedupe(key="id"),
        Filter(where="amount >= 10"),
        Sort(by=["country", "-amount"], memory="10KB"),
        Group(by="country", aggregate={"n": "count()", "total": "sum(amount)", "top": "first(id)"}),
        Sort(by="-country"),
    )
    kept = [sale for sale in SALES if sale["amount"] >= 10]
    assert values == [
        {
            "country": country,
            "n": len(mine),
            "total": sum(sale["amount"] for sale in mine),
            "top": max(mine, key=lambda sale: sale["amount"])["id"],
        }
        for country in ("it", "fr", "de")
        for mine in [[sale for sale in kept if sale["country"] == country]]
    ]
    assert report.letters == 1
    assert report.failures[0].message == ("where: the record has no field 'amount'; there are id")
    assert report.balance.filtered == 1 + len(SALES) - len(kept)


def test_packs_are_undone(ran):
    values, _ = ran(ListInput(values=SALES), Pack(size=7), Unpack())
    assert values == SALES


def test_the_last_of_each_key_and_a_sample(ran):
    values, report = ran(ListInput(values=SALES), Dedupe(key="country", keep="last"))
    assert [sale["id"] for sale in values] == [997, 998, 999]
    assert report.balance.filtered == 997
    once, _ = ran(ListInput(values=SALES), Sample(fraction=0.2))
    again, _ = ran(ListInput(values=SALES), Sample(fraction=0.2))
    assert once == again
    assert 150 < len(once) < 250


@component
class Endless(RecordInput):
    """Numbers without end."""

    start: int = option(default=0, help="The first number.")

    def records(self, skip):
        number = self.start + skip
        while True:
            yield number
            number += 1


def test_a_limit_ends_the_reading_of_an_endless_input(ran):
    values, report = ran(Endless(), Limit(count=3, offset=2))
    assert values == [2, 3, 4]
    assert report.status == "ok"


ONE_OF_EACH = [
    Dedupe(key=["a", "b"], keep="last", within=5),
    Filter(where="a > 1"),
    Group(by="a", aggregate={"n": "count()"}),
    Limit(count=5, offset=1),
    Pack(size=2, wait="1s"),
    Sample(fraction=0.5, seed="s"),
    Sort(by="-a", memory="1MB"),
    Unpack(carry=["a"]),
]


@pytest.mark.parametrize("stage", ONE_OF_EACH, ids=lambda stage: type(stage).__name__)
def test_each_can_be_pickled_compared_and_printed(stage):
    again = pickle.loads(pickle.dumps(stage))
    assert again == stage
    assert again is not stage
    assert repr(again) == repr(stage)
    assert repr(stage).startswith(f"{type(stage).__name__}(")


def test_the_plugin_names_each_of_them():
    from importlib import import_module

    from penstock_shape import plugin

    classes = set()
    for reference in plugin.penstock_transformers().values():
        module, _, name = reference.partition(":")
        classes.add(getattr(import_module(module), name))
    assert classes == {type(stage) for stage in ONE_OF_EACH}


def test_the_package_gives_its_classes_by_name():
    import penstock_shape

    assert {type(stage).__name__ for stage in ONE_OF_EACH} == set(penstock_shape.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Sorted'"):
        penstock_shape.Sorted  # noqa: B018
