import math
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import BATCH_SIZE, Batch, Context, RunError
from penstock_shape import Group

SALES = [
    {"country": "de", "amount": 10, "item": "a"},
    {"country": "fr", "amount": 5, "item": "b"},
    {"country": "de", "amount": None, "item": "b"},
    {"country": "fr", "amount": 7, "item": "b"},
    {"country": "de", "amount": 1, "item": None},
]


def test_makes_one_record_of_each_group(run):
    driven = run(Group(by="country", aggregate={"n": "count()", "total": "sum(amount)"}), SALES)
    assert driven.rows == [
        ("in", 1, {"country": "de", "n": 3, "total": 11}),
        ("in", 2, {"country": "fr", "n": 2, "total": 12}),
    ]
    assert driven.dropped == 0


@pytest.mark.parametrize(
    ("call", "german", "french"),
    [
        ("count()", 3, 2),
        ("count(amount)", 2, 2),
        ("count( item )", 2, 2),
        ("sum(amount)", 11, 12),
        ("mean(amount)", 5.5, 6.0),
        ("min(amount)", 1, 5),
        ("max(amount)", 10, 7),
        ("max(item)", "b", "b"),
        ("first(amount)", 10, 5),
        ("last(amount)", 1, 7),
        ("last(item)", "b", "b"),
        ("list(item)", ["a", "b"], ["b", "b"]),
        ("distinct(item)", 2, 1),
    ],
)
def test_every_aggregate_leaves_out_nulls(run, call, german, french):
    driven = run(Group(by="country", aggregate={"x": call}), SALES)
    assert [record["x"] for record in driven.records] == [german, french]


@pytest.mark.parametrize(
    ("call", "nothing"),
    [("count(x)", 0), ("sum(x)", None), ("mean(x)", None), ("min(x)", None), ("list(x)", []),
     ("distinct(x)", 0), ("first(x)", None), ("last(x)", None)],
)  # fmt: skip
def test_a_group_of_nulls_alone(run, call, nothing):
    assert run(Group(aggregate={"r": call}), [{"x": None}] * 4).records == [{"r": nothing}]


def test_without_by_all_records_are_one_group(run):
    driven = run(Group(aggregate={"total": "sum(amount)"}), SALES)
    assert driven.rows == [("in", 1, {"total": 23})]


def test_no_records_make_no_group(run):
    assert run(Group(aggregate={"n": "count()"}), []).records == []


def test_without_aggregates_the_groups_are_the_different_values(run):
    assert run(Group(by=["country", "item"], aggregate={}), SALES).records == [
        {"country": "de", "item": "a"},
        {"country": "fr", "item": "b"},
        {"country": "de", "item": "b"},
        {"country": "de", "item": None},
    ]


def test_an_argument_may_be_an_expression(run):
    group = Group(by="country", aggregate={"double": "sum(amount * 2)", "big": "max(amount > 5)"})
    assert run(group, [sale for sale in SALES if sale["amount"]]).records == [
        {"country": "de", "double": 22, "big": True},
        {"country": "fr", "double": 24, "big": True},
    ]


def test_a_record_for_which_an_expression_fails_is_set_aside(run):
    driven = run(Group(aggregate={"x": "sum(amount * 2.5)"}), SALES)
    ((ordinal, sentence),) = driven.failures
    assert ordinal == 3
    assert sentence.startswith("x: unsupported operand")
    assert sentence.endswith("with amount=None")
    assert driven.records == [{"x": 57.5}]


def test_groups_account_for_all_their_records(drive):
    driven = drive(Group(by="k", aggregate={"n": "count()"}))
    driven.push(
        Batch([{"k": 1}, {"k": 2}], "a"), Batch([{"k": 1}, {"k": 3}, {"k": 3}], "b")
    ).finish()
    assert [(batch.source, batch.consumed, batch.dropped) for batch in driven.batches] == [
        ("a", 3, 0),
        ("b", 2, 0),
    ]
    assert driven.rows[2] == ("b", 2, {"k": 3, "n": 2})


