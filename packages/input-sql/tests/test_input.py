"""Rows become records, each once, wherever reading is cut off."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock
from penstock import ConfigError, ConnectError, Context, RunError
from penstock.testing import FakeClock, ListOutput
from penstock_input_sql import SqlInput


def batches(source, position=None):
    """What an opened input reads after a position: (records, position after them)."""
    positions = {} if position is None else {"in": json.loads(json.dumps(position))}
    return [(list(batch.records), batch) for batch in source.read(positions)]


def read(place, position=None, **options):
    options = {"table": "t", **options} if "query" not in options else options
    source = SqlInput(url=place.url, **options)
    source.open(Context("in", clock=FakeClock()))
    try:
        found = batches(source, position)
    finally:
        source.close()
    return [record for records, _ in found for record in records], found


def fill(place, rows=10):
    place.do("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20))")
    place.do(*(f"INSERT INTO t VALUES ({n}, 'name {n}')" for n in range(rows, 0, -1)))


WHOLE = [{"id": n, "name": f"name {n}"} for n in range(1, 11)]

# ---- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 10, 1000])
def test_a_table_is_read_in_the_order_of_its_key(place, batch_size):
    fill(place)
    records, found = read(place, batch_size=batch_size)
    assert records == WHOLE
    ordinals = [n for _, batch in found for n in batch.ordinals]
    assert ordinals == list(range(1, 11))


def test_an_empty_table_has_no_batches(place):
    fill(place, 0)
    assert read(place) == ([], [])


def test_some_columns(place):
    fill(place, 2)
    assert read(place, columns=["name"])[0] == [{"name": "name 1"}, {"name": "name 2"}]


def test_a_query(place):
    fill(place)
    query = "SELECT id * 2 AS twice, '10:30 is 50% :name' AS text FROM t WHERE id <= 3 -- some;"
    records, _ = read(place, query=query, order_by=["twice"], batch_size=2)
    assert records == [{"twice": n, "text": "10:30 is 50% :name"} for n in (2, 4, 6)]


def test_a_composite_key_and_strange_names(place):
    table, a, b, c = map(place.database.quoted, ("my t", "a b", "select", "50%"))
    columns = f"{a} INTEGER, {b} VARCHAR(9), {c} INTEGER".replace("%%", "%")
    place.do(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({a}, {b}))")
    place.do(*(f"""INSERT INTO {table} VALUES ({n // 3}, 'x{n % 3}', {n})""" for n in range(9)))
    records, _ = read(place, table="my t", batch_size=2)
    assert [record["50%"] for record in records] == list(range(9))


def test_equal_keys_are_not_cut_by_a_page(place):
    place.do("CREATE TABLE t (k INTEGER, n INTEGER)")
    place.do(
        *(
            f"INSERT INTO t VALUES ({k}, {n})"
            for k, n in [(1, 0)] + [(2, n) for n in range(9)] + [(3, 0)]
        )
    )
    records, found = read(place, order_by=["k"], batch_size=2)
    assert sorted((r["k"], r["n"]) for r in records) == [
        (1, 0),
        *((2, n) for n in range(9)),
        (3, 0),
    ]
    assert [{r["k"] for r in records} for records, _ in found] == [{1}, {2, 3}]


def test_sqlite_values_are_what_their_column_says(sqlite):
    sqlite.do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE, m DATETIME, h TIME, b BOOLEAN, j JSON, n NUMERIC)",
        "INSERT INTO t VALUES (1, '2026-01-31', '2026-01-31 08:30:00', '08:30:00', 1, '{\"a\": 1}', 1.5)",
        "INSERT INTO t VALUES (2, 'soon', 5, NULL, 7, '{', 'x')",
    )
    records, _ = read(sqlite)
    assert records == [
        {
            "id": 1,
            "d": dt.date(2026, 1, 31),
            "m": dt.datetime(2026, 1, 31, 8, 30),
            "h": dt.time(8, 30),
            "b": True,
            "j": {"a": 1},
            "n": 1.5,
        },
        {"id": 2, "d": "soon", "m": 5, "h": None, "b": 7, "j": "{", "n": "x"},
    ]


