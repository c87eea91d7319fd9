from datetime import date, datetime, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from penstock_quality import Statistics


def fields(inspected):
    return inspected.observed["fields"]


def test_summarises_every_field(inspect):
    records = [
        {"id": 1, "city": "Rome", "paid": True},
        {"id": 2, "city": None},
        {"id": 3, "city": "Oslo", "paid": False},
        {"id": 4, "city": "Rome", "paid": True},
    ]
    inspected = inspect(Statistics(), records)
    assert [record for _, record in inspected.passed] == records
    assert inspected.observed == {
        "records": 4,
        "fields": {
            "id": {
                "count": 4,
                "nulls": 0,
                "missing": 0,
                "types": {"number": 4},
                "distinct": 4,
                "min": 1,
                "max": 4,
                "mean": 2.5,
            },
            "city": {
                "count": 3,
                "nulls": 1,
                "missing": 0,
                "types": {"text": 3},
                "distinct": 2,
                "min": "Oslo",
                "max": "Rome",
                "top": [{"value": "Rome", "count": 2}],
            },
            "paid": {
                "count": 3,
                "nulls": 0,
                "missing": 1,
                "types": {"true or false": 3},
                "distinct": 2,
                "min": False,
                "max": True,
                "top": [{"value": True, "count": 2}],
            },
        },
    }


def test_looks_only_at_the_fields_named(inspect):
    found = fields(inspect(Statistics(fields=["b", "c"]), [{"a": 1, "b": 2}]))
    assert list(found) == ["b", "c"]
    assert found["c"] == {"count": 0, "nulls": 0, "missing": 1, "types": {}, "distinct": 0}


def test_values_of_several_types_are_told_apart(inspect):
    found = fields(inspect(Statistics(), [{"x": one} for one in (1, "b", 2.5, "a", "c")]))["x"]
    assert found["types"] == {"text": 3, "number": 2}
    assert (found["min"], found["max"], found["mean"]) == ("a", "c", 1.75)


@pytest.mark.parametrize(
    ("values", "kind", "low", "high"),
    [
        ([Decimal("2.50"), Decimal("1.5")], "number", "1.5", "2.50"),
        ([date(2024, 2, 1), date(2024, 1, 1)], "date", "2024-01-01", "2024-02-01"),
        (
            [datetime(2024, 1, 1, tzinfo=timezone.utc)],
            "datetime with zone",
            "2024-01-01T00:00:00+00:00",
            "2024-01-01T00:00:00+00:00",
        ),
        ([b"a"], "bytes", "b'a'", "b'a'"),
        (["x" * 100], "text", "x" * 80 + "…", "x" * 80 + "…"),
        ([float("inf")], "number", "inf", "inf"),
    ],
)
def test_extremes_are_shown_as_json(inspect, values, kind, low, high):
    found = fields(inspect(Statistics(), [{"x": one} for one in values]))["x"]
    assert found["types"] == {kind: len(values)}
    assert (found["min"], found["max"]) == (low, high)


@pytest.mark.parametrize(
    ("values", "types"),
    [
        ([[1], (2,)], {"list": 2}),
        ([{"a": 1}], {"mapping": 1}),
        ([float("nan"), 1.0], {"not a number": 1, "number": 1}),
        ([Decimal("NaN")], {"not a number": 1}),
        ([UUID(int=5)], {"UUID": 1}),
        ([float("inf"), float("-inf")], {"number": 2}),
        (["\ud800"], {"text": 1}),
    ],
)
def test_values_without_an_order_are_counted(survives, inspect, values, types):
    records = [{"x": one} for one in values]
    assert fields(inspect(Statistics(), records))["x"]["types"] == types
    survives(Statistics, records)


def test_the_number_of_many_different_values_is_estimated(inspect):
    records = [{"x": f"v{n % 20_000}"} for n in range(25_000)]
    found = fields(inspect(Statistics(), records, size=500))["x"]
    assert found["distinct_is_estimated"]
    assert 18_500 < found["distinct"] < 21_500


def test_what_is_frequent_is_found_among_many_values(inspect):
    records = [{"x": "often" if n % 3 == 0 else f"v{n}"} for n in range(9000)]
    found = fields(inspect(Statistics(top=1), records, size=500))["x"]
    assert found["top_is_estimated"]
    assert found["top"] == [{"value": "often", "count": 3000}]


def test_memory_does_not_grow_with_the_records(inspecting, batches):
    inspected = inspecting(Statistics())
    sizes = []
    for start in (0, 20_000):
        records = [{"x": n} for n in range(start, start + 20_000)]
        sizes.append(len(inspected.push(*batches(records, 1000)).inspector.snapshot()["fields"]))
    assert sizes[1] < sizes[0] * 1.2


def test_no_more_fields_are_looked_at_than_allowed(inspect):
    inspected = inspect(Statistics(max_fields=2), [{"a": 1, "b": 2}, {"c": 3, "a": 1}])
    assert list(fields(inspected)) == ["a", "b"]
    assert inspected.observed["fields left out"] == ["c"]


def test_records_that_are_no_mappings_are_counted(inspect):
    inspected = inspect(Statistics(), ["text", {"a": 1}])
    assert inspected.observed["records"] == 2
    assert inspected.observed["records without fields"] == 1
    assert fields(inspected)["a"]["missing"] == 0


@pytest.mark.parametrize("size", [1, 3])
def test_survives_a_restart_anywhere(survives, size):
    values = [1, None, 2.5, "x", Decimal("1.10"), date(2024, 1, 1), b"\xff", "x", True, [1], 2**70]
    records = [{"x": one, f"f{number % 3}": number} for number, one in enumerate(values)]
    survives(Statistics, [*records, "no mapping"], size)
    survives(lambda: Statistics(max_fields=2), records, size)


def test_a_run_that_follows_begins_anew(inspecting, batches):
    inspected = inspecting(Statistics()).push(*batches([{"a": 1}])).finish()
    again = inspecting(Statistics(), inspected.inspector.snapshot())
    assert again.push(*batches([{"b": 1}])).finish().observed["records"] == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"top": 0}, "Statistics.top: must be at least 1, got 0"),
        ({"fields": [""]}, "Statistics.fields: must name at least one field, got ['']"),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Statistics, options) == sentence