def test_many_groups_are_given_up_in_batches(run):
    groups = 2 * BATCH_SIZE + 88
    driven = run(
        Group(by="k", aggregate={}), [{"k": n % groups} for n in range(2 * groups)], size=100
    )
    assert [len(batch) for batch in driven.batches] == [BATCH_SIZE, BATCH_SIZE, 88]
    assert [batch.consumed for batch in driven.batches] == [2 * BATCH_SIZE, 2 * BATCH_SIZE, 176]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1, 2, 2**70], 2**70 + 3),
        ([0.1] * 10, 1.0),
        ([1e16, 1.0, -1e16], 1.0),
        ([1, 0.5], 1.5),
        ([Decimal("0.10"), Decimal("0.20")], Decimal("0.30")),
        ([Decimal("1E+40"), Decimal("1E-40"), 1], Decimal("1E+40") + 1 + Decimal("1E-40")),
        ([Decimal("0.5"), 1], Decimal("1.5")),
        ([Decimal("0.5"), 0.25, 1], 1.75),
        ([True, False, True], 2),
        ([float("inf"), 1.0], float("inf")),
        ([1e308, 1e308], float("inf")),
        ([10**400, 0.5], float("inf")),
        ([-(10**400), 0.5], float("-inf")),
        ([Decimal("Infinity"), 0.5], float("inf")),
        ([2**53, 1, 0.5], 2.0**53 + 2),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 20])
def test_sums_are_exact_however_records_are_cut_into_batches(run, values, total, size):
    if isinstance(total, Decimal):
        total = sum(map(Fraction, values))
    group = Group(aggregate={"total": "sum(x)"})
    ((record),) = run(group, [{"x": one} for one in values], size=size).records
    assert record["total"] == total


def test_infinities_that_cancel_are_no_number(run):
    values = [{"x": float("inf")}, {"x": float("-inf")}]
    (record,) = run(Group(aggregate={"total": "sum(x)", "mean": "mean(x)"}), values).records
    assert math.isnan(record["total"])
    assert math.isnan(record["mean"])


def test_the_mean_of_decimals_is_a_decimal(run):
    values = [{"x": Decimal("1.00")}, {"x": Decimal("1.01")}]
    assert run(Group(aggregate={"m": "mean(x)"}), values).records == [{"m": Decimal("1.005")}]


def test_the_mean_of_great_whole_numbers_does_not_overflow(run):
    assert run(Group(aggregate={"m": "mean(x)"}), [{"x": 10**400}, {"x": -(10**400)}]).records == [
        {"m": 0.0}
    ]


@pytest.mark.parametrize(
    ("call", "values", "sentence"),
    [
        ("sum(x)", [1, "2"], "x: '2' is text, so sum cannot add it; cast it first"),
        ("mean(x)", [1, [2]], "x: [2] is no number, so mean cannot add it; cast it first"),
        ("min(x)", [1, "2"], "x: '2' is text, and others are a number; cast the field first"),
        ("sum(x)", [1.0, math.nan], "x: nan is no number, so sum cannot add it; cast it first"),
        (
            "sum(x)",
            [1, Decimal("sNaN")],
            "x: Decimal('sNaN') is no number, so sum cannot add it; cast it first",
        ),
        ("max(x)", [1, {}], "x: {} has no order, so it cannot be put in order"),
        ("distinct(x)", [1, [2]], "x: [2] cannot be counted"),
        ("count()", [1, [2]], None),
        ("list(x)", [1, [2]], None),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_a_value_that_cannot_be_used_fails_alone(run, call, values, sentence, size):
    records = [{"x": one} for one in values]
    driven = run(Group(aggregate={"r": call, "n": "count()"}), records, size=size)
    assert driven.failures == ([(2, sentence)] if sentence else [])
    assert driven.records[0]["n"] == (1 if sentence else 2)


def test_a_record_that_fails_for_one_aggregate_counts_for_none(run):
    records = [{"x": 1, "y": 1}, {"x": 2, "y": "2"}, {"x": 4, "y": 4}]
    group = Group(aggregate={"x": "sum(x)", "y": "sum(y)", "low": "min(y)"})
    assert run(group, records).records == [{"x": 5, "y": 5, "low": 1}]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            {"countri": "de", "amount": 1},
            "the record has no field 'country'; did you mean 'countri'?",
        ),
        ({"country": "de", "x": 1}, "the record has no field 'amount'; did you mean 'country'?"),
        ({"country": ["de"], "amount": 1}, "country: ['de'] cannot be grouped by"),
        ("text", "a record of type str has no fields"),
    ],
)
def test_a_record_that_belongs_to_no_group_fails_alone(run, record, sentence):
    driven = run(Group(by="country", aggregate={"t": "sum(amount)"}), [SALES[0], record])
    assert driven.failures == [(2, sentence)]
    assert driven.records == [{"country": "de", "t": 10}]


