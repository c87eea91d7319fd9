"""Records become rows: what a table holds after a run, on every database."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

import penstock
from penstock import (
    Batch,
    Checkpoint,
    ConfigError,
    ConnectError,
    Context,
    RecordError,
    Rows,
    RunError,
)
from penstock.testing import ListInput
from penstock_sink_sql import SqlOutput


def load(place, records, **options) -> penstock.Report:
    options.setdefault("table", "t")
    return penstock.run(ListInput(values=records), SqlOutput(url=place.url, **options))


def written(place, batch: Batch, **options) -> list[tuple[Any, str]]:
    """Write one batch and commit it; the records that were refused, with the reasons."""
    output = SqlOutput(url=place.url, table="t", **options)
    output.open(Context("out", pipeline="p", run_id="r"))
    try:
        output.resume(None, 0)
        failures = output.write(batch) or ()
        output.commit(penstock.Checkpoint("p", "r", 1))
        return [(failure.record, str(failure.error)) for failure in failures]
    finally:
        output.close()


# ---- tables made from records -------------------------------------------------------------------

EVERYTHING = {
    "whole": 7,
    "number": 2.5,
    "exact": Decimal("1.10"),
    "truth": True,
    "words": "Łódź 'x' \"y\"",
    "day": dt.date(2026, 1, 31),
    "moment": dt.datetime(2026, 1, 31, 8, 30),
    "zoned": dt.datetime(2026, 1, 31, 8, 30, tzinfo=dt.timezone.utc),
    "hour": dt.time(8, 30),
    "raw": b"\x00\xff",
    "nested": {"a": [1, None]},
}


def test_a_table_is_made_from_the_types_of_the_first_records(place):
    load(place, [EVERYTHING, dict.fromkeys(EVERYTHING)])
    columns = place.columns()
    assert list(columns) == list(EVERYTHING)
    if place.dialect == "postgresql":
        assert columns == {
            "whole": "BIGINT",
            "number": "DOUBLE PRECISION",
            "exact": "NUMERIC",
            "truth": "BOOLEAN",
            "words": "TEXT",
            "day": "DATE",
            "moment": "TIMESTAMP",
            "zoned": "TIMESTAMP",
            "hour": "TIME",
            "raw": "BYTEA",
            "nested": "JSONB",
        }
    if place.dialect == "mariadb":
        assert {name: kind.partition(" ")[0] for name, kind in columns.items()} == {
            "whole": "BIGINT",
            "number": "DOUBLE",
            "exact": "DECIMAL(65,",
            "truth": "TINYINT",
            "words": "LONGTEXT",
            "day": "DATE",
            "moment": "DATETIME",
            "zoned": "DATETIME",
            "hour": "TIME",
            "raw": "LONGBLOB",
            "nested": "LONGTEXT",
        }


def test_every_value_comes_back(place):
    load(place, [EVERYTHING, dict.fromkeys(EVERYTHING)])
    first, second = place.rows()
    row = dict(zip(EVERYTHING, first, strict=True))
    if place.dialect == "sqlite":
        assert row["exact"] == "1.10"
        assert row["day"] == "2026-01-31"
        assert row["moment"] == "2026-01-31 08:30:00"
        assert row["zoned"] == "2026-01-31 08:30:00+00:00"
        assert row["hour"] == "08:30:00"
        assert json.loads(row["nested"]) == EVERYTHING["nested"]
        same = {"whole", "number", "truth", "words", "raw"}
    elif place.dialect == "mariadb":
        assert row["zoned"] == dt.datetime(2026, 1, 31, 8, 30)
        assert row["hour"] == dt.timedelta(hours=8, minutes=30)
        assert json.loads(row["nested"]) == EVERYTHING["nested"]
        same = set(EVERYTHING) - {"zoned", "hour", "nested"}
    else:
        same = set(EVERYTHING)
    assert {name: row[name] for name in same} == {name: EVERYTHING[name] for name in same}
    assert set(second) == {None}


def test_rows_of_a_table_need_no_dicts(place):
    assert written(place, Batch(Rows(("a", "b"), [(1, "x"), (2, None)]))) == []
    assert place.rows() == [(1, "x"), (2, None)]


def test_names_are_quoted_and_values_bound(place):
    names = {'a "b"': 1, "select": 2, "x; DROP TABLE t": 3, "Ünï": "'); DROP TABLE t; --", "50%": 5}
    load(place, [names, names])
    assert list(place.columns()) == list(names)
    assert place.rows() == [tuple(names.values())] * 2


def test_records_with_other_keys_get_null(place):
    load(place, [{"a": 1, "b": 2}, {"b": 3}, {"a": 4}])
    assert sorted(place.rows(), key=str) == sorted([(1, 2), (None, 3), (4, None)], key=str)


def test_the_kinds_of_columns_may_be_declared(place):
    load(
        place,
        [{"id": "1", "at": "2026-01-31"}],
        columns={"id": "integer", "at": "date", "no": "text"},
    )
    day = "2026-01-31" if place.dialect == "sqlite" else dt.date(2026, 1, 31)
    assert place.rows() == [(1, day, None)]


def test_a_key_is_the_primary_key_of_a_new_table(place):
    report = load(place, [{"id": 1}, {"id": 1}, {"id": 2}], key=["id"])
    assert place.rows() == [(1,), (2,)]
    assert report.letters == 1


def test_more_rows_than_fit_into_one_statement(place):
    count = 2345
    load(place, [{"id": n, "text": f"record {n}"} for n in range(count)])
    assert place.rows() == [(n, f"record {n}") for n in range(count)]


def test_more_columns_than_sqlite_takes_in_a_hundred_rows(place):
    record = {f"column_{n}": n for n in range(600)}
    load(place, [record] * 150)
    assert place.rows() == [tuple(range(600))] * 150


# ---- modes --------------------------------------------------------------------------------------


def test_append_adds_to_what_is_there(place):
    load(place, [{"a": 1}])
    load(place, [{"a": 2}])
    assert place.rows() == [(1,), (2,)]


def test_upsert_changes_rows_of_the_same_key(place):
    load(place, [{"id": 1, "n": 1}, {"id": 2, "n": 2}], mode="upsert", key=["id"])
    load(place, [{"id": 2, "n": 20}, {"id": 3, "n": 3}], mode="upsert", key=["id"])
    assert place.rows() == [(1, 1), (2, 20), (3, 3)]


def test_of_records_with_one_key_the_last_counts(place):
    records = [{"id": 1, "n": n} for n in range(1500)]
    load(place, records, mode="upsert", key=["id"])
    assert place.rows() == [(1, 1499)]


def test_an_older_version_changes_nothing(place):
    options = {"mode": "upsert", "key": ["id"], "version": "at"}
    load(place, [{"id": 1, "at": 5, "n": 1}, {"id": 2, "at": 5, "n": 2}], **options)
    late = [{"id": 1, "at": 4, "n": 10}, {"id": 2, "at": 6, "n": 20}, {"id": 3, "at": 0, "n": 30}]
    assert load(place, late, **options).balance.holds
    assert place.rows() == [(1, 5, 1), (2, 6, 20), (3, 0, 30)]
    load(place, [{"id": 2, "at": 6, "n": 21}], **options)  # the same version: the last one counts
    assert place.rows() == [(1, 5, 1), (2, 6, 21), (3, 0, 30)]


def test_a_row_without_a_version_is_older_than_any(place):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, 1)")
    load(place, [{"id": 1, "n": 2, "at": 1}], mode="upsert", key=["id"], version="at")
    assert place.rows() == [(1, 2, 1)]


def test_of_records_with_one_key_the_newest_counts(place):
    records = [{"id": 1, "at": at, "n": n} for n, at in enumerate([3, 1, 7, 7, 2])]
    records += [{"id": 2, "at": 1, "n": 5}]
    load(place, records, mode="upsert", key=["id"], version="at")
    assert place.rows() == [(1, 7, 3), (2, 1, 5)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"id": 2, "n": 1}, "'at', which is the version, is empty"),
        ({"id": 2, "n": 1, "at": None}, "'at', which is the version, is empty"),
    ],
)
def test_a_record_without_its_version_is_set_aside(place, record, reason):
    batch = Batch([{"id": 1, "n": 1, "at": 1}, record])
    options = {"mode": "upsert", "key": ["id"], "version": "at"}
    assert written(place, batch, **options) == [(record, reason)]


def test_a_batch_without_the_version_is_set_aside(place):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)")
    options = {"mode": "upsert", "key": ["id"], "version": "at"}
    [(_, reason)] = written(place, Batch([{"id": 1}]), **options)
    assert reason == "has no 'at', which is the version"


def test_upsert_of_nothing_but_keys(place):
    for _ in range(2):
        load(place, [{"a": 1, "b": 1}, {"a": 1, "b": 2}], mode="upsert", key=["a", "b"])
    assert place.rows() == [(1, 1), (1, 2)]


def test_upsert_needs_something_that_tells_rows_apart(place):
    place.do("CREATE TABLE t (id INTEGER, n INTEGER)")
    with pytest.raises(RunError) as caught:
        load(place, [{"id": 1}], mode="upsert", key=["id"])
    assert "table 't' has no primary key or unique index on id" in str(caught.value)


def test_upsert_takes_a_unique_index(place):
    place.do("CREATE TABLE t (id INTEGER, n INTEGER)", "CREATE UNIQUE INDEX one ON t (id)")
    load(place, [{"id": 1, "n": 1}], mode="upsert", key=["id"])
    load(place, [{"id": 1, "n": 2}], mode="upsert", key=["id"])
    assert place.rows() == [(1, 2)]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": 1}, "'id', which is of the key, is empty"),
        ({"id": None, "n": 1}, "'id', which is of the key, is empty"),
    ],
)
def test_a_record_without_its_key_is_set_aside(place, record, reason):
    batch = Batch([{"id": 1, "n": 1}, record])
    assert written(place, batch, mode="upsert", key=["id"]) == [(record, reason)]


def test_a_batch_without_the_key_is_set_aside(place):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    [(_, reason)] = written(place, Batch([{"n": 1}]), mode="upsert", key=["id"])
    assert reason == "has no 'id', which is of the key"


def test_replace_puts_a_new_table_in_the_place_of_the_old_one(place):
    place.do("CREATE TABLE t (old INTEGER)", "INSERT INTO t VALUES (1)")
    for _ in range(2):
        load(place, [{"new": "x"}, {"new": "y"}], mode="replace")
        assert place.rows() == [("x",), ("y",)]
    assert place.tables() == {"t", "penstock_checkpoints"}


def test_replace_by_nothing_empties_the_table(place):
    place.do("CREATE TABLE t (old INTEGER)", "INSERT INTO t VALUES (1)")
    load(place, [], mode="replace")
    assert place.rows() == []


def test_replace_by_nothing_makes_a_table_that_was_declared(place):
    load(place, [], mode="replace", columns={"id": "integer"})
    assert list(place.columns()) == ["id"]


def test_the_old_table_is_there_until_the_run_has_ended_well(place):
    place.do("CREATE TABLE t (old INTEGER)", "INSERT INTO t VALUES (1)")
    values = [{"new": 1}, penstock.testing.Raise(OSError("gone"))]
    with pytest.raises(penstock.PenstockError, match="gone"):
        load(place, values, mode="replace")
    assert place.rows() == [(1,)]
    load(place, [{"new": 2}], mode="replace")
    assert place.rows() == [(2,)]


# ---- tables that grow ---------------------------------------------------------------------------


def test_a_new_column_is_added(place):
    load(place, [{"a": 1}, {"a": 2}])
    load(place, [{"a": 3, "b": "new"}])
    assert place.rows() == [(1, None), (2, None), (3, "new")]


def test_a_column_that_was_always_empty_waits_for_its_first_value(place):
    load(place, [{"a": 1, "b": None}])
    assert list(place.columns()) == ["a"]
    load(place, [{"a": 2, "b": 2.5}])
    assert place.rows() == [(1, None), (2, 2.5)]


def test_whole_numbers_are_widened_when_fractions_come(place):
    load(place, [{"a": 1}])
    load(place, [{"a": 2.5}])
    assert place.rows() == [(1,), (2.5,)]


def test_a_frozen_table_stops_the_run(place):
    load(place, [{"a": 1}])
    with pytest.raises(RunError) as caught:
        load(place, [{"a": 2, "b": 2}], evolution="freeze")
    assert "there is no column 'b'; add it, leave it out of the records" in str(caught.value)
    assert place.rows() == [(1,)]


def test_a_quarantine_sets_aside_what_has_other_columns(place):
    load(place, [{"a": 1}])
    strange = {"a": 2, "b": 2}
    batch = Batch([{"a": 3}, strange, {"a": 4, "c": None}])
    assert written(place, batch, evolution="quarantine") == [
        (strange, "there is no column 'b' in table 't'")
    ]
    assert place.rows() == [(1,), (3,), (4,)]


# ---- records that are refused -------------------------------------------------------------------


def test_a_bad_record_does_not_take_others_with_it(place):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n < 100))")
    bad = {17, 18, 200, 511}
    records = [{"id": n, "n": 100 if n in bad else 1} for n in range(512)]
    refused = written(place, Batch(records))
    assert [record["id"] for record, _ in refused] == sorted(bad)
    assert all(
        "check constraint" in reason.lower() or "CONSTRAINT" in reason for _, reason in refused
    )
    assert [row[0] for row in place.rows()] == [n for n in range(512) if n not in bad]


def test_the_reason_shows_no_statement_and_no_other_values(place):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)")
    [(_, reason)] = written(place, Batch([{"id": 1, "n": "secret"}, {"id": 1, "n": "secret"}]))
    assert "INSERT" not in reason
    assert "COPY" not in reason
    assert "secret" not in reason
    assert "http" not in reason


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"n": "x"}, "column 'n' holds whole numbers, got 'x'"),
        ({"n": [1]}, "column 'n' holds whole numbers, got [1]"),
        ("text", "is no mapping with keys, so it has no columns"),
        ({}, "is no mapping with keys, so it has no columns"),
        ({1: 2}, "has a key that is no text or is empty"),
        ({"": 2}, "has a key that is no text or is empty"),
    ],
)
def test_a_record_that_is_no_row_is_set_aside(place, record, reason):
    batch = Batch([{"n": 1}, record, {"n": 2}], ordinals=[5, 6, 7])
    place.do("CREATE TABLE t (n INTEGER)")
    assert written(place, batch) == [(record, reason)]
    assert place.rows() == [(1,), (2,)]


def test_text_is_converted_to_what_the_column_holds(place):
    place.do("CREATE TABLE t (n INTEGER, d DATE, f FLOAT, b BOOLEAN)")
    load(place, [{"n": "5", "d": "2026-01-31", "f": "2.5", "b": "true"}])
    day = "2026-01-31" if place.dialect == "sqlite" else dt.date(2026, 1, 31)
    assert place.rows() == [(5, day, 2.5, True)]


@pytest.mark.parametrize("value", [10**5000, [10**5000]], ids=["by itself", "in a list"])
@pytest.mark.parametrize("column", ["INTEGER", "TEXT", "FLOAT"])
def test_a_number_that_cannot_be_written_as_text_is_set_aside(place, column, value):
    """Python refuses to, with advice for programmers that would be wrong for who has a pipeline."""
    place.do(f"CREATE TABLE t (n {column})")
    [(record, reason)] = written(
        place, Batch([{"n": 1 if column != "TEXT" else "1"}, {"n": value}])
    )
    assert record == {"n": value}
    assert "sys." not in reason
    assert "too many digits" in reason or "too large" in reason or "out of range" in reason
    assert len(place.rows()) == 1


def test_a_number_too_large_for_the_database_is_set_aside(place):
    [(_, reason)] = written(place, Batch([{"n": 1}, {"n": 2**70}]))
    assert "too large" in reason or "out of range" in reason.lower()
    assert place.rows() == [(1,)]


def test_text_that_the_database_cannot_keep_is_set_aside(place):
    refused = written(place, Batch([{"s": "a"}, {"s": "\ud800"}]))
    assert [record for record, _ in refused] == [{"s": "\ud800"}]
    assert place.rows() == [("a",)]


def test_sqlite_would_make_a_nan_null(sqlite):
    refused = written(sqlite, Batch([{"f": 1.5}, {"f": float("nan")}, {"f": None}]))
    assert [reason for _, reason in refused] == ["column 'f' cannot hold nan in this database"]
    assert sqlite.rows() == [(1.5,), (None,)]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("-inf")])
def test_mariadb_has_no_such_number(mariadb, number):
    refused = written(mariadb, Batch([{"f": 1.5}, {"f": number}, {"f": None}]))
    assert len(refused) == 1
    assert "cannot hold" in refused[0][1]
    assert mariadb.rows() == [(1.5,), (None,)]


def test_mariadb_keeps_times_with_an_offset_as_utc(mariadb):
    zone = dt.timezone(dt.timedelta(hours=2))
    load(mariadb, [{"at": dt.datetime(2026, 1, 31, 8, 30, 0, 5, tzinfo=zone)}])
    load(mariadb, [{"at": "2026-01-31T08:30:00+02:00"}, {"at": "2026-01-31 08:30:00"}])
    hours = [(at.hour, at.microsecond) for [at] in mariadb.rows()]
    assert sorted(hours) == [(6, 0), (6, 5), (8, 0)]


def test_texts_that_differ_are_different_keys(place):
    records = [{"id": text} for text in ("a", "A", "á", "a ")]
    assert load(place, records, key=["id"]).letters == 0
    load(place, records, mode="upsert", key=["id"])
    assert len(place.rows()) == 4


def test_nested_values_are_appended(place):
    for _ in range(2):
        load(place, [{"a b%`": {"n": [1]}, "text": "x"}])
    assert len(place.rows()) == 2


def test_upsert_of_columns_with_strange_names(place):
    for n in (1, 2):
        load(place, [{"50%": 1, 'a "b"`': n, "%s": n}], mode="upsert", key=["50%"])
    assert place.rows() == [(1, 2, 2)]


def test_a_table_without_transactions_is_refused(mariadb):
    mariadb.do("CREATE TABLE t (a INTEGER) ENGINE=Aria")
    with pytest.raises(RunError) as caught:
        load(mariadb, [{"a": 1}])
    assert "table 't' is kept by Aria, which has no transactions; ALTER TABLE" in str(caught.value)


def test_a_trigger_that_objects_refuses_the_record(mariadb):
    objects = "IF NEW.n > 5 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'too many'; END IF"
    mariadb.do(
        "CREATE TABLE t (n INTEGER)", f"CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW {objects}"
    )
    assert written(mariadb, Batch([{"n": 1}, {"n": 9}, {"n": 2}])) == [({"n": 9}, "too many")]
    assert mariadb.rows() == [(1,), (2,)]


def test_text_that_is_too_long_is_set_aside(mariadb):
    mariadb.do("CREATE TABLE t (s VARCHAR(3))")
    [(record, _)] = written(mariadb, Batch([{"s": "abc"}, {"s": "abcd"}]))
    assert record == {"s": "abcd"}


def test_failures_are_of_the_record_and_keep_its_ordinal(place):
    output = SqlOutput(url=place.url, table="t", key=["id"])
    output.open(Context("out", pipeline="p", run_id="r"))
    [failure] = output.write(Batch([{"id": 1}, {"id": 1}], ordinals=[41, 42]))
    output.close()
    assert failure.ordinal == 42
    assert isinstance(failure.error, RecordError)


# ---- what can be wrong before anything is written -----------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "shop.db"}, "url: must begin with sqlite://, postgresql://"),
        ({"table": " "}, "table: must not be empty"),
        ({"mode": "upsert"}, "mode 'upsert' needs the key"),
        ({"version": "at"}, "version is for mode 'upsert'"),
        ({"mode": "upsert", "key": ["a"], "version": "a"}, "version is 'a', which is of the key"),
        ({"key": ["a", "a"]}, "key names 'a' twice"),
        ({"columns": {"a": "number"}}, "columns.a: must be 'integer', 'float'"),
        ({"evolution": "grow"}, "evolution: must be 'evolve', 'freeze' or 'quarantine'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError) as caught:
        SqlOutput(**{"url": "sqlite:///a.db", "table": "t", **options})
    assert message in str(caught.value)


def test_a_wrong_url_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        SqlOutput(url="http://user:hidden@host", table="t")
    assert "hidden" not in str(caught.value)


def test_the_url_is_not_shown():
    assert "hidden" not in repr(SqlOutput(url="postgresql://shop:hidden@host/db", table="t"))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConnectError) as caught:
        SqlOutput(url=f"sqlite:///{tmp_path}/no/a.db", table="t").open(Context("out"))
    assert f"there is no folder '{tmp_path}/no'; make it first" in str(caught.value)


def test_a_server_that_is_not_there():
    url = "postgresql://shop:hidden@127.0.0.1:1/shop"
    with pytest.raises(ConnectError) as caught:
        SqlOutput(url=url, table="t").open(Context("out"))
    assert "postgresql://shop:***@127.0.0.1:1/shop cannot be reached: connection failed" in str(
        caught.value
    )
    assert "hidden" not in str(caught.value)


def test_checking_makes_no_file(tmp_path):
    output = SqlOutput(url=f"sqlite:///{tmp_path}/a.db", table="t")
    output.open(Context("out"))
    output.close()
    assert (tmp_path / "a.db").exists() is False


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "a.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(penstock.PenstockError, match="file is not a database"):
        penstock.run(
            ListInput(values=[{"a": 1}]), SqlOutput(url=f"sqlite:///{tmp_path}/a.db", table="t")
        )


def test_a_second_run_may_write_what_the_first_one_made_the_table_for(place):
    """SQLite has only text for most of these."""
    record = {
        "id": 1,
        "price": Decimal("12.50"),
        "day": dt.date(2026, 1, 31),
        "at": dt.datetime(2026, 1, 31, 12, 30),
        "time": dt.time(12, 30),
    }
    for number in (1, 2):
        batch = Batch([{**record, "id": number}])
        output = SqlOutput(url=place.url, table="t")
        output.open(Context("out", pipeline="p"))
        try:
            output.resume(None, number - 1)
            assert not output.write(batch)
            output.commit(Checkpoint("p", "r", number))
        finally:
            output.close()
    first, second = place.rows()
    assert first[1:] == second[1:]
