from decimal import Decimal

import pytest

from penstock import Batch, RunError
from penstock_quality import Unique


def keys(*values):
    return [{"id": one} for one in values]


def test_objects_to_a_key_that_was_there_before(inspect):
    inspected = inspect(Unique(key="id"), keys("a", "b", "a", "c", "c", "a"))
    assert inspected.failed == [
        (3, "id: 'a' was already in in:1"),
        (5, "id: 'c' was already in in:4"),
        (6, "id: 'a' was already in in:1"),
    ]
    assert [record["id"] for _, record in inspected.passed] == ["a", "b", "c"]


def test_a_key_may_be_several_fields(inspect):
    records = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1}]
    assert inspect(Unique(key=["a", "b"]), records).failed == [
        (3, "a and b: (1, 1) was already in in:1")
    ]


def test_a_key_is_compared_with_those_of_every_source(inspecting):
    inspected = inspecting(Unique(key="id"))
    inspected.push(Batch(keys(1, 2), "a"), Batch(keys(3, 2), "b"), Batch(keys(3, 4), "a", [3, 4]))
    assert inspected.failed == [(2, "id: 2 was already in a:2"), (3, "id: 3 was already in b:1")]


def test_nulls_are_not_compared(inspect):
    assert inspect(Unique(key="id"), keys(None, None)).failed == []
    records = [{"a": 1, "b": None}] * 3
    assert inspect(Unique(key=["a", "b"]), records).failed == []


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"ident": 1}, "the record has no field 'id'; there are ident"),
        ({"id": [1]}, "id: [1] cannot be compared as a key"),
        ("text", "a record of type str has no fields"),
    ],
)
@pytest.mark.parametrize("size", [1, 3])
def test_a_record_without_a_key_is_objected_to(inspect, record, sentence, size):
    inspected = inspect(Unique(key="id"), [*keys(1), record, *keys(1)], size=size)
    assert inspected.failed == [(2, sentence), (3, "id: 1 was already in in:1")]


def test_flag_lets_repeated_records_pass(inspect):
    inspected = inspect(Unique(key="id", action="flag"), keys(1, 1, 2))
    assert len(inspected.passed) == 3
    assert inspected.observed == {
        "flagged": 1,
        "examples": [{"source": "in", "ordinal": 2, "reason": "id: 1 was already in in:1"}],
    }


def test_too_many_keys_stop_the_run(inspect):
    with pytest.raises(RunError) as caught:
        inspect(Unique(key="id", max_keys=3), keys(*range(9)))
    assert str(caught.value) == (
        "checked: there are more than 3 different keys to remember; raise max_keys, "
        "or let the destination's own key refuse repeated records"
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_survives_a_restart_anywhere(survives, size):
    values = ["a", 1, None, Decimal("1.5"), "a", (1, 2), b"x", Decimal("1.50"), (1, 2), 2, b"x"]
    survives(lambda: Unique(key="id"), keys(*values), size)


def test_a_checkpoint_encodes_only_what_is_new(inspecting):
    inspected = inspecting(Unique(key="id")).push(Batch(keys(1, 2), "a"))
    first = inspected.inspector.snapshot()["seen"]["a"]
    assert inspected.push(Batch(keys(2, 3), "a", [3, 4])).inspector.snapshot() == {
        "seen": {"a": [*first, "[[3], [4]]"]}
    }


def test_a_key_that_cannot_be_kept_is_explained(inspecting):
    inspected = inspecting(Unique(key="id")).push(Batch(keys(object)))
    with pytest.raises(RunError) as caught:
        inspected.inspector.snapshot()
    assert str(caught.value) == (
        "checked: holds values that cannot be kept for resuming; "
        "cast them to text, numbers or dates first"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"key": []}, "Unique.key: must name at least one field, got []"),
        ({"key": "id", "max_keys": 0}, "Unique.max_keys: must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Unique, options) == sentence
