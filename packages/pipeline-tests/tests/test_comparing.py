"""When a value is the one that a file can only write down, and how two lists differ."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from penstock_pipeline_tests.comparing import fits, matching, ordered, same, twins

MOMENT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
NUMBER = UUID("12345678123456781234567812345678")


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, 1),
        (1, 1.0),
        ("a", "a"),
        (None, None),
        (True, True),
        (math.nan, math.nan),
        (1.5, Decimal("1.50")),
        (0.1, Decimal("0.1")),
        ("1.50", Decimal("1.50")),
        (3, Decimal("3.00")),
        ("2026-11-20", date(2026, 11, 20)),
        ("2026-11-20T12:00:00+00:00", MOMENT),
        ("2026-11-20 12:00:00+00:00", MOMENT),
        (str(NUMBER), NUMBER),
        ([1, [2]], (1, (2,))),
        ({"a": {"b": [1.5]}}, {"a": {"b": [Decimal("1.5")]}}),
        ({"$repr": "range(0, 2)"}, range(2)),
    ],
)
def test_the_same(expected, got):
    assert same(expected, got)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, "1"),
        ("1", 1),
        (1, True),
        (0, False),
        (False, None),
        ("", None),
        (math.nan, 1.0),
        ("1.5", Decimal("1.50")),
        (1.5, Decimal("1.51")),
        (math.nan, Decimal("1")),
        ("20.11.2026", date(2026, 11, 20)),
        ([1], [1, 2]),
        ([1, 2], [2, 1]),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": 1, "b": None}, {"a": 1}),
        ({"a": 1}, [1]),
        ({"$repr": "range(0, 2)"}, range(3)),
    ],
)
def test_not_the_same(expected, got):
    assert not same(expected, got)


def test_of_a_part_only_the_fields_that_are_named_count():
    assert fits({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3})
    assert fits([{"a": 1}], [{"a": 1, "b": 2}])
    assert not fits({"a": None}, {})
    assert not fits([{"a": 1}], [{"a": 1}, {"a": 1}])


def test_a_vague_expectation_leaves_the_record_that_a_precise_one_needs():
    assert matching([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1}], fits) == {
        0: 1,
        1: 0,
    }
    assert matching([1, 1], [1], same) == {0: 0}


def test_many_records_that_are_the_same_are_paired_quickly():
    many = [{"a": 1}] * 3000
    assert len(matching(many[:1500], many[:1500], same)) == 1500
    numbers = [{"a": number} for number in range(3000)]
    assert twins(numbers, numbers[::-1]) == {index: 2999 - index for index in range(3000)}


def test_records_are_the_same_in_any_order_although_written_differently():
    assert twins([{"a": 1.5}, {"a": "x"}], [{"a": "x"}, {"a": Decimal("1.50")}]) == {0: 1, 1: 0}
    assert twins([{"a": 1}, {"a": 1}], [{"a": 1}]) == {0: 0}


@pytest.mark.parametrize(
    ("expected", "got", "differences"),
    [
        ([1, 2, 3], [1, 2, 3], []),
        ([1, 2, 3], [1, 3], ["record 2: expected and missing: 2"]),
        ([1, 3], [1, 2, 3], ["record 2: got and not expected: 2"]),
        ([1, 2, 3], [1, 5, 3], ["record 2: expected 2, got 5"]),
        ([{"a": 1}], [{"a": "1"}], ['record 1, a: expected 1, got "1"']),
        ([{"a": {"b": 1}}], [{"a": {"b": 2}}], ["record 1, a.b: expected 1, got 2"]),
        ([{"a": 1}], [{}], ["record 1, a: expected and missing: 1"]),
        ([{}], [{"a": None}], ["record 1, a: got and not expected: null"]),
        (["x "], ["x"], ['record 1: expected "x ", got "x"']),
        (
            [{"a": "2026-11-20"}],
            [{"a": datetime(2026, 11, 20)}],
            ['record 1, a: expected "2026-11-20", got 2026-11-20 00:00:00'],
        ),
        (
            [1, 2, 9, 3],
            [5, 1, 2, 3, 4],
            [
                "record 1: got and not expected: 5",
                "record 3: expected and missing: 9",
                "record 5: got and not expected: 4",
            ],
        ),
        ([], [1, 2], ["record 1: got and not expected: 1", "record 2: got and not expected: 2"]),
        (
            [{"i": 1}, {"i": 2}, {"i": 3}, {"i": 4}],
            [{"i": 2}, {"i": 3}, {"i": 5}],
            ['record 1: expected and missing: {"i": 1}', "record 3, i: expected 4, got 5"],
        ),
    ],
)
def test_how_lists_differ(expected, got, differences):
    assert list(map(str, ordered(expected, got))) == differences


def test_what_looks_alike_is_told_apart_by_its_kind():
    class Text(str):
        __slots__ = ()

        def __eq__(self, other):
            return False

        __hash__ = str.__hash__

    [difference] = ordered([Text("x")], ["x"])
    assert str(difference) == 'record 1: expected "x" (Text), got "x" (str)'


def test_one_missing_record_in_a_long_list_is_one_difference():
    whole = [{"i": number} for number in range(5000)]
    assert len(list(ordered(whole, whole[:2500] + whole[2501:]))) == 1


def test_a_value_cannot_steer_the_terminal():
    [difference] = ordered(["a"], ["\x1b[2J\x9b"])
    assert str(difference) == 'record 1: expected "a", got "\\u001b[2J\\x9b"'


def test_a_long_value_is_cut():
    [difference] = ordered(["x" * 1000], ["y"])
    assert len(str(difference)) < 250