def test_postgresql_values_are_what_the_driver_gives(postgres):
    postgres.do(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, d DATE, j JSONB, a INTEGER[], n NUMERIC)",
        "INSERT INTO t VALUES (1, '2026-01-31', '{\"a\": 1}', '{1,2}', 1.10)",
    )
    [record], _ = read(postgres)
    assert record["j"] == {"a": 1}
    assert record["a"] == [1, 2]
    assert record["d"] == dt.date(2026, 1, 31)
    assert str(record["n"]) == "1.10"


def test_mariadb_values_are_what_their_column_says(mariadb):
    mariadb.do(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, d DATE, h TIME, b BOOLEAN, j JSON, n DECIMAL(9,2))",
        "INSERT INTO t VALUES (1, '2026-01-31', '08:30:00', 1, '{\"a\": 1}', 1.10)",
        "INSERT INTO t VALUES (2, NULL, '-30:00:00', 7, NULL, NULL)",
    )
    first, second = read(mariadb)[0]
    assert first == {
        "id": 1,
        "d": dt.date(2026, 1, 31),
        "h": dt.time(8, 30),
        "b": True,
        "j": {"a": 1},
        "n": Decimal("1.10"),
    }
    assert first["b"] is True
    assert (second["h"], second["b"]) == (-dt.timedelta(hours=30), 7)


CASELESS = {
    "sqlite": "VARCHAR(9) COLLATE NOCASE",
    "postgres": "VARCHAR(9) COLLATE caseless",
    "mariadb": "VARCHAR(9) COLLATE latin1_general_ci",
}


@pytest.mark.parametrize("batch_size", [1, 2, 3])
@pytest.mark.parametrize("system", CASELESS)
def test_texts_that_the_database_takes_for_equal_are_not_cut(request, system, batch_size):
    place = request.getfixturevalue(system)
    if system == "postgres":
        place.do(
            "CREATE COLLATION caseless "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    place.do(f"CREATE TABLE t (k {CASELESS[system]}, n INTEGER)")
    place.do(*(f"INSERT INTO t VALUES ('{k}', {n})" for n, k in enumerate("abBBbAcaC")))
    records, found = read(place, order_by=["k"], batch_size=batch_size)
    assert sorted(record["n"] for record in records) == list(range(9))
    for index, (_, batch) in enumerate(found):
        rest, _ = read(place, batch.resume, order_by=["k"], batch_size=batch_size)
        assert len(rest) == sum(len(records) for records, _ in found[index + 1 :])


# ---- resuming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_reading_goes_on_after_every_position(place, batch_size):
    fill(place)
    _, found = read(place, batch_size=batch_size)
    for index, (_, batch) in enumerate(found):
        rest = [record for records, _ in found[index + 1 :] for record in records]
        again, parts = read(place, batch.resume, batch_size=3)
        assert again == rest
        if parts:
            assert parts[0][1].ordinals[0] == batch.ordinals[-1] + 1


@settings(max_examples=40, deadline=None)
@given(
    keys=st.lists(st.tuples(st.integers(-3, 3), st.text("aÄ'", max_size=2)), max_size=30),
    size=st.integers(1, 7),
    cut=st.integers(0, 10),
)
def test_every_row_comes_once_whatever_the_keys_are(tmp_path_factory, keys, size, cut):
    path = tmp_path_factory.mktemp("db") / "a.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (a INTEGER, b TEXT, n INTEGER)")
        db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(*key, n) for n, key in enumerate(keys)])
    db.close()
    source = SqlInput(url=f"sqlite:///{path}", table="t", order_by=["a", "b"], batch_size=size)
    source.open(Context("in"))
    found = batches(source)[: cut + 1]
    rest = batches(source, found[-1][1].resume) if found else []
    source.close()
    numbers = [record["n"] for records, _ in [*found, *rest] for record in records]
    assert sorted(numbers) == list(range(len(keys)))