def test_too_many_groups_stop_the_run(run):
    with pytest.raises(RunError) as caught:
        run(Group(by=["a", "b"], aggregate={}, max_groups=3), [{"a": n, "b": 1} for n in range(9)])
    assert str(caught.value) == (
        "stage: there are more than 3 groups by 'a' and 'b'; "
        "raise max_groups, or group by fewer fields"
    )


@pytest.mark.parametrize("call", ["list(a)", "distinct(a)"])
def test_too_many_values_stop_the_run(run, call):
    with pytest.raises(RunError) as caught:
        run(Group(aggregate={"r": call}, max_values=3), [{"a": n} for n in range(9)])
    assert str(caught.value) == (
        "stage: list and distinct hold more than 3 values; raise max_values, or filter before"
    )


EVERYTHING = {
    function: f"{function}(x)"
    for function in ("count", "sum", "mean", "min", "max", "first", "last", "list", "distinct")
}


@pytest.mark.parametrize(
    "values",
    [
        [3, None, 1, 2**80, -1],
        [0.1, 0.2, None, 1e16, -1e16, 3.3],
        [Decimal("1.10"), Decimal("2.205"), None, Decimal("1E+30")],
    ],
)
@pytest.mark.parametrize("by", [[], "k", ["k", "when"]])
def test_survives_a_restart_anywhere(survives, batches, values, by):
    records = [
        {"x": one, "k": (number // 2, b"k"), "when": date(2024, 1, 1 + number % 2)}
        for number, one in enumerate(values)
    ]
    survives(lambda: Group(by=by, aggregate=EVERYTHING), batches(records, size=1))


def test_what_was_known_of_the_values_survives_a_restart(drive):
    make = lambda: Group(aggregate={"low": "min(x)"})  # noqa: E731
    state = drive(make()).push(Batch([{"x": 1}])).stage.snapshot()
    again = drive(make(), state).push(Batch([{"x": "y"}]))
    assert again.failures == [(1, "x: 'y' is text, and others are a number; cast the field first")]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"aggregate": {}}, "Group: give by or aggregate, or both"),
        (
            {"by": "a", "aggregate": {"a": "count()"}},
            "Group: aggregate must not use the name of a field in by, 'a'",
        ),
        (
            {"aggregate": {"n": "amount"}},
            "Group.aggregate: n must be an aggregate such as 'sum(amount)', got 'amount'",
        ),
        (
            {"aggregate": {"n": "summ(amount)"}},
            "Group.aggregate: n: no such aggregate, got 'summ(amount)'; did you mean 'sum'?",
        ),
        (
            {"aggregate": {"n": "variance(x)"}},
            (
                "Group.aggregate: n: no such aggregate, got 'variance(x)'; "
                "there are count, sum, mean, "
                "min, max, first, last, list, distinct"
            ),
        ),
        (
            {"aggregate": {"n": "sum()"}},
            "Group.aggregate: n needs a field, got 'sum()'; write it as 'sum(amount)'",
        ),
        (
            {"by": ["a", "a"], "aggregate": {}},
            "Group.by: must name each field once, not 'a' twice, got ['a', 'a']",
        ),
        (
            {"by": "a", "aggregate": {}, "max_groups": 0},
            "Group.max_groups: must be at least 1, got 0",
        ),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Group, options) == sentence


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=40),
    st.integers(1, 40),
)
def test_the_sum_of_floats_is_correctly_rounded(values, size):
    stage = Group(aggregate={"total": "sum(x)"})
    stage.open(Context())
    for first in range(0, len(values), size):
        list(stage.process(Batch([{"x": one} for one in values[first : first + size]])))
    ((batch),) = stage.finish()
    assert batch.records == [{"total": float(sum(map(Fraction, values)))}]
