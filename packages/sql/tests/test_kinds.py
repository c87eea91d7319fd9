"""What a column holds is told from values, and a value that does not fit is told by name."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from decimal import Decimal

import pytest

from penstock import ConnectError, PluginError
from penstock_sql import database
from penstock_sql.kinds import convert, kind_of, wider


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        ({int}, "integer"),
        ({bool}, "boolean"),
        ({int, float}, "float"),
        ({int, float, Decimal}, "decimal"),
        ({dt.date, dt.datetime}, "datetime"),
        ({dict, list}, "json"),
        ({str, type(None)}, "text"),
        ({str, uuid.UUID}, "text"),
        ({Colour}, "text"),
        ({type(None)}, None),
        ({str, int}, None),
        ({bool, int}, None),
        (set(), None),
    ],
)
def test_the_kind_of_values(types, kind):
    assert kind_of(types) == kind


def test_no_kind_holds_text_and_numbers():
    assert wider("text", "integer") is None
    assert wider("integer", "integer") == "integer"


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("integer", "5", 5),
        ("integer", True, 1),
        ("integer", 5.0, 5),
        ("float", "2.5", 2.5),
        ("float", Decimal("2.5"), 2.5),
        ("decimal", "1.10", Decimal("1.10")),
        ("decimal", 0.1, Decimal("0.1")),
        ("boolean", "True", True),
        ("boolean", 0, False),
        ("text", uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ("text", Colour.RED, "red"),
        ("date", "2026-01-31", dt.date(2026, 1, 31)),
        ("date", dt.datetime(2026, 1, 31), dt.date(2026, 1, 31)),
        ("datetime", "2026-01-31T08:00:00Z", dt.datetime(2026, 1, 31, 8, tzinfo=dt.timezone.utc)),
        ("datetime", dt.date(2026, 1, 31), dt.datetime(2026, 1, 31)),
        ("time", "08:30", dt.time(8, 30)),
        ("binary", bytearray(b"a"), b"a"),
        ("json", {"a": [Decimal("1.5"), dt.date(2026, 1, 31)]}, '{"a": ["1.5", "2026-01-31"]}'),
        ("any", object, object),
        ("integer", None, None),
    ],
)
def test_a_value_that_fits_is_converted(kind, value, made):
    assert convert(kind, value) == made
    assert type(convert(kind, value)) is type(made)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("integer", "x", "holds whole numbers, got 'x'"),
        ("integer", 1.5, "holds whole numbers, got 1.5"),
        ("integer", float("inf"), "holds whole numbers, got inf"),
        ("float", "1_0", "holds numbers, got '1_0'"),
        ("decimal", "x", "holds decimal numbers, got 'x'"),
        ("boolean", 2, "holds true or false, got 2"),
        ("text", 5, "holds text, got 5"),
        (
            "date",
            dt.datetime(2026, 1, 31, 8),
            "holds dates, got datetime.datetime(2026, 1, 31, 8, 0)",
        ),
        ("datetime", 5, "holds dates with times, got 5"),
        ("time", "x", "holds times, got 'x'"),
        ("binary", "x", "holds bytes, got 'x'"),
        ("json", float("nan"), "holds JSON, got nan"),
        ("json", [{1, 2}], "holds JSON, got [{1, 2}]"),
    ],
)
def test_a_value_that_does_not_fit_says_what_the_column_holds(kind, value, message):
    with pytest.raises(ValueError) as caught:
        convert(kind, value)
    assert str(caught.value) == message


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr(database, "find_spec", lambda module: None)
    for url, sentence in {
        "postgresql://h/d": "postgresql needs the module psycopg; "
        "pip install 'penstock-sql[postgresql]'",
        "mariadb://h/d": "mariadb needs the module pymysql; pip install 'penstock-sql[mariadb]'",
    }.items():
        with pytest.raises(PluginError) as raised:
            database.Database(url)
        assert str(raised.value) == sentence


def test_a_folder_in_which_no_file_can_be_made_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(database.os, "access", lambda folder, mode: False)
    with pytest.raises(ConnectError) as raised:
        database.Database(f"sqlite:///{tmp_path}/new.db").connect()
    assert str(raised.value) == (
        f"{tmp_path}/new.db: folder {str(tmp_path)!r} must not be written to"
    )