def test_a_position_of_another_order_is_refused(place):
    fill(place)
    _, [(_, batch)] = read(place)
    with pytest.raises(RunError) as caught:
        read(place, batch.resume, order_by=["name"])
    assert str(caught.value) == (
        "the kept position is in the order of id, rows are read by name; "
        "put the order back, or start over with --fresh"
    )


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("TIMESTAMPTZ", "2026-01-31 08:30:00"),
        ("TIMESTAMPTZ", "2026-01-31 08:30:00.25+00:00"),
        ("UUID", "0b8f6a52-7a0e-4d0e-9c55-3f1f8c1d2e4a"),
    ],
)
def test_a_key_of_any_type_survives_as_json(postgres, kind, key):
    postgres.do(f"CREATE TABLE t (at {kind} PRIMARY KEY)", f"INSERT INTO t VALUES ('{key}')")
    _, [(_, batch)] = read(postgres)
    assert read(postgres, batch.resume) == ([], [])


# ---- cursors ------------------------------------------------------------------------------------


def test_a_cursor_goes_on_in_the_next_run(place):
    place.do(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER)", "INSERT INTO t VALUES (1, 5), (2, 3)"
    )
    store, output = penstock.MemoryStore(), ListOutput()
    source = SqlInput(url=place.url, table="t", cursor="at")

    def run():
        penstock.run(source, output, store=store)
        return [record["id"] for record in output.values]

    assert source.finite is False
    assert run() == [2, 1]
    assert run() == []
    place.do("INSERT INTO t VALUES (3, 5), (4, 6), (5, NULL)")
    assert run() == [3, 4]


def test_a_table_without_a_cursor_is_read_again(place):
    fill(place)
    store, output = penstock.MemoryStore(), ListOutput()
    for _ in range(2):
        penstock.run(SqlInput(url=place.url, table="t"), output, store=store)
        assert output.values == WHOLE


# ---- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "n"), [(10, 1), (10, 3), (10, 4), (2, 5), (0, 3)])
def test_parts_together_read_the_same_rows(place, rows, n):
    fill(place, rows)
    parts = SqlInput(url=place.url, table="t", batch_size=2).split(n)
    found = []
    for part in parts:
        part.open(Context("in"))
        found.append([record for records, _ in batches(part) for record in records])
        part.close()
    assert [record for part in found for record in part] == WHOLE[:rows]
    assert len(parts) <= n
    if rows >= n:
        assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_part_is_cut_off_and_resumed_as_the_whole_is(place):
    fill(place)
    _, part = SqlInput(url=place.url, table="t", batch_size=2).split(2)
    part.open(Context("in"))
    (first, batch), *_ = batches(part)
    rest = [record for records, _ in batches(part, batch.resume) for record in records]
    part.close()
    assert first + rest == WHOLE[5:]


# ---- reading is all it does ---------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["DELETE FROM t RETURNING id", "DELETE FROM t"])
def test_a_query_that_is_no_select_is_refused(place, statement):
    fill(place)
    with pytest.raises(ConnectError, match="cannot be read"):
        read(place, query=statement, order_by=["id"])
    assert len(place.rows()) == 10


def test_a_function_that_writes_is_refused(postgres):
    fill(postgres)
    postgres.do(
        "CREATE FUNCTION harm() RETURNS INTEGER AS $$ BEGIN DELETE FROM t; RETURN 1; END $$ LANGUAGE plpgsql"
    )
    with pytest.raises(RunError, match="read-only transaction"):
        read(postgres, query="SELECT id, harm() FROM t", order_by=["id"])
    assert len(postgres.rows()) == 10


def test_a_run_sees_a_server_as_it_was_at_its_beginning(server):
    fill(server)
    source = SqlInput(url=server.url, table="t", batch_size=4)
    source.open(Context("in"))
    reading = source.read({})
    first = next(reading)
    server.do("DELETE FROM t WHERE id = 9", "INSERT INTO t VALUES (11, 'late')")
    rest = [record for batch in reading for record in batch.records]
    source.close()
    assert [*first.records, *rest] == WHOLE


