"""What a store keeps beyond the rules for all of them (test_conformance.py)."""

from __future__ import annotations

import os
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
from penstock.stores.sqlite import VERSION, SqliteStore, _use_wal
from penstock.testing import FakeClock


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
    | st.uuids()
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


# ---- what is easily off by one ------------------------------------------------------------------


def test_a_store_in_memory_holds_as_many_as_its_limit() -> None:
    store = MemoryStore(limit=2)
    save(store, letter(1), letter(2))
    keys = [IndexedKey("p", "r", "s", n, "k") for n in (1, 2, 3)]
    generation = leased(store)
    store.keep("p", generation, (), keys[:2])
    with pytest.raises(MemoryError, match="more than 2 dead letters or keys"):
        store.keep("p", generation, (), keys[2:])


def test_a_lease_of_elsewhere_is_free_at_the_very_time_that_it_ends(store: Store) -> None:
    def elsewhere(_: str) -> None:
        return None

    assert store.lease("p", "one", 1.0, 2.0, elsewhere) == 1
    assert store.lease("p", "two", 2.0, 3.0, elsewhere) == 2


def test_who_never_had_a_lease_is_refused(store: Store) -> None:
    for generation in (1, 0):
        if generation:
            with pytest.raises(FencedError):
                store.renew("p", generation, 9.0)
            with pytest.raises(FencedError):
                store.outrank("p", generation, 9)
        store.release("p", generation)  # there is nothing to give back
        store.withdraw("p", generation, ["epoch 1"])
    assert store.holder("p") is None
    assert leased(store) == 1
    assert store.holder("p") == ("me", 2.0)


def test_a_renewed_lease_has_its_holder_until_then(store: Store) -> None:
    generation = leased(store)
    store.renew("p", generation, 7.0)
    assert store.holder("p") == ("me", 7.0)
    store.release("p", generation + 1)
    assert store.holder("p") == ("me", 7.0)
    store.release("p", generation)
    assert store.holder("p") is None


def test_a_generation_is_raised_only_as_far_as_it_must_be(store: Store) -> None:
    generation = leased(store)
    assert store.outrank("p", generation, 4) == 5
    assert store.outrank("p", 5, 2) == 5
    assert store.holder("p") == ("me", 2.0)


def test_a_pipeline_is_claimed_by_one_file(store: Store) -> None:
    assert store.claimed("p") is None
    store.claim("p", "a.yaml")
    store.claim("p", "b.yaml")
    assert (store.claimed("p"), store.claimed("q")) == ("b.yaml", None)


def test_attempts_are_counted_by_place_and_taken_back_one_by_one(store: Store) -> None:
    generation = leased(store)
    other = leased(store, "q")
    store.attempt("q", other, "epoch 1")
    assert [store.attempt("p", generation, "epoch 1") for _ in range(3)] == [1, 2, 3]
    assert store.attempt("p", generation, "epoch 2") == 1
    store.withdraw("p", generation + 1, ["epoch 1"])
    assert store.attempts("p") == {"epoch 1": 3, "epoch 2": 1}
    store.withdraw("p", generation, ["epoch 1", "epoch 2", "epoch 3"])
    assert store.attempts("p") == {"epoch 1": 2}
    store.save(Checkpoint("p", "r", 1, generation))
    assert (store.attempts("p"), store.attempts("q")) == ({}, {"epoch 1": 1})


def test_a_checkpoint_ends_the_intent_and_so_does_starting_over(store: Store) -> None:
    generation = leased(store)
    intent = Checkpoint("p", "r", 2, generation, {"s": 3})
    for end in (
        lambda: store.save(Checkpoint("p", "r", 2, generation)),
        lambda: store.forget("p", generation),
    ):
        store.put_intent(intent)
        store.attempt("p", generation, "epoch 1")
        assert store.intent("p") == intent
        end()
        assert (store.intent("p"), store.attempts("p")) == (None, {})
    assert (store.checkpoint("p"), store.history("p")) == (None, [])


