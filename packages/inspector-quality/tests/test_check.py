from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import RecordError
from penstock_quality import Check, Condition, Length, Rule
from penstock_quality import rules as field_rules
from penstock_quality.check import _compiled

NOW = datetime(2024, 5, 6, 7, 8)


@pytest.mark.parametrize(
    ("rule", "good", "bad", "sentence"),
    [
        ({"type": "int"}, [1, 0, -5], [True, 1.0, "1"], "must be a whole number"),
        ({"type": "float"}, [1.5], [1, "1.5"], "must be a float"),
        ({"type": "number"}, [1, 1.5, Decimal(2)], [True, "1"], "must be a number"),
        ({"type": "decimal"}, [Decimal("1.5")], [1.5], "must be a decimal"),
        ({"type": "bool"}, [True, False], [0, "true"], "must be true or false"),
        ({"type": "text"}, ["", "x"], [1, b"x"], "must be text"),
        ({"type": "bytes"}, [b""], ["x"], "must be bytes"),
        ({"type": "date"}, [date(2024, 1, 1)], [NOW, "2024-01-01"], "must be a date"),
        ({"type": "datetime"}, [NOW], [date(2024, 1, 1)], "must be a datetime"),
        ({"type": "time"}, [NOW.time()], [NOW], "must be a time"),
        ({"type": "list"}, [[], (1,)], ["x", {1}], "must be a list"),
        ({"type": "mapping"}, [{}], [[]], "must be a mapping"),
        ({"min": 1}, [1, 5.5], [0, 0.5, "5", float("nan")], "must be at least 1"),
        ({"max": 10}, [10, -1], [11, [1]], "must be at most 10"),
        ({"min": "b"}, ["b", "c"], ["a", 5], "must be at least 'b'"),
        (
            {"type": "date", "min": "2024-01-31"},
            [date(2024, 1, 31)],
            [date(2024, 1, 30)],
            "must be at least '2024-01-31'",
        ),
        (
            {"type": "decimal", "max": "0.3"},
            [Decimal("0.3")],
            [Decimal("0.31")],
            "must be at most '0.3'",
        ),
        ({"pattern": "[A-Z]{2}"}, ["DE"], ["de", "DEU", "", 5], "must match '[A-Z]{2}'"),
        ({"enum": ["a", "b"]}, ["a"], ["c", 1, []], "must be one of 'a', 'b'"),
        ({"enum": [1]}, [1, 1.0], [True, 2], "must be 1"),
        ({"enum": [True]}, [True], [1], "must be True"),
        ({"enum": [[1], None]}, [[1]], [[2], "x"], "must be one of [1], None"),
        ({"length": 2}, ["ab", [1, 2]], ["a", 5], "must have length 2"),
        ({"length": {"min": 1}}, ["a"], [""], "must have a length of at least 1"),
        ({"length": {"max": 2}}, ["", "ab"], ["abc"], "must have a length of at most 2"),
        (
            {"length": {"min": 1, "max": 2}},
            ["a"],
            ["", "abc"],
            "must have a length of at least 1 and at most 2",
        ),
        ({"length": {"max": 0}}, [""], ["a"], "must have a length of at most 0"),
    ],
)
def test_a_rule_says_what_a_value_must_be(inspect, rule, good, bad, sentence):
    assert inspect(Check(fields={"x": rule}), [{"x": one} for one in good]).failed == []
    inspected = inspect(Check(fields={"x": rule}), [{"x": one} for one in bad])
    assert inspected.sentences == [f"x: {sentence}, got {one!r}" for one in bad]


@pytest.mark.parametrize("rule", [{}, {"type": "int"}, {"min": 0}])
def test_a_value_must_be_there_unless_it_is_optional(inspect, rule):
    records = [{"x": None}, {"y": 1}, {"x": 1}]
    assert inspect(Check(fields={"x": rule}), records).failed == [
        (1, "x is null"),
        (2, "x is missing"),
    ]
    assert inspect(Check(fields={"x": {**rule, "optional": True}}), records).failed == []


def test_an_optional_value_must_keep_the_rule_too(inspect):
    rule = {"type": "int", "optional": True}
    assert inspect(Check(fields={"x": rule}), [{"x": "1"}]).sentences == [
        "x: must be a whole number, got '1'"
    ]


def test_everything_that_is_wrong_with_a_record_is_said_at_once(inspect):
    check = Check(
        fields={"id": {"type": "int"}, "amount": {"min": 0}, "country": {"enum": ["de"]}},
        where=["amount > paid"],
    )
    record = {"id": "7", "amount": -1, "country": "fr", "paid": 0}
    assert inspect(check, [record]).sentences == [
        "id: must be a whole number, got '7'; amount: must be at least 0, got -1; "
        "country: must be 'de', got 'fr'; amount > paid does not hold"
    ]