def test_others_may_write_between_pages_of_sqlite(sqlite):
    fill(sqlite)
    source = SqlInput(url=sqlite.url, table="t", batch_size=4)
    source.open(Context("in"))
    reading = source.read({})
    first = next(reading)
    sqlite.do("INSERT INTO t VALUES (11, 'late')")
    rest = [record for batch in reading for record in batch.records]
    source.close()
    assert [*first.records, *rest] == [*WHOLE, {"id": 11, "name": "late"}]


def test_a_lost_connection_is_made_again(server):
    fill(server)
    clock = FakeClock()
    source = SqlInput(url=server.url, table="t", batch_size=4)
    source.open(Context("in", clock=clock))
    reading = source.read({})
    first = next(reading)
    server.cut_all()
    rest = [record for batch in reading for record in batch.records]
    source.close()
    assert [*first.records, *rest] == WHOLE
    assert len(clock.slept) == 1


def test_a_table_that_goes_away_while_it_is_read(sqlite):
    fill(sqlite)
    source = SqlInput(url=sqlite.url, table="t", batch_size=4)
    source.open(Context("in"))
    reading = source.read({})
    next(reading)
    sqlite.do("DROP TABLE t")
    with pytest.raises(RunError, match="no such table: t"):
        list(reading)
    source.close()


def test_a_file_that_is_read_and_written_at_once(sqlite):
    fill(sqlite)
    source = SqlInput(url=sqlite.url, table="t")
    source.open(Context("in", clock=FakeClock()))
    source._pages.database.engine.dispose()
    holder = sqlite3.connect(sqlite.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    source._pages.database = type(source._pages.database)(sqlite.url, lock_timeout=0.01)
    with pytest.raises(RunError) as caught:
        list(source.read({}))
    holder.close()
    source.close()
    assert str(caught.value) == (
        "database is locked; if a pipeline reads and writes one file, "
        "set PRAGMA journal_mode=WAL on it once"
    )


# ---- what can be wrong before anything is read --------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either a table or a query"),
        ({"table": "t", "query": "SELECT 1"}, "give either a table or a query"),
        ({"query": "SELECT 1"}, "a query needs order_by: the columns that give each row its place"),
        ({"query": "SELECT 1", "cursor": "a", "schema": "s"}, "the schema is of a table"),
        ({"table": "t", "batch_size": 0}, "batch_size: must be at least 1, got 0"),
        ({"table": "t", "url": "x"}, "url: must begin with sqlite://"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError) as caught:
        SqlInput(**{"url": "sqlite:///a.db", **options})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "tt"}, "there is no table 'tt'; did you mean 't'?"),
        (
            {"table": "loose"},
            "table 'loose' has no primary key; name the columns that give each row its place in order_by",
        ),
        ({"columns": ["nam"]}, "there is no column 'nam'; did you mean 'name'?"),
        ({"cursor": "zzz"}, "there is no column 'zzz'; there are id, name"),
        (
            {"table": "loose", "order_by": ["a"]},
            "a row has no value in a, so it has no place in the order; leave such rows out by a query",
        ),
        ({"query": "SELECT * FROM nowhere", "order_by": ["a"]}, "cannot be read:"),
    ],
)
def test_what_cannot_be_read_is_said_before_the_run(place, options, message):
    fill(place)
    place.do("CREATE TABLE loose (a INTEGER)", "INSERT INTO loose VALUES (NULL)")
    with pytest.raises(ConnectError) as caught:
        read(place, **options)
    assert message in str(caught.value)


def test_a_database_that_is_not_there(tmp_path):
    with pytest.raises(ConnectError) as caught:
        SqlInput(url=f"sqlite:///{tmp_path}/a.db", table="t").open(Context("in"))
    assert str(caught.value) == f"there is no database '{tmp_path}/a.db'; look at the url"
    assert not (tmp_path / "a.db").exists()
