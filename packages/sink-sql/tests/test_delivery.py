"""Rows and checkpoint are committed together, once, by one run at a time."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import replace

import pytest

import penstock
from penstock import Batch, Checkpoint, Context, MemoryStore, RunError, TransientError
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.store import FencedError
from penstock.testing import ListInput, Raise
from penstock_sink_sql import SqlOutput


@contextlib.contextmanager
def opened(place, name="out", run_id="", **options):
    options.setdefault("table", "t")
    output = SqlOutput(url=place.url, **options)
    output.open(Context(name, pipeline="p", run_id=run_id))
    try:
        output.resume(None, 0)
        yield output
    finally:
        output.close()


def checkpoint(epoch, generation=1, **more):
    return Checkpoint("p", "r", epoch, generation, **more)


def write(output, *values):
    assert not output.write(Batch([{"a": value} for value in values]))


def has_no_rows(place):
    """MariaDB makes a table at once, and empty."""
    return place.rows() == [] if place.dialect == "mariadb" else "t" not in place.tables()


# ---- the checkpoint -----------------------------------------------------------------------------


def test_before_anything_is_committed_there_is_no_checkpoint(place):
    with opened(place) as output:
        assert output.checkpoint("p") is None


def test_rows_and_checkpoint_become_visible_together(place):
    with opened(place) as output:
        write(output, 1, 2)
        with opened(place) as other:
            assert other.checkpoint("p") is None
        assert has_no_rows(place)
        kept = checkpoint(1, positions={"in": {"line": 2}}, states={"s": [1]}, ended=True)
        output.commit(kept)
        assert place.rows() == [(1,), (2,)]
        assert output.checkpoint("p") == kept


def test_what_is_not_committed_is_gone(place):
    with opened(place) as output:
        write(output, 1)
        output.commit(checkpoint(1))
        write(output, 2)
    assert place.rows() == [(1,)]


def test_an_epoch_without_rows_is_committed_too(place):
    with opened(place) as output:
        for epoch in (1, 2, 3):
            output.commit(checkpoint(epoch))
        assert output.checkpoint("p").epoch == 3


def test_each_pipeline_and_output_has_its_own(place):
    with opened(place, "one") as one, opened(place, "two") as two:
        one.commit(checkpoint(1))
        assert two.checkpoint("p") is None
        assert one.checkpoint("another") is None


def test_a_finished_output_says_so(place):
    with opened(place) as output:
        output.commit(checkpoint(1))
        output.finish()
        assert output.checkpoint("p") == replace(checkpoint(1), finished=True)
        output.finish()


# ---- compare and set ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "mine"),
    [
        ((3, 1), (3, 1)),
        ((3, 1), (2, 1)),
        ((3, 1), (5, 1)),
        ((3, 2), (4, 1)),
    ],
    ids=["the same epoch", "an earlier one", "a gap", "an older generation"],
)
def test_a_commit_that_does_not_follow_is_refused_and_leaves_nothing(place, there, mine):
    with opened(place) as output:
        for epoch in range(1, there[0] + 1):
            output.commit(checkpoint(epoch, there[1]))
    with opened(place) as output:
        write(output, 1)
        with pytest.raises(FencedError) as caught:
            output.commit(checkpoint(*mine))
        assert "another run has taken this pipeline over" in str(caught.value)
        assert output.checkpoint("p") == checkpoint(*there)
    assert has_no_rows(place)


def test_of_two_runs_that_begin_at_the_same_epoch_one_wins(place):
    if place.dialect == "sqlite":
        pytest.skip("has one writer at a time")
    with opened(place) as one, opened(place) as two:
        one.commit(checkpoint(1))
        write(one, 1)
        one.commit(checkpoint(2))
        write(two, 2)
        with pytest.raises(FencedError):
            two.commit(checkpoint(2))
    assert place.rows() == [(1,)]


# ---- runs ---------------------------------------------------------------------------------------


def values(*numbers):
    return [one if isinstance(one, Raise) else {"a": one} for one in numbers]


def test_a_run_that_failed_is_resumed_after_its_last_checkpoint(place):
    store = MemoryStore()
    output = SqlOutput(url=place.url, table="t")

    def run(*numbers):
        source = ListInput(values=values(*numbers), batch_size=1)
        pipeline = pipeline_of([[source, output]], Plugins(discover=False))
        pipeline.spec.epoch = {"records": 2}
        one = pipeline.start(store=store)
        one.execute()
        return one

    cut_off = run(1, 2, 3, Raise(OSError("gone")), 4)
    assert "gone" in str(cut_off.error)
    assert place.rows() == [(1,), (2,)]
    resumed = run(1, 2, 3, 4)
    assert resumed.warnings[1:] == ["resumed after 2 records, where the run before was cut off"]
    assert place.rows() == [(1,), (2,), (3,), (4,)]


def test_the_store_may_be_lost(place):
    for _ in range(2):  # MemoryStore: the second run knows only what the table says
        penstock.run(
            ListInput(values=values(1, 2)), SqlOutput(url=place.url, table="t", mode="replace")
        )
    assert place.rows() == [(1,), (2,)]


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_outputs_of_one_run_share_a_database(place, engine, tmp_path):
    source = ListInput(values=[{"a": n} for n in range(3000)])
    tables = [SqlOutput(url=place.url, table=f"t{n}") for n in range(3)]
    same = SqlOutput(url=place.url, table="t0")
    pipes = [[source, output] for output in [*tables, same]]
    penstock.run(*pipes, engine=engine, store=FolderStore(tmp_path))
    assert [len(place.rows(f"t{n}")) for n in range(3)] == [6000, 3000, 3000]


class FolderStore(MemoryStore):
    """A store with a folder, which several transactional outputs need."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder


