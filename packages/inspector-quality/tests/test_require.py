import pytest

from penstock_quality import Require

GOOD = {"id": 1, "name": "ann"}


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"id": 1}, "name is missing"),
        ({"id": None, "name": "ann"}, "id is null"),
        ({"id": 1, "name": ""}, "name is empty"),
        ({"id": 1, "name": b""}, "name is empty"),
        ({"id": 1, "name": []}, "name is empty"),
        ({"id": 1, "name": {}}, "name is empty"),
        ({"id": None}, "id is null, name is missing"),
        ({}, "id is missing, name is missing"),
        ("text", "a record of type str has no fields"),
        (None, "a record of type NoneType has no fields"),
    ],
)
def test_objects_to_a_record_that_lacks_a_value(inspect, record, sentence):
    inspected = inspect(Require(fields=["id", "name"]), [GOOD, record, GOOD])
    assert inspected.failed == [(2, sentence)]
    assert inspected.passed == [(1, GOOD), (3, GOOD)]


@pytest.mark.parametrize("value", [0, 0.0, False, " ", [0], {"": None}])
def test_zero_and_false_are_values(inspect, value):
    assert inspect(Require(fields="x"), [{"x": value}]).failed == []


class Table:
    def __bool__(self):
        raise ValueError("ambiguous")

    def __eq__(self, other):
        return isinstance(other, Table)


def test_a_value_whose_truth_cannot_be_told_is_one(inspect):
    assert inspect(Require(fields="x"), [{"x": Table()}]).failed == []


def test_a_field_may_have_any_name(inspect):
    name = 'it\'s "odd"\n{x}\\'
    assert inspect(Require(fields=[name]), [{name: 1}, {name: None}]).failed == [
        (2, f"{name} is null")
    ]


def test_flag_lets_records_pass_and_reports_the_first_few(inspect):
    records = [{"id": None}] * 4 + [{"id": 1}] + [{"id": ""}] * 3
    inspected = inspect(Require(fields="id", action="flag"), records)
    assert [record for _, record in inspected.passed] == records
    assert inspected.failed == []
    assert inspected.observed == {
        "flagged": 7,
        "examples": [
            {"source": "in", "ordinal": ordinal, "reason": reason}
            for ordinal, reason in [
                (1, "id is null"),
                (2, "id is null"),
                (3, "id is null"),
                (4, "id is null"),
                (6, "id is empty"),
            ]
        ],
    }


def test_nothing_flagged_is_nothing_reported(inspect):
    assert inspect(Require(fields="id", action="flag"), [{"id": 1}]).observed == {}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fields": []}, "Require.fields: must name at least one field, got []"),
        ({"fields": ["a", ""]}, "Require.fields: must name at least one field, got ['a', '']"),
        (
            {"fields": "a", "action": "flags"},
            "Require.action: must be 'reject' or 'flag', got 'flags'; did you mean 'flag'?",
        ),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Require, options) == sentence
