"""What a store keeps beyond the rules for all of them (test_conformance.py)."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Checkpoint, ConnectError, DeadLetter, MemoryStore, Store
from penstock.store import HISTORY, FencedError, IndexedKey, decode_record, encode_record
from penstock.stores.sqlite import VERSION, SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "state")
    made.open()
    yield made
    made.close()


def letter(ordinal: int = 1, **values: Any) -> DeadLetter:
    given = {"pipeline": "p", "source": "s", "node": "n", "run_id": "r1", "error": "E"}
    given |= {"message": "m", "record": "{}", "first": 1.0, "last": 1.0, **values}
    return DeadLetter(ordinal=ordinal, **given)


def leased(store: Store, pipeline: str = "p") -> int:
    return store.lease(pipeline, "me", 1.0, 2.0, lambda _: False)


def save(store: Store, *letters: DeadLetter, run_id: str = "r1") -> Checkpoint:
    generation = store.lease("p", "me", 1.0, 2.0, lambda _: False)
    made = Checkpoint("p", run_id, 1, generation, {"s": 3}, {"s": 3}, {"n": [1]}, {"o": {"at": 5}})
    store.save(made, letters)
    return made


def test_the_last_ten_checkpoints_are_kept_newest_first(store: Store) -> None:
    generation = leased(store)
    made = [Checkpoint("p", "r1", epoch, generation, {"s": epoch}) for epoch in range(1, 14)]
    for one in made:
        store.save(one)
    store.save(replace(made[-1], finished=True))  # the same epoch, once more

    assert store.history("p") == [replace(made[-1], finished=True), *made[-2:2:-1]]
    assert len(store.history("p")) == HISTORY
    assert store.history("q") == []


def test_a_history_ends_where_somebody_goes_back_to(store: Store) -> None:
    generation = leased(store)
    for epoch in range(1, 5):
        store.save(Checkpoint("p", "r1", epoch, generation))
    with pytest.raises(FencedError):
        store.forget_after("p", generation + 1, 2)
    store.forget_after("p", generation, 2)
    assert [one.epoch for one in store.history("p")] == [2, 1]
    store.forget("p", generation)
    assert store.history("p") == []


def test_what_failed_since_a_time_is_known_by_place(store: Store) -> None:
    save(store, letter(1, last=5.0), letter(2, last=4.0), letter(3, last=6.0, node="m"))

    assert sorted(store.failed("p", 5.0)) == [("s", 1, "n"), ("s", 3, "m")]
    assert store.failed("q", 0.0) == []


def test_the_keys_of_the_last_ten_runs_of_a_pipeline_are_kept(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state")
    store.keep("other", leased(store, "other"), (), [IndexedKey("other", "r0", "s", 1, "k")])
    generation = leased(store)
    for number in range(1, 13):
        store.keep(
            "p", generation, (), [IndexedKey("p", f"r{number}", "s", n, "k") for n in (1, 2)]
        )
        store.keep_report({"run_id": f"r{number}", "pipeline": "p", "started": number})

    kept = [one.run_id for one in store.find_key("k", "p")]
    assert kept == [f"r{number}" for number in range(12, 2, -1) for _ in (1, 2)]
    assert len(store.find_key("k", "other")) == 1
    store.close()


def test_a_store_in_memory_is_bounded() -> None:
    with pytest.raises(MemoryError, match="more than 2 dead letters"):
        save(MemoryStore(limit=2), letter(1), letter(2), letter(3))


def test_looking_leaves_no_folder_behind(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state")

    assert (store.letters(), store.reports(), store.checkpoint("p")) == ([], [], None)
    assert not (tmp_path / "state").exists()


def test_the_state_keeps_itself_out_of_repositories(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state")
    save(store)
    store.close()

    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"
    again = SqliteStore(tmp_path / "state")
    assert again.checkpoint("p") is not None
    again.close()


def test_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    assert store._connection is not None
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


@pytest.mark.parametrize("turn", range(5))
def test_two_runs_may_make_the_state_at_the_same_time(tmp_path: Path, turn: int) -> None:
    stores = [SqliteStore(tmp_path / "state") for _ in range(8)]
    barrier = threading.Barrier(len(stores))
    errors: list[Exception] = []

    def open_(store: SqliteStore) -> None:
        barrier.wait()
        try:
            store.open()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=open_, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert errors == []


def test_a_newer_state_is_refused_untouched(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    before = (tmp_path / "state.db").read_bytes()

    with pytest.raises(ConnectError, match=r"written by a newer penstock .* upgrade penstock"):
        SqliteStore(tmp_path).open()
    assert (tmp_path / "state.db").read_bytes() == before


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database, but long enough to look at" * 30)

    with pytest.raises(ConnectError, match=r"state\.db: the state cannot be used"):
        SqliteStore(tmp_path).open()


def test_a_state_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(
        ConnectError, match=r"the state cannot be opened.*choose a folder with --state"
    ):
        SqliteStore(tmp_path / "file" / "state").open()


def test_a_failed_save_keeps_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    bad = [IndexedKey("p", "r1", "s", None, "k")]  # type: ignore[arg-type]
    generation = store.lease("p", "me", 1.0, 2.0, lambda _: True)
    with pytest.raises(ConnectError, match="the state cannot be written"):
        store.save(Checkpoint("p", "r1", 1, generation), [letter(1)], bad)

    assert (store.letters(), store.checkpoint("p")) == ([], None)
    store.close()


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(exclude_categories=()))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | st.just(timezone.utc))
)
records = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.just("$decimal"), inner)
        | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=8,
)


@given(records)
def test_a_record_comes_back_from_a_letter_as_it_was(record: Any) -> None:
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize("text", ["\ud800", "\ud800\udc00", "a\udfffb"])
def test_surrogates_come_back_wherever_they_stand(store: Store, text: str) -> None:
    record = {text: [text, {"$tuple": text}]}
    save(store, letter(1, record=encode_record(record)))

    assert decode_record(store.letters()[0].record) == record


def test_a_number_too_large_to_be_written_comes_back() -> None:
    assert decode_record(encode_record({"x": -(10**5000)})) == {"x": -(10**5000)}


def test_what_cannot_come_back_is_shown() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<odd>"

    assert decode_record(encode_record({"a": Odd()})) == {"a": {"$repr": "<odd>"}}
    assert encode_record(b"\xff") == '{"$bytes": "ff"}'
    assert decode_record(encode_record((date(2026, 1, 2), time(3), datetime(2026, 1, 1)))) == (
        date(2026, 1, 2),
        time(3),
        datetime(2026, 1, 1),
    )
    assert decode_record(encode_record(Decimal("1.20"))).as_tuple() == Decimal("1.20").as_tuple()


VERSION_1 = """
CREATE TABLE leases (pipeline TEXT PRIMARY KEY, holder TEXT NOT NULL, generation INTEGER NOT NULL,
    until REAL NOT NULL);
