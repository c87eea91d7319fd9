"""Expressions mean what the same Python means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_streams.expressions import Expr, call, const, field


@dataclass
class Point:
    a: int
    b: int
    user: Any = None


def same(expression: Expr, element: dict[str, Any]) -> Any:
    """The value, which is the same of a mapping, of an object, and called as it is."""
    of_mapping = expression.function()(element)
    of_object = expression.function(attributes=True)(Point(**element))
    assert of_mapping == of_object == expression(element) == expression(Point(**element))
    return of_mapping


CASES = [
    (field("a") + 2 * field("b"), lambda a, b: a + 2 * b),
    ((field("a") + 2) * field("b"), lambda a, b: (a + 2) * b),
    (5 + field("a"), lambda a, b: 5 + a),
    (5 - field("a") - field("b"), lambda a, b: 5 - a - b),
    (100 // field("a") % 7, lambda a, b: 100 // a % 7),
    (100 / field("a"), lambda a, b: 100 / a),
    (100 % field("b"), lambda a, b: 100 % b),
    (2 ** field("a") ** 2, lambda a, b: 2**a**2),
    (field("a") ** -1, lambda a, b: a**-1),
    (-(field("a") ** 2), lambda a, b: -(a**2)),
    (-field("a") + ~field("b") - +field("b"), lambda a, b: -a + ~b - +b),
    (abs(field("a") - field("b")), lambda a, b: abs(a - b)),
    (field("a") - (field("b") - 1), lambda a, b: a - (b - 1)),
    (field("a") << 2 | field("b") & 3 ^ 1, lambda a, b: a << 2 | b & 3 ^ 1),
    (1 << field("a") >> field("b"), lambda a, b: 1 << a >> b),
    (12 & field("a"), lambda a, b: 12 & a),
    (12 | field("a"), lambda a, b: 12 | a),
    (12 ^ field("a"), lambda a, b: 12 ^ a),
    (1000 >> field("a"), lambda a, b: 1000 >> a),
    (field("a") < field("b"), lambda a, b: a < b),
    (3 <= field("a"), lambda a, b: a >= 3),  # noqa: SIM300
    ((field("a") > 1) & (field("b") > 2), lambda a, b: (a > 1) & (b > 2)),
    ((field("a") == 3) | (field("b") != 4), lambda a, b: (a == 3) | (b != 4)),
    (field("a") >= 2, lambda a, b: a >= 2),
    (field("a") * 0.5, lambda a, b: a * 0.5),
    (const("x") * field("a"), lambda a, b: "x" * a),
    (call(max, field("a"), field("b") + 1), lambda a, b: max(a, b + 1)),
    (call(lambda element: 7) + field("a"), lambda a, b: 7 + a),
]


@pytest.mark.parametrize(("expression", "python"), CASES, ids=[repr(one) for one, _ in CASES])
@given(st.integers(1, 6), st.integers(1, 6))
def test_precedence_parentheses_and_reflected_operators_are_pythons(expression, python, a, b):
    assert same(expression, {"a": a, "b": b}) == python(a, b)


def test_what_is_inside_a_field_can_be_read():
    element = {"a": 0, "b": 1, "user": {"name": "Ada", "tags": ["x", "y"]}}
    assert same(field("user")["tags"][field("b")], element) == "y"
    inner = Point(1, 2, Point(3, 4))
    assert (field("user")["a"] + field("a"))(inner) == 4


def test_a_name_that_is_no_identifier_is_a_field_all_the_same():
    assert field("unit price").function()({"unit price": 3}) == 3
    assert field("__class__").function()({"__class__": 5}) == 5


def test_a_missing_field_raises_what_python_raises():
    with pytest.raises(KeyError):
        field("x")({"a": 1})
    with pytest.raises(AttributeError):
        field("x")(Point(1, 2))


def test_without_an_element_all_that_reads_a_field_is_none():
    assert field("a")(None) is None
    assert (field("a") // 30 + 1)(None) is None
    assert (-field("a"))(None) is None
    assert field("a")["b"](None) is None
    assert call(max, field("a"), 3)(None) is None
    assert (call(lambda element: 61 if element is None else 0) // 20)(None) == 3
    assert (const(2) * 3)(None) == 6


@pytest.mark.parametrize("misused", [lambda e: bool(e), lambda e: 0 < e < 5, lambda e: list(e)])
def test_what_cannot_be_overloaded_is_refused(misused):
    with pytest.raises(TypeError, match="an expression"):
        misused(field("a"))


def test_an_expression_shows_itself():
    assert repr((field("ms") + 5) // 1000 == field("t")["x"]) == (
        "(((field('ms') + 5) // 1000) == field('t')['x'])"
    )
    assert repr(-call(abs, field("a"))) == "-abs(field('a'))"