def test_what_outputs_of_one_run_have_written_is_committed_in_one_step(place):
    with opened(place, "one", "r", table="t1") as one, opened(place, "two", "r", table="t2") as two:
        write(one, 1)
        write(two, 2)
        one.commit(checkpoint(1))
        assert place.rows("t2") == [(2,)]
        assert two.checkpoint("p") == checkpoint(1)
        two.commit(checkpoint(1))  # has happened already
        write(two, 3)
        two.commit(checkpoint(2))
        one.commit(checkpoint(2))
    assert place.rows("t1") == [(1,)]
    assert place.rows("t2") == [(2,), (3,)]


def test_an_output_without_rows_is_committed_by_itself(place):
    with opened(place, "one", "r", table="t1") as one, opened(place, "two", "r", table="t2") as two:
        write(one, 1)
        one.commit(checkpoint(1))
        assert two.checkpoint("p") is None
        write(two, 2)  # as when only this one is behind after a crash
        two.commit(checkpoint(1))
        assert two.checkpoint("p") == checkpoint(1)
    assert place.rows("t2") == [(2,)]


# ---- replace ------------------------------------------------------------------------------------


def test_a_resumed_run_goes_on_with_its_staged_table(place):
    place.do("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (0)")
    with opened(place, mode="replace") as output:
        write(output, 1)
        mark = output.prepare(1)
        output.commit(checkpoint(1))
    assert place.rows() == [(0,)]
    with opened(place, mode="replace") as output:
        pass  # resume(None): a new run
    with opened(place, mode="replace") as output:
        write(output, 5)
        output.commit(checkpoint(2))
        output.resume(mark, 2)
        write(output, 6)
        output.commit(checkpoint(3))
        output.finish()
        assert place.rows() == [(5,), (6,)]
        output.finish()
    assert place.rows() == [(5,), (6,)]


def test_what_a_run_had_staged_is_not_in_the_next_one(place):
    with opened(place, mode="replace") as output:
        write(output, 1)
        output.commit(checkpoint(1))
    with opened(place, mode="replace") as output:
        write(output, 2)
        output.commit(checkpoint(2))
        output.finish()
    assert place.rows() == [(2,)]