def test_letters_are_found_by_pipeline_and_run_and_come_in_order(store: Store) -> None:
    save(store, letter(2), letter(1, run_id="r2"), letter(1, part=1), letter(1, source="a"))
    store.keep("q", leased(store, "q"), [letter(1, pipeline="q")])
    found = [(one.pipeline, one.source, one.ordinal, one.part) for one in store.letters()]
    assert found == [
        *[("p", "a", 1, 0), ("p", "s", 1, 0), ("p", "s", 1, 1), ("p", "s", 2, 0)],
        ("q", "s", 1, 0),
    ]
    assert [one.run_id for one in store.letters("p", "r2")] == ["r2"]
    assert [one.pipeline for one in store.letters("q")] == ["q"]
    assert store.letters("q", "r2") == []
    assert store.drop_letters([letter(2), letter(9)]) == 1
    assert len(store.letters("p")) == 3


def test_a_letter_that_comes_again_keeps_its_first_time_and_its_later_last_one(
    store: Store,
) -> None:
    save(store, letter(1, first=3.0, last=5.0, attempts=2, message="old"))
    save(store, letter(1, first=4.0, last=4.0, attempts=1, message="new"))
    [kept] = store.letters()
    assert (kept.first, kept.last, kept.attempts, kept.message) == (3.0, 5.0, 3, "new")


def test_letters_are_settled_by_source_and_time(store: Store) -> None:
    save(
        store,
        *[letter(1, last=4.0), letter(2, last=5.0), letter(3, last=4.0, source="other")],
    )
    assert store.settle_letters("q", 5.0, ["s"]) == 0
    assert store.settle_letters("p", 5.0, ["s"]) == 1
    assert [(one.source, one.ordinal) for one in store.letters()] == [("other", 3), ("s", 2)]


def test_reports_come_newest_first_and_only_so_many(store: Store) -> None:
    for number in range(1, 25):
        name = "q" if number == 24 else "p"
        store.keep_report({"run_id": f"r{number:02}", "pipeline": name, "started": number})
    store.keep_report({"run_id": "r23", "pipeline": "p", "started": 23, "status": "ok"})
    assert [one["run_id"] for one in store.reports("p", 2)] == ["r23", "r22"]
    assert store.reports("p", 1)[0]["status"] == "ok"
    assert [one["run_id"] for one in store.reports(limit=1)] == ["r24"]
    assert len(store.reports()) == 20


def test_keys_are_found_by_pipeline_newest_first(store: Store) -> None:
    for pipeline, ordinal in (("p", 1), ("q", 2), ("p", 3)):
        keys = [IndexedKey(pipeline, f"r{ordinal}", "s", ordinal, key) for key in ("k", "other")]
        store.keep(pipeline, leased(store, pipeline), (), keys)
    assert [one.ordinal for one in store.find_key("k", "p")] == [3, 1]
    assert [one.ordinal for one in store.find_key("k")] == [3, 2, 1]
    assert store.find_key("nothing") == []


def test_text_of_every_language_stays_readable_in_a_letter() -> None:
    assert encode_record({"name": "Zoë"}) == '{"name": "Zoë"}'


def test_the_largest_number_that_stays_a_number() -> None:
    assert encode_record(2**2048 - 1) == str(2**2048 - 1)
    assert encode_record(2**2048) == '{"$int": "0x1' + "0" * 512 + '"}'


def test_a_dollar_in_one_of_several_keys_is_no_tag() -> None:
    record = {"$decimal": "1", "other": 2}
    assert encode_record(record) == '{"$decimal": "1", "other": 2}'
    assert decode_record(encode_record({"$x": 1})) == {"$x": 1}
    assert decode_record(encode_record({"x": 1})) == {"x": 1}
    assert encode_record({"x": 1}) == '{"x": 1}'


def test_who_was_overtaken_is_told_and_by_what() -> None:
    store = MemoryStore()
    with pytest.raises(FencedError) as caught:
        store.keep("p", 7)
    assert str(caught.value) == (
        "p: another run has taken this pipeline over; this run stops; nothing is written twice"
    )


