from __future__ import annotations

import pytest

from penstock_console.observations import observed


def shown(observations, width=None):
    return ["".join(span.text for span in line) for line in observed(observations, width)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2024, "2024"),
        (1234567, "1 234 567"),
        (0.1 + 0.2, "0.3"),
        (True, "yes"),
        (None, ""),
        ("late", "late"),
        ("\x1b[2J", r"\x1b[2J"),
        ([], "none"),
        ({}, "none"),
        (["EUR", "USD"], "EUR, USD"),
        ({"EUR": 3, "USD": 0.5}, "EUR 3, USD 0.5"),
    ],
)
def test_a_small_value_stands_in_one_line(value, text):
    assert shown({"seen": value}) == [f"  seen: {text}"]


def test_mappings_of_the_same_kind_become_a_table():
    statistics = {"amount": {"count": 98, "mean": 1.25}, "id": {"count": 100}}
    assert shown({"fields": statistics}) == [
        "  fields  count  mean",
        "  amount     98  1.25",
        "  id        100",
    ]


def test_a_list_of_mappings_becomes_a_table_too():
    assert shown({"groups": [{"key": "a", "n": 1}, {"key": "b", "n": 2}]}) == [
        "  groups  key  n",
        "  1         a  1",
        "  2         b  2",
    ]


def test_a_table_is_cut_to_the_terminal():
    lines = shown({"a_field_with_a_long_name": {"another_field": {"count": 98}}}, width=20)
    assert lines == ["  a_field_wi…  count", "  another_fi…     98"]


def test_other_values_are_indented():
    assert shown({"found": {"by key": {"a": [1, 2], "b": {"c": 3}}, "total": 9}}) == [
        "  found",
        "    by key",
        "      a: 1, 2",
        "      b: c 3",
        "    total: 9",
    ]


def test_long_values_are_cut_and_say_where_the_rest_is():
    assert shown({"seen": list(range(25))})[0].endswith("18, 19, … and 5 more")
    table = shown({"seen": {str(n): {"n": n} for n in range(25)}})
    assert len(table) == 22
    assert table[-1] == "  … and 5 more; --json shows all"
    many = shown({"seen": {str(n): n for n in range(25)}})
    assert many[0] == "  seen"
    assert many[-1] == "    … and 5 more; --json shows all"


def test_values_nested_without_end_are_shown_as_they_are():
    value = [[[[[["deep"]]]]]]
    assert shown({"seen": value})[-1].endswith(": [[['deep']]]")