def test_tables_that_were_exchanged_are_not_exchanged_again(mariadb, monkeypatch):
    """MariaDB commits the exchange before the note that the run is complete."""
    mariadb.do("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (0)")

    def killed(*_):
        raise KeyboardInterrupt

    with opened(mariadb, mode="replace") as output:
        write(output, 1)
        kept = checkpoint(1, marks={"out": output.prepare(1)})
        output.commit(kept)
        monkeypatch.setattr(output._checkpoints, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            output.finish()
    with opened(mariadb, mode="replace") as output:
        output.resume(kept.marks["out"], 1)
        again = checkpoint(2, marks={"out": output.prepare(2)})
        output.commit(again)
        output.finish()
        assert output.checkpoint("p") == replace(again, finished=True)
    assert mariadb.rows() == [(1,)]
    assert mariadb.tables() == {"t", "penstock_checkpoints"}


# ---- tables that change -------------------------------------------------------------------------


def test_what_a_column_takes_once_it_is_converted_changes_no_table(place):
    with opened(place) as output:
        for number in (1, 2):  # in one epoch
            output.write(Batch([{"a": number, "b": [number]}]))
        output.write(Batch([{"a": "3", "b": {"c": 3}}]))
        output.commit(checkpoint(1))
    assert [a for a, _ in place.rows()] == [1, 2, 3]


def test_mariadb_changes_no_table_in_the_middle_of_an_epoch(mariadb):
    with opened(mariadb) as output:
        write(output, 1)
        output.commit(checkpoint(1))
        output.write(Batch([{"a": 2, "b": 2}]))  # nothing waits to be committed yet
        with pytest.raises(RunError) as caught:
            output.write(Batch([{"a": 3, "c": 3}]))
        assert str(caught.value) == (
            "table 't' cannot change in the middle of an epoch: mariadb would commit the rows "
            "before it; give it the columns that the records have, by hand"
        )
    assert mariadb.rows() == [(1, None)]


def test_names_of_pipelines_are_told_apart_by_every_letter(place):
    with opened(place) as output:
        output.commit(checkpoint(1))
        assert output.checkpoint("P") is None


def test_a_checkpoint_may_be_large(place):
    kept = checkpoint(1, states={"s": "x" * 200_000})
    with opened(place) as output:
        output.commit(kept)
        assert output.checkpoint("p") == kept


def test_first_epochs_of_two_pipelines_do_not_wait_for_each_other(server):
    with opened(server, "one", table="t1") as one, opened(server, "two", table="t2") as two:
        for output in (one, two):
            write(output, 1)
            output._checkpoints.advance(output._session.begin(output._checkpoints), checkpoint(1))
        for output in (one, two):
            output._session._connection.commit()
    assert len(server.rows("penstock_checkpoints")) == 2


# ---- locks --------------------------------------------------------------------------------------


def test_a_locked_database_may_be_free_later(sqlite):
    sqlite.do("CREATE TABLE t (a INTEGER)")
    holder = sqlite3.connect(sqlite.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with opened(sqlite, lock_timeout=0.05) as output:
            with pytest.raises(TransientError, match="database is locked"):
                write(output, 1)
            holder.execute("ROLLBACK")
            write(output, 1)
            output.commit(checkpoint(1))
    finally:
        holder.close()
    assert sqlite.rows() == [(1,)]


def test_a_run_waits_for_a_lock(sqlite):
    sqlite.do("CREATE TABLE t (a INTEGER)")
    path = sqlite.url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.2, lambda: holder.execute("COMMIT"))
    timer.start()
    penstock.run(
        ListInput(values=values(1)), SqlOutput(url=sqlite.url, table="t", lock_timeout=0.01)
    )
    timer.join()
    holder.close()
    assert sqlite.rows() == [(1,)]


# ---- connections that are lost ------------------------------------------------------------------


def test_a_connection_lost_between_epochs_is_made_again(server):
    with opened(server) as output:
        write(output, 1)
        output.commit(checkpoint(1))
        server.cut_all()
        with pytest.raises(TransientError):
            write(output, 2)
        write(output, 2)  # the run tries again
        output.commit(checkpoint(2))
        server.cut_all()
        output.commit(checkpoint(3))
    assert server.rows() == [(1,), (2,)]


def test_a_connection_lost_in_an_epoch_ends_the_run(server):
    with opened(server) as output:
        write(output, 1)
        output.commit(checkpoint(1))
        write(output, 2)
        server.cut_all()
        for _ in range(2):  # and nothing is written after it
            with pytest.raises(RunError) as caught:
                write(output, 3)
            assert "the transaction was lost in the middle of an epoch" in str(caught.value)
            assert "run the pipeline again: it goes on after its last checkpoint" in str(
                caught.value
            )
        with pytest.raises(RunError):
            output.commit(checkpoint(2))
    assert server.rows() == [(1,)]


def test_a_constraint_that_is_checked_at_the_end_ends_the_run(postgres):
    postgres.do("CREATE TABLE t (a INTEGER UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with opened(postgres) as output:
        write(output, 1, 1)
        with pytest.raises(RunError) as caught:
            output.commit(checkpoint(1))
        assert "the epoch could not be committed: duplicate key value" in str(caught.value)
    assert postgres.rows() == []


def test_a_view_is_written_to_as_a_table_is(postgres):
    postgres.do("CREATE TABLE real (a BIGINT)", "CREATE VIEW t AS SELECT a FROM real")
    with opened(postgres) as output:
        write(output, 1, 2)
        output.commit(checkpoint(1))
    assert postgres.rows("real") == [(1,), (2,)]


def test_a_schema_is_named(postgres):
    postgres.do('CREATE SCHEMA "My shop"')
    with opened(postgres, schema="My shop") as output:
        write(output, 1)
        output.commit(checkpoint(1))
        assert output.checkpoint("p") == checkpoint(1)
    assert postgres.ask('SELECT * FROM "My shop".t') == [(1,)]