def test_what_an_overtaken_run_asks_for_changes_nothing(store: Store) -> None:
    """Every change names its generation, and is refused before anything is changed."""
    before = save(store, letter(1))
    generation = leased(store)
    store.attempt("p", generation, "epoch 1")
    store.put_intent(replace(before, generation=generation))
    old = generation - 1
    late = replace(before, generation=old, epoch=9)
    for change in (
        lambda: store.save(late, [letter(2)], [IndexedKey("p", "r", "s", 1, "k")], [letter(1)]),
        lambda: store.keep("p", old, [letter(2)], [IndexedKey("p", "r", "s", 1, "k")]),
        lambda: store.put_intent(late),
        lambda: store.attempt("p", old, "epoch 1"),
        lambda: store.attempt("p", old, "epoch 2"),
        lambda: store.forget("p", old),
        lambda: store.forget_after("p", old, 0),
        lambda: store.renew("p", old, 99.0),
        lambda: store.outrank("p", old, 99),
    ):
        with pytest.raises(FencedError):
            change()
        assert store.letters() == [letter(1)]
        assert store.find_key("k") == []
        assert (store.checkpoint("p"), store.history("p")) == (before, [before])
        assert store.intent("p") == replace(before, generation=generation)
        assert store.attempts("p") == {"epoch 1": 1}
        assert store.holder("p") == ("me", 2.0)
        store.renew("p", generation, 2.0)  # whose lease it is


def test_of_nothing_nothing_is_forgotten(store: Store) -> None:
    save(store, letter(1))
    assert store.drop_letters([]) == 0
    assert store.settle_letters("p", 9.0, []) == 0
    assert len(store.letters()) == 1


# ---- the file of the SQLite store ---------------------------------------------------------------


def test_the_folder_of_a_state_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in the folder around it, which is made durable once there is something in it."""
    synced = []
    fsync = os.fsync

    def told(descriptor: int) -> None:
        there = sorted(path.name for path in (tmp_path / "state").iterdir())
        synced.append((os.fstat(descriptor).st_ino, there))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", told)
    store = SqliteStore(tmp_path / "state")
    before = descriptors()
    store.open()
    store.close()
    assert synced == [(tmp_path.stat().st_ino, [".gitignore"])]
    assert descriptors() == before
    store.open()  # it is there now
    store.close()
    assert len(synced) == 1


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


def test_a_state_that_is_refused_is_let_go_of(tmp_path: Path) -> None:
    for content in (b"not a database, but long enough to look at" * 30, None):
        path = tmp_path / "state.db"
        if content is None:
            path.unlink()
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA user_version={VERSION + 1}")
        else:
            path.write_bytes(content)
        before = descriptors()
        with pytest.raises(ConnectError) as caught:
            SqliteStore(tmp_path).open()
        assert descriptors() == before  # with the traceback, which has all that was in it
        assert caught.value.where == str(path)
        del caught


def test_opening_waits_for_another_process_that_has_the_file(tmp_path: Path) -> None:
    """SQLite itself does not, when it changes the kind of the journal."""
    tmp_path.joinpath("state").mkdir()
    store = SqliteStore(tmp_path / "state")
    with closing(
        sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.3, other.execute, ["COMMIT"])
        timer.start()
        store.open()
        timer.join()
    assert leased(store) == 1
    store.close()


class Locked:
    """A connection that another process keeps from its work; counts how often it was asked."""

    def __init__(self, message: str) -> None:
        self.message, self.asked = message, 0

    def execute(self, statement: str) -> None:
        self.asked += 1
        raise sqlite3.OperationalError(self.message)


def test_the_patience_with_another_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(0.0)
    monkeypatch.setattr("penstock.stores.sqlite.time", clock)
    locked = Locked("database is locked")
    with pytest.raises(sqlite3.OperationalError):
        _use_wal(locked)  # type: ignore[arg-type]
    assert clock.time == pytest.approx(30.0, abs=0.1)
    assert locked.asked > 1000
    broken = Locked("disk I/O error")
    with pytest.raises(sqlite3.OperationalError):
        _use_wal(broken)  # type: ignore[arg-type]
    assert broken.asked == 1


def test_what_fails_in_the_middle_of_a_change_leaves_the_state_usable(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    save(store, letter(1))

    def letters() -> Iterator[DeadLetter]:
        yield letter(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.drop_letters(letters())
    assert store.letters() == [letter(1)]
    assert leased(store) == 2
    store.close()
    store.close()
    assert store.letters() == [letter(1)]
    store.close()
