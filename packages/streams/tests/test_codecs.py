"""Objects of records: what is ignored, what is wrong, and where."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import msgspec
import pytest

from penstock import RecordError
from penstock_streams.codecs import decoder_of, encode


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Plain(TypedDict):
    x: int


@dataclass
class Inner:
    a: int
    b: Optional[str] = None  # noqa: UP045


@dataclass(frozen=True)
class All:
    number: float
    count: int
    text: str
    flag: bool
    inner: Inner
    many: list[Inner]
    pair: tuple[int, str]
    row: tuple[int, ...]
    by_name: dict[str, int]
    colour: Colour
    choice: Literal["x", "y"]
    either: Union[int, str]  # noqa: UP007
    when: datetime
    day: date
    at: time
    price: Decimal
    sequence: Sequence[int]
    noted: Annotated[int, "a note"]
    anything: Any
    plain: Plain
    made: list[int] = field(default_factory=list)
    derived: int = field(init=False, default=7)


RECORD: dict[str, Any] = {
    "number": 1,
    "count": 2,
    "text": "t",
    "flag": True,
    "inner": {"a": 1, "more": "ignored"},
    "many": [{"a": 1}, {"a": 2, "b": "x"}],
    "pair": [1, "x"],
    "row": [1, 2],
    "by_name": {"k": 1},
    "colour": "red",
    "choice": "y",
    "either": "e",
    "when": "2026-11-20T12:00:00Z",
    "day": "2026-11-20",
    "at": "12:30",
    "price": "1.50",
    "sequence": [1],
    "noted": 5,
    "anything": [1, {"x": 2}],
    "plain": {"x": 1},
    "extra": "ignored",
}


def test_a_record_becomes_an_object_and_a_record_again():
    made = decoder_of(All)(RECORD)
    assert made == All(
        number=1.0,
        count=2,
        text="t",
        flag=True,
        inner=Inner(1),
        many=[Inner(1), Inner(2, "x")],
        pair=(1, "x"),
        row=(1, 2),
        by_name={"k": 1},
        colour=Colour.RED,
        choice="y",
        either="e",
        when=datetime(2026, 11, 20, 12, tzinfo=timezone.utc),
        day=date(2026, 11, 20),
        at=time(12, 30),
        price=Decimal("1.50"),
        sequence=[1],
        noted=5,
        anything=[1, {"x": 2}],
        plain={"x": 1},
    )
    assert decoder_of(All)(encode(made)) == made
    assert encode(made)["colour"] == "red"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "2"}, "count: must be a whole number, got '2'"),
        ({"count": True}, "count: must be a whole number, got True"),
        ({"count": 2.0}, "count: must be a whole number, got 2.0"),
        ({"number": "1"}, "number: must be a number, got '1'"),
        ({"number": True}, "number: must be a number, got True"),
        ({"text": 5}, "text: must be text, got 5"),
        ({"text": None}, "text: must be text, got None"),
        ({"flag": 1}, "flag: must be true or false, got 1"),
        ({"inner": {"b": "x"}}, "inner.a: is missing"),
        ({"inner": 5}, "inner: must be a mapping, got 5"),
        ({"inner": {"a": 1, "b": 2}}, "inner.b: must be text, got 2"),
        ({"many": [{"a": 1}, {"a": "x"}]}, "many.1.a: must be a whole number, got 'x'"),
        ({"many": "x"}, "many: must be a list, got 'x'"),
        ({"pair": [1]}, "pair: must be a list of 2, got [1]"),
        ({"pair": [1, 2]}, "pair.1: must be text, got 2"),
        ({"by_name": {"k": "x"}}, "by_name.k: must be a whole number, got 'x'"),
        ({"by_name": []}, "by_name: must be a mapping, got []"),
        ({"colour": "green"}, "colour: must be one of 'red', 'blue', got 'green'"),
        ({"choice": "z"}, "choice: must be 'x' or 'y', got 'z'"),
        ({"either": 1.5}, "either: must be a whole number or must be text, got 1.5"),
        ({"when": "noon"}, "when: must be a time in ISO 8601, got 'noon'"),
        ({"day": 5}, "day: must be a date in ISO 8601, got 5"),
        ({"price": "x"}, "price: must be a decimal number, got 'x'"),
        ({"price": True}, "price: must be a decimal number, got True"),
        ({"price": "nan"}, "price: must be a decimal number, got 'nan'"),
    ],
)
def test_what_is_wrong_is_said_with_the_field(change, message):
    with pytest.raises(RecordError) as caught:
        decoder_of(All)({**RECORD, **change})
    assert str(caught.value) == message


def test_a_missing_field_is_named_and_one_with_a_default_may_be_missing():
    with pytest.raises(RecordError) as caught:
        decoder_of(Inner)({"b": "x"})
    assert str(caught.value) == "a: is missing"
    assert decoder_of(Inner)({"a": 1}) == Inner(1)
    with pytest.raises(RecordError) as caught:
        decoder_of(Inner)([1])
    assert str(caught.value) == "must be a mapping, got [1]"


class Point(msgspec.Struct):
    x: int
    inner: Optional[Inner] = None  # noqa: UP045


def test_structs_are_objects_too():
    made = decoder_of(Point)({"x": 1, "inner": {"a": 1}, "extra": 0})
    assert made == Point(1, Inner(1))
    assert encode(made) == {"x": 1, "inner": {"a": 1, "b": None}}
    for record, message in (
        ({"x": "1"}, "x: expected `int`, got `str`"),
        ({}, "object missing required field `x`"),
    ):
        with pytest.raises(RecordError) as caught:
            decoder_of(Point)(record)
        assert str(caught.value) == message


def test_plain_values_stay_as_they_are():
    assert decoder_of(dict)({"a": 1}) == {"a": 1}
    assert decoder_of(dict[str, Any])({"a": 1}) == {"a": 1}
    assert decoder_of(Any)(5) == 5
    assert decoder_of(int)(5) == 5
    json.dumps(encode({"a": (1, [Inner(1)])}))