CREATE TABLE checkpoints (pipeline TEXT PRIMARY KEY, epoch INTEGER NOT NULL,
    checkpoint TEXT NOT NULL);
CREATE TABLE intents (pipeline TEXT PRIMARY KEY, epoch INTEGER NOT NULL, checkpoint TEXT NOT NULL);
CREATE TABLE attempts (pipeline TEXT NOT NULL, place TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (pipeline, place));
CREATE TABLE letters (
    pipeline TEXT NOT NULL, source TEXT NOT NULL, ordinal INTEGER NOT NULL, node TEXT NOT NULL,
    error TEXT NOT NULL, message TEXT NOT NULL, record TEXT NOT NULL, run_id TEXT NOT NULL,
    plugin TEXT NOT NULL, version TEXT NOT NULL, config_hash TEXT NOT NULL,
    attempts INTEGER NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
    part INTEGER NOT NULL, PRIMARY KEY (pipeline, source, ordinal, node, part));
CREATE INDEX letters_by_run ON letters (run_id);
CREATE TABLE reports (run_id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, started REAL NOT NULL,
    report TEXT NOT NULL);
CREATE TABLE record_keys (pipeline TEXT NOT NULL, run_id TEXT NOT NULL, source TEXT NOT NULL,
    ordinal INTEGER NOT NULL, key TEXT NOT NULL);
CREATE INDEX record_keys_by_key ON record_keys (key);
PRAGMA user_version=1;
"""


def test_a_state_of_version_1_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(VERSION_1)
        older = """{"pipeline": "p", "run_id": "r", "epoch": 7, "positions": {"s": 3}}"""
        connection.execute("INSERT INTO checkpoints VALUES ('p', 7, ?)", (older,))
        connection.execute("INSERT INTO leases VALUES ('p', '', 4, 0)")
        connection.execute("INSERT INTO record_keys VALUES ('p', 'r', 's', 1, 'k')")
        connection.commit()

    store = SqliteStore(tmp_path)
    expected = Checkpoint("p", "r", 7, positions={"s": 3})
    assert (store.checkpoint("p"), store.history("p")) == (expected, [expected])
    assert leased(store) == 5
    assert len(store.find_key("k")) == 1
    store.close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_state_of_version_1_is_left_as_it_is_when_it_cannot_be_changed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.executescript(VERSION_1)
        connection.execute("CREATE TABLE history (something_else TEXT)")
        connection.commit()

    with pytest.raises(ConnectError, match="the state cannot be used"):
        SqliteStore(tmp_path).open()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        indexes = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%by_run'")
        assert indexes.fetchall() == [("letters_by_run",)]


def test_the_keys_of_old_runs_are_found_without_reading_all_of_them(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    store.open()
    assert store._connection is not None
    plan = store._connection.execute(
        "EXPLAIN QUERY PLAN DELETE FROM record_keys WHERE pipeline = 'p' AND run_id NOT IN "
        "(SELECT run_id FROM record_keys WHERE pipeline = 'p' GROUP BY run_id "
        "ORDER BY max(rowid) DESC LIMIT 10)"
    ).fetchall()
    store.close()
    told = [step[-1] for step in plan if "record_keys" in step[-1]]
    assert told
    assert all("USING" in one and "record_keys_by_run" in one for one in told), told
