"""The inspectors inside a run, on both engines."""

import pickle
from datetime import datetime, timezone

import pytest

import penstock
from penstock import Batch, Input, PenstockError
from penstock.testing import ListInput, ListOutput
from penstock_quality import Check, Contract, Count, Freshness, Require, Statistics, Unique

RECORDS = [
    {"id": 1, "amount": 5},
    {"id": 2, "amount": None},
    {"id": 1, "amount": 6},
    {"id": 4, "amount": -1},
    {"id": 5, "amount": 9},
]


@pytest.fixture(params=["inline", "threads"])
def ran(request):
    """Runs components as one pipe and gives what was written, and the report."""

    def ran(*components):
        output = ListOutput()
        report = penstock.run(*components, output, engine=request.param)
        assert report.balance.holds, str(report.balance)
        return output.values, report

    return ran


def observed(report, use):
    (node,) = [node for node in report.nodes if node.name.startswith(use)]
    return node.observations


def test_what_is_rejected_goes_to_the_dead_letters(ran):
    values, report = ran(
        ListInput(values=RECORDS),
        Require(fields=["id", "amount"]),
        Unique(key="id"),
        Check(fields={"amount": {"type": "int", "min": 0}}),
        Contract(schema={"required": ["id"]}),
        Statistics(fields=["amount"]),
    )
    assert values == [RECORDS[0], RECORDS[4]]
    assert report.status == "letters"
    assert sorted(group.message for group in report.failures) == [
        "amount is null",
        "amount: must be at least 0, got -1",
        "id: 1 was already in list:1",
    ]


def test_what_is_flagged_passes_and_is_reported(ran):
    values, report = ran(
        ListInput(values=RECORDS),
        Require(fields="amount", action="flag"),
        Count(min=100, action="flag"),
        Statistics(),
    )
    assert values == RECORDS
    assert report.status == "ok"
    assert observed(report, "require") == {
        "flagged": 1,
        "examples": [{"source": "list", "ordinal": 2, "reason": "amount is null"}],
    }
    assert observed(report, "count")["count"] == 5
    assert observed(report, "statistics")["fields"]["amount"]["mean"] == 4.75


@pytest.mark.parametrize(
    ("inspector", "sentence"),
    [
        (Count(min=100), "there must be at least 100 records, and there were 1"),
        (Freshness(field="at", max_age="1h"), "the newest 'at' is 2020-01-01T00:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_stream_that_is_rejected_completes_no_output(inspector, sentence, engine):
    output = ListOutput()
    source = ListInput(values=[{"at": datetime(2020, 1, 1, tzinfo=timezone.utc)}])
    with pytest.raises(PenstockError) as caught:
        penstock.run(source, inspector, output, engine=engine)
    assert sentence in str(caught.value)
    assert not output.finished


ONE_OF_EACH = [
    Check(fields={"a": {"min": 1}}, where=["a > 1"]),
    Contract(schema={"type": "object"}),
    Count(min=1),
    Freshness(field="at", max_age="1h"),
    Require(fields=["a"]),
    Statistics(),
    Unique(key="a", action="flag"),
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

    from penstock_quality import plugin

    classes = set()
    for reference in plugin.penstock_inspectors().values():
        module, _, name = reference.partition(":")
        classes.add(getattr(import_module(module), name))
    assert classes == {type(stage) for stage in ONE_OF_EACH}


def test_the_package_gives_its_classes_by_name():
    import penstock_quality

    assert {type(stage).__name__ for stage in ONE_OF_EACH} < set(penstock_quality.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Checks'"):
        penstock_quality.Checks  # noqa: B018
    assert all(hasattr(penstock_quality, name) for name in penstock_quality.__all__)


class Parts(Input):
    """Two partitions with the same ids, a batch of each in turn."""

    def read(self, positions):
        for n, one in enumerate([1, 2, 1], 1):
            for part in (0, 1):
                yield Batch([{"part": part, "id": one}], f"ids/{part}", [n], n)


def test_every_partition_may_have_keys_of_its_own(ran):
    values, _ = ran(Parts(), Unique(key="id"))
    assert values == [{"part": 0, "id": 1}, {"part": 0, "id": 2}]
    values, _ = ran(Parts(), Unique(key="id", partitioned=True))
    assert values == [{"part": part, "id": one} for one in (1, 2) for part in (0, 1)]


def test_what_is_flagged_in_all_partitions_is_counted_together(ran):
    values, report = ran(Parts(), Unique(key="id", partitioned=True, action="flag"))
    assert len(values) == 6
    found = observed(report, "unique")
    assert found["flagged"] == 2
    assert [one["source"] for one in found["examples"]] == ["ids/0", "ids/1"]
