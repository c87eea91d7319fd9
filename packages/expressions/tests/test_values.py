"""Readers take what plainly is a value of the kind, and nothing else."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_expressions import KINDS, reader, shown


class Size(enum.IntEnum):
    BIG = 3


UTC = timezone.utc

READ = {
    "int": [
        ("12", 12),
        (" -12\t", -12),
        ("+007", 7),
        (5, 5),
        (True, 1),
        (Size.BIG, 3),
        (12.0, 12),
        (Decimal("12.0"), 12),
        (Decimal(0), 0),
    ],
    "float": [("1.5", 1.5), (" 1e3 ", 1000.0), (2, 2.0), (Decimal("0.1"), 0.1), (True, 1.0)],
    "decimal": [
        ("1.10", Decimal("1.10")),
        (0.1, Decimal("0.1")),
        (3, Decimal(3)),
        (Decimal("2.0"), Decimal("2.0")),
    ],
    "bool": [
        ("true", True),
        ("No", False),
        (" ON ", True),
        ("0", False),
        (1, True),
        (0.0, False),
        (False, False),
    ],
    "text": [
        ("x", "x"),
        (5, "5"),
        (1.5, "1.5"),
        (True, "true"),
        (Decimal("1.10"), "1.10"),
        (date(2024, 1, 2), "2024-01-02"),
        ({"a": ["é"]}, '{"a": ["é"]}'),
    ],
    "date": [
        ("2024-01-31", date(2024, 1, 31)),
        (" 2024-01-31 ", date(2024, 1, 31)),
        (date(2024, 1, 31), date(2024, 1, 31)),
        (datetime(2024, 1, 31, 10), date(2024, 1, 31)),
    ],
    "datetime": [
        ("2024-01-31", datetime(2024, 1, 31)),
        ("2024-01-31T10:20", datetime(2024, 1, 31, 10, 20)),
        ("2024-01-31 10:20:30.5Z", datetime(2024, 1, 31, 10, 20, 30, 500000, UTC)),
        ("2024-01-31T10:20:30,123456789", datetime(2024, 1, 31, 10, 20, 30, 123456)),
        (
            "2024-01-31T10:20:30+0530",
            datetime(2024, 1, 31, 10, 20, 30, 0, timezone(timedelta(hours=5.5))),
        ),
        ("2024-01-31t10:20z", datetime(2024, 1, 31, 10, 20, 0, 0, UTC)),
        (
            "2024-01-31 10:20 -03",
            datetime(2024, 1, 31, 10, 20, 0, 0, timezone(timedelta(hours=-3))),
        ),
        (date(2024, 1, 31), datetime(2024, 1, 31)),
        (datetime(2024, 1, 31, 1), datetime(2024, 1, 31, 1)),
    ],
    "json": [("[1, null]", [1, None]), ('"x"', "x"), ([1], [1]), (5, 5)],
}


@pytest.mark.parametrize(
    ("kind", "value", "wanted"), [(k, *pair) for k in READ for pair in READ[k]]
)
def test_a_value_of_the_kind_is_read(kind, value, wanted):
    got = reader(kind)(value)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_none_stays_none(kind):
    assert reader(kind)(None) is None


REFUSED = {
    "int": [
        "",
        "12.5",
        "1_000",
        "0x1f",
        "1e3",
        12.5,
        float("inf"),
        Decimal("1E+99999"),
        b"1",
        [1],
        "9" * 5000,
    ],
    "float": [
        "",
        "nan",
        "inf",
        "-Infinity",
        "1_0.0",
        "1e999",
        "1,5",
        float("nan"),
        b"1",
        [],
        10**400,
    ],
    "decimal": ["", "NaN", "Infinity", "1_0", "1,5", float("nan"), [], b"1", "x"],
    "bool": ["", "2", "maybe", 2, 0.5, [], b"1"],
    "text": [b"x", object, {"a": {1}}, [float("nan")]],
    "date": ["", "2024-02-30", "20240131", "2024-W05-3", "2024-01-31T10:00", "31.01.2024", 5],
    "datetime": [
        "",
        "10:20",
        "2024-W05",
        "2024-01-31T25:00",
        "2024-01-31T10:00 UTC",
        5,
        "2024-02-30",
    ],
    "json": ["", "{", "NaN", "[1] 2", b"1", "[" * 100_000],
}


@pytest.mark.parametrize(
    ("kind", "value"),
    [(k, value) for k in REFUSED for value in REFUSED[k]],
    ids=[f"{k}-{str(value)[:20]}" for k in REFUSED for value in REFUSED[k]],
)
def test_what_is_not_of_the_kind_is_refused_with_a_sentence(kind, value):
    with pytest.raises(ValueError) as caught:
        reader(kind)(value)
    assert str(caught.value) == f"cannot read {shown(value)} as {kind}"


def test_dates_are_read_in_a_format():
    read = reader("date", "%d.%m.%Y")
    assert [read("31.01.2024"), read("31.01.2024"), read(None)] == [date(2024, 1, 31)] * 2 + [None]
    assert read(datetime(2024, 1, 31, 5)) == date(2024, 1, 31)
    with pytest.raises(ValueError) as caught:
        read("2024-01-31")
    assert str(caught.value) == "cannot read '2024-01-31' as date in the format '%d.%m.%Y'"


def test_times_are_read_in_a_format():
    read = reader("datetime", "%d.%m.%Y %H:%M")
    assert read("31.01.2024 10:30") == datetime(2024, 1, 31, 10, 30)
    assert read(date(2024, 1, 31)) == datetime(2024, 1, 31)
    with pytest.raises(ValueError) as caught:
        read("31.01.2024")
    assert (
        str(caught.value) == "cannot read '31.01.2024' as datetime in the format '%d.%m.%Y %H:%M'"
    )


@pytest.mark.parametrize(("unit", "value"), [("unix", 1.5), ("unix", "1.5"), ("unix_ms", 1500)])
def test_times_are_counted_since_1970(unit, value):
    assert reader("datetime", unit)(value) == datetime(1970, 1, 1, 0, 0, 1, 500000, UTC)
    assert reader("datetime", unit)(None) is None


@pytest.mark.parametrize("value", ["x", 1e300, date(2024, 1, 1), []])
def test_what_counts_nothing_is_refused(value):
    with pytest.raises(ValueError) as caught:
        reader("datetime", "unix")(value)
    assert str(caught.value) == f"cannot read {value!r} as datetime in the format 'unix'"


@pytest.mark.parametrize("written", ["", "d.m.Y", "%Q", "%d.%m.%"])
def test_a_format_that_reads_nothing_is_refused(written):
    with pytest.raises(ValueError) as caught:
        reader("date", written)
    assert str(caught.value) == f"cannot be a format, got {written!r}; write one such as '%d.%m.%Y'"


def test_only_dates_and_times_have_formats():
    with pytest.raises(ValueError, match=r"^int takes no format$"):
        reader("int", "%d")


@given(st.integers())
def test_every_int_is_read_from_its_text(number):
    assert reader("int")(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_is_read_from_its_text(number):
    assert reader("float")(str(number)) == number
    assert float(reader("decimal")(number)) == number


@given(st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-9.5))])))
def test_every_time_is_read_from_its_text(time):
    assert reader("datetime")(time.isoformat()) == time


@given(st.text() | st.binary() | st.floats() | st.decimals() | st.lists(st.integers()))
def test_a_reader_reads_or_refuses(value):
    for kind in KINDS:
        try:
            reader(kind)(value)
        except ValueError as error:
            assert str(error).startswith("cannot read ")


def test_a_long_value_is_cut():
    assert shown("x" * 100) == repr("x" * 60)[:60] + "…"
    assert len(shown(list(range(1000)))) == 61
    assert shown("short") == "'short'"