def test_one_field_is_complained_of_once(inspect):
    rule = {"type": "int", "min": 0, "max": 5}
    assert inspect(Check(fields={"x": rule}), [{"x": "y"}]).sentences == [
        "x: must be a whole number, got 'y'"
    ]


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("a < b", "a < b does not hold"),
        ([{"test": "a < b", "message": "a is not below b"}], "a is not below b"),
        (["a > 0", {"test": "a < b"}], "a < b does not hold"),
    ],
)
def test_a_condition_may_have_a_message(inspect, where, sentence):
    inspected = inspect(Check(where=where), [{"a": 1, "b": 2}, {"a": 2, "b": 1}])
    assert inspected.failed == [(2, sentence)]


def test_a_condition_that_cannot_be_worked_out_is_explained(inspect):
    records = [{"a": 1, "b": "2"}, {"a": 1}]
    assert inspect(Check(where="a < b"), records).sentences == [
        "where: '<' not supported between instances of 'int' and 'str', with a=1, b='2'; "
        "is 'b' meant to be a number?",
        "where: the record has no field 'b'; there are a",
    ]


def test_a_record_that_is_no_mapping_is_objected_to(inspect):
    assert inspect(Check(fields={"x": {}}), [5]).sentences == ["a record of type int has no fields"]


def test_a_field_may_have_any_name(inspect):
    name = 'it\'s "odd"\n{v}\\'
    for optional in (False, True):
        check = Check(fields={name: {"min": 1, "optional": optional}})
        assert inspect(check, [{name: 1}, {name: 0}]).failed == [
            (2, f"{name}: must be at least 1, got 0")
        ]


def test_flag_lets_records_pass(inspect):
    inspected = inspect(Check(fields={"x": {"min": 1}}, action="flag"), [{"x": 0}, {"x": 1}])
    assert len(inspected.passed) == 2
    assert inspected.observed["flagged"] == 1


def test_rules_may_be_given_as_objects(inspect):
    check = Check(
        fields={"x": Rule(length=Length(min=1))}, where=[Condition(test="x != 'y'", message="y")]
    )
    assert inspect(check, [{"x": "y"}]).sentences == ["y"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "Check: give fields or where, or both"),
        (
            {"fields": {"x": {"typ": "int"}}},
            "Check.fields.x.typ: no such option; did you mean 'type'?",
        ),
        (
            {"fields": {"x": {"type": "integer"}}},
            "Check.fields.x.type: must be 'text', 'int', 'float', 'decimal', 'number', 'bool', "
            "'date', 'datetime', 'time', 'bytes', 'list' or 'mapping', got 'integer'; "
            "did you mean 'int'?",
        ),
        (
            {"fields": {"x": {"min": 5, "max": 1}}},
            "Check.fields.x: min must not be greater than max, got 5 and 1",
        ),
        (
            {"fields": {"x": {"min": 5, "max": "9"}}},
            "Check.fields.x: min and max cannot be compared, got 5 and '9'",
        ),
        (
            {"fields": {"x": {"type": "date", "min": "yesterday"}}},
            "Check.fields.x: min must be a date, got 'yesterday'",
        ),
        (
            {"fields": {"x": {"enum": []}}},
            "Check.fields.x: enum must have at least one value, got []",
        ),
        (
            {"fields": {"x": {"length": {}}}},
            "Check.fields.x: length must have min or max, or both",
        ),
        (
            {"fields": {"x": {"length": {"min": 2, "max": 1}}}},
            "Check.fields.x: length must not have min greater than max, got 2 and 1",
        ),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Check, options) == sentence


@pytest.mark.parametrize(
    ("options", "start", "part"),
    [
        ({"fields": {"x": {"pattern": "("}}}, "Check.fields.x.pattern: ", "is no pattern"),
        ({"fields": {"x": {"pattern": "(a+)+"}}}, "Check.fields.x.pattern: ", "take forever"),
        ({"where": "a <"}, "Check.where: is not an expression", "got 'a <'"),
        ({"where": [{"test": "a <"}]}, "Check.where.0", "a <"),
    ],
)
def test_a_wrong_pattern_or_expression_is_explained(options, start, part, refused):
    sentence = refused(Check, options)
    assert sentence.startswith(start)
    assert part in sentence


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text(max_size=3)
values = scalars | st.decimals(-3, 3, places=1) | st.lists(scalars, max_size=3) | st.dates()
rules = st.sampled_from(
    [
        {},
        {"type": "int", "min": 0},
        {"type": "number", "max": 1},
        {"type": "text", "length": {"max": 1}},
        {"enum": [0, "a", True, None]},
        {"enum": [[1], 0.5]},
        {"min": 0, "max": 2},
        {"pattern": "[a-z0-9]*"},
        {"length": 1},
    ]
)


@given(rules, values, st.booleans())
def test_the_compiled_check_agrees_with_the_tests_one_by_one(rule, value, optional):
    tests = list(field_rules.tests_of(Rule(**rule)))

    def holds(test):
        try:
            return test.holds(value)
        except Exception:
            return False

    expected = optional if value is None else all(map(holds, tests))
    try:
        _compiled({"x": tests}, {"x"} if optional else set(), [])({"x": value})
        found = True
    except RecordError:
        found = False
    assert found == expected
