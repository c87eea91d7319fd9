"""Documents and checkpoint are committed together, once, by one run at a time; and what is written
again where there are no transactions is there once."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from functools import partial

import pytest
from pymongo.monitoring import CommandListener

import penstock
from penstock import (
    Batch,
    Checkpoint,
    ConnectError,
    FencedError,
    MemoryStore,
    Retraction,
    RunError,
    TransientError,
)
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.testing import FakeClock, ListInput, Raise
from penstock_mongodb import client
from penstock_sink_mongodb.identity import Ids
from penstock_sink_mongodb.kept import Kept

TRANSIENT = {"errorLabels": ["TransientTransactionError"]}
UNKNOWN = {"errorLabels": ["UnknownTransactionCommitResult", "RetryableWriteError"]}


@contextlib.contextmanager
def opened(place, name="out", mark=None, epoch=0, **options):
    output = place.opened(name, **options)
    output.context.clock = FakeClock()
    if output._transactions is not None:
        output._transactions._clock = output.context.clock
    try:
        output.resume(mark, epoch)
        output.context.epoch = epoch + 1
        yield output
    finally:
        output.close()


def checkpoint(epoch, generation=1, **more):
    return Checkpoint("p", "r", epoch, generation, **more)


def write(output, *values, first=1):
    ordinals = range(first, first + len(values))
    return output.write(Batch([{"a": value} for value in values], "rows", ordinals))


def commit(output, epoch, **more):
    output.prepare(epoch)
    output.commit(checkpoint(epoch, **more))
    output.context.epoch = epoch + 1


def there(place, collection="c"):
    return sorted(one["a"] for one in place.documents(collection))


# ---- the checkpoint ----------------------------------------------------------------------------


def test_documents_and_checkpoint_become_visible_together(replica_set):
    with opened(replica_set) as output:
        assert output.checkpoint("p") is None
        write(output, 1, 2)
        with opened(replica_set) as other:
            assert other.checkpoint("p") is None
        assert there(replica_set) == []
        kept = checkpoint(1, positions={"in": {"line": 2}}, states={"s": [1]}, ended=True)
        output.commit(kept)
        assert there(replica_set) == [1, 2]
        assert output.checkpoint("p") == kept


def test_a_checkpoint_that_no_document_can_hold_is_a_sentence(replica_set):
    with opened(replica_set) as output:
        write(output, 1)
        with pytest.raises(RunError) as caught:
            output.commit(checkpoint(1, states={"once": {"seen": "k" * 16 * 1024**2}}))
        found = re.sub(r"[\d,]{9,}", "16,777,300", str(caught.value))
        assert found == (
            "penstock_checkpoints: the checkpoint has 16,777,300 bytes, and a document holds 16 MiB; "
            'let stages remember less, or keep it with the runs by transactions: "off"'
        )
    assert there(replica_set) == []


def test_what_is_not_committed_is_gone(replica_set):
    with opened(replica_set) as output:
        write(output, 1)
        commit(output, 1)
        write(output, 2, first=2)
    assert there(replica_set) == [1]


def test_each_pipeline_and_output_has_its_own(replica_set):
    with opened(replica_set, "one") as one, opened(replica_set, "two") as two:
        commit(one, 1)
        assert two.checkpoint("p") is None
        assert one.checkpoint("another") is None


def test_a_finished_output_says_so(replica_set):
    with opened(replica_set) as output:
        commit(output, 1)
        output.finish()
        assert output.checkpoint("p") == replace(checkpoint(1), finished=True)
        output.finish()


@pytest.mark.parametrize(
    ("before", "mine"),
    [((3, 1), (3, 2)), ((3, 1), (2, 1)), ((3, 1), (5, 1)), ((3, 2), (4, 1))],
    ids=["the same epoch", "an earlier one", "a gap", "an older generation"],
)
def test_a_commit_that_does_not_follow_is_refused_and_leaves_nothing(replica_set, before, mine):
    with opened(replica_set) as output:
        for epoch in range(1, before[0] + 1):
            output.commit(checkpoint(epoch, before[1]))
    with opened(replica_set) as output:
        write(output, 1)
        with pytest.raises(FencedError) as caught:
            output.commit(checkpoint(*mine))
        assert "another run has taken this pipeline over" in str(caught.value)
        assert output.checkpoint("p") == checkpoint(*before)
    assert there(replica_set) == []


@pytest.mark.parametrize("first", [True, False])
def test_of_two_runs_that_begin_at_the_same_epoch_one_wins(replica_set, first):
    with opened(replica_set) as one, opened(replica_set) as two:
        if not first:
            commit(one, 1)
        epoch = 1 if first else 2
        write(one, 1)
        write(two, 2, first=2)
        one.commit(checkpoint(epoch))
        with pytest.raises(FencedError):
            two.commit(replace(checkpoint(epoch), run_id="other"))
    assert there(replica_set) == [1]


def test_collections_that_another_run_makes_at_the_same_moment_are_there(replica_set):
    replica_set.server.fail("create", times=2, errorCode=48, doneFirst=True)
    with opened(replica_set) as output:
        output._make("c")  # made before it was asked for
        write(output, 1)
        commit(output, 1)
    assert there(replica_set) == [1]


def test_a_collection_that_cannot_be_made_ends_the_run(replica_set):
    replica_set.server.fail("create", errorCode=13)
    with pytest.raises(ConnectError, match="is not allowed: a fault was asked for"):
        with opened(replica_set):
            """Not reached."""


# ---- transactions that are lost ----------------------------------------------------------------


def test_a_transaction_that_the_server_gives_up_is_done_again(replica_set):
    with opened(replica_set) as output:
        write(output, 1, 2)
        replica_set.server.fail("update", errorCode=112, **TRANSIENT)
        write(output, 3, first=3)
        replica_set.server.fail("insert", errorCode=251, **TRANSIENT)
        commit(output, 1)
    assert there(replica_set) == [1, 2, 3]


def test_a_refused_document_ends_the_transaction_and_nothing_else(replica_set):
    replica_set.base.c.create_index("a", unique=True)
    with opened(replica_set) as output:
        assert write(output, 1, 2) == []
        failures = write(output, 3, 1, 4, 2, first=3)
        assert [failure.ordinal for failure in failures] == [4, 6]
        assert write(output, 5, first=7) == []
        commit(output, 1)
    assert there(replica_set) == [1, 2, 3, 4, 5]


def test_a_server_that_never_takes_the_transaction_ends_the_run(replica_set):
    with opened(replica_set) as output:
        replica_set.server.fail("update", times=99, errorCode=112, **TRANSIENT)
        with pytest.raises(TransientError, match="a fault was asked for"):
            write(output, 1)
        replica_set.server.heal()
        write(output, 1)  # the run tries again
        commit(output, 1)
    assert there(replica_set) == [1]


def test_a_write_that_is_not_allowed_ends_the_run(replica_set):
    with opened(replica_set) as output:
        replica_set.server.fail("update", errorCode=13)
        with pytest.raises(penstock.ConnectError) as caught:
            write(output, 1)
        assert "is not allowed: a fault was asked for; see the user and the roles" in str(
            caught.value
        )


def test_what_a_run_that_died_has_left_open_is_in_nobodys_way(replica_set):
    died = replica_set.opened()
    try:
        died.resume(None, 0)
        write(died, 1, 2)
        with opened(replica_set) as output:
            write(output, 1, 2, 3)
            assert output.context.clock.slept == []
            commit(output, 1)
        with pytest.raises(FencedError):  # should it be alive after all
            died.commit(replace(checkpoint(1), run_id="died"))
    finally:
        died.close()
    assert there(replica_set) == [1, 2, 3]


def test_what_a_dead_run_had_sent_last_and_came_late_is_not_in_the_way(replica_set):
    with opened(replica_set) as dead, opened(replica_set) as output:
        write(dead, 1)  # begins a transaction after `output` has ended the one before
        write(output, 1)
        commit(output, 1)
    assert there(replica_set) == [1]


# ---- commits whose answer is lost --------------------------------------------------------------


@pytest.mark.parametrize("done", [True, False], ids=["and it was done", "and it was not"])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_commit_whose_answer_is_lost_is_asked_for_again(replica_set, done, times):
    with opened(replica_set) as output:
        write(output, 1, 2)
        replica_set.server.fail(
            "commitTransaction", times=times, closeConnection=True, doneFirst=done
        )
        commit(output, 1)
        write(output, 3, first=3)
        commit(output, 2)
    assert there(replica_set) == [1, 2, 3]


@pytest.mark.parametrize("done", [True, False], ids=["and it was done", "and it was not"])
def test_when_nobody_knows_what_became_of_a_commit_the_checkpoint_tells(replica_set, done):
    with opened(replica_set) as output:
        write(output, 1, 2)
        replica_set.server.fail(
            "commitTransaction", times=16, errorCode=91, doneFirst=done, **UNKNOWN
        )
        commit(output, 1)
        assert output.checkpoint("p").epoch == 1
    assert there(replica_set) == [1, 2]


def test_a_commit_that_was_aborted_is_written_again(replica_set):
    with opened(replica_set) as output:
        write(output, 1, 2)
        replica_set.server.fail("commitTransaction", errorCode=251, **TRANSIENT)
        commit(output, 1)
    assert there(replica_set) == [1, 2]


def test_a_commit_that_fails_for_good_ends_the_run(replica_set):
    with opened(replica_set) as output:
        write(output, 1)
        replica_set.server.fail("commitTransaction", errorCode=8)
        with pytest.raises(RunError) as caught:
            commit(output, 1)
        assert "the epoch could not be committed: a fault was asked for" in str(caught.value)
        assert "run the pipeline again: it goes on after its last checkpoint" in str(caught.value)
        replica_set.server.fail("commitTransaction", times=999, errorCode=251, **TRANSIENT)
        with pytest.raises(RunError, match="epoch 1 could not be committed in 7 tries"):
            commit(output, 1)


def test_a_commit_that_cannot_be_looked_up_ends_the_run(replica_set):
    with opened(replica_set) as output:
        write(output, 1)
        replica_set.server.fail("commitTransaction", times=99, errorCode=91, **UNKNOWN)
        replica_set.server.fail("find", skip=1, times=99, closeConnection=True)
        with pytest.raises(RunError) as caught:
            commit(output, 1)
        assert "the connection was lost while epoch 1 was committed" in str(caught.value)


# ---- how sure a write is ------------------------------------------------------------------------


class Heard(CommandListener):
    """The write concerns of commands that were sent."""

    def __init__(self):
        self.of = {}

    def started(self, event):
        self.of.setdefault(event.command_name, []).append(event.command.get("writeConcern"))

    def succeeded(self, event): ...

    def failed(self, event): ...


@pytest.mark.parametrize(
    ("options", "concern"),
    [({}, {"w": "majority", "j": True}), ({"w": 1, "j": False}, {"w": 1, "j": False})],
)
def test_documents_and_checkpoints_are_written_as_surely_as_asked(
    place, monkeypatch, options, concern
):
    heard = Heard()
    monkeypatch.setattr(client, "connect", partial(client.connect, event_listeners=[heard]))
    with opened(place, **options) as output:
        write(output, 1, 2)
        if output.delivery == "transactional":
            commit(output, 1)
            assert heard.of["commitTransaction"] == [concern]
        else:
            assert heard.of["update"] == [concern]


# ---- without transactions ----------------------------------------------------------------------


def test_a_write_that_was_not_confirmed_is_tried_again_and_is_there_once(standalone):
    with opened(standalone) as output:
        standalone.server.fail(
            "update", writeConcernError={"code": 64, "errmsg": "waiting timed out"}
        )
        with pytest.raises(TransientError) as caught:
            write(output, 1, 2)
        assert "written, but not confirmed as wanted: waiting timed out" in str(caught.value)
        assert write(output, 1, 2) == []  # the run tries again
    assert there(standalone) == [1, 2]


def test_a_write_whose_answer_is_lost_is_there_once(standalone):
    with opened(standalone) as output:
        standalone.server.fail("update", times=1, closeConnection=True, doneFirst=True)
        with pytest.raises(TransientError):
            write(output, 1, 2)
        write(output, 1, 2)
        output.prepare(1)
    assert there(standalone) == [1, 2]


@pytest.mark.parametrize(
    ("code", "kind"), [(91, TransientError), (8000, penstock.ConnectError), (59, RunError)]
)
def test_what_is_no_documents_fault_is_no_dead_letter(standalone, code, kind):
    with opened(standalone) as output:
        standalone.server.fail("update", errorCode=code)
        with pytest.raises(kind):
            write(output, 1)


# ---- runs --------------------------------------------------------------------------------------


def run(place, store, *numbers, epoch=2, **options):
    values = [one if isinstance(one, Raise) else {"a": one} for one in numbers]
    pipeline = pipeline_of(
        [[ListInput(values=values, batch_size=1), place.output(**options)]], Plugins(discover=False)
    )
    pipeline.spec.epoch = {"records": epoch}
    one = pipeline.start(store=store)
    one.execute()
    return one


def test_a_run_that_failed_is_resumed_after_its_last_checkpoint(replica_set):
    store = MemoryStore()
    assert "gone" in str(run(replica_set, store, 1, 2, 3, Raise(OSError("gone")), 4).error)
    assert there(replica_set) == [1, 2]
    resumed = run(replica_set, store, 1, 2, 3, 4)
    assert resumed.warnings[1:] == ["resumed after 2 records, where the run before was cut off"]
    assert there(replica_set) == [1, 2, 3, 4]


def test_what_a_run_without_transactions_writes_again_is_there_once(standalone):
    store = MemoryStore()
    assert "gone" in str(run(standalone, store, 1, 2, 3, Raise(OSError("gone")), 4).error)
    assert there(standalone) == [1, 2, 3]
    run(standalone, store, 1, 2, 3, 4)
    assert there(standalone) == [1, 2, 3, 4]
    run(standalone, store, 1, 2)  # a new run adds
    assert there(standalone) == [1, 1, 2, 2, 3, 4]


def test_a_run_that_died_in_its_first_epoch_leaves_nothing_twice(standalone):
    store = MemoryStore()
    run(standalone, store, 1, 2, Raise(OSError("gone")), epoch=9)
    run(standalone, store, 1, 2, 3, epoch=9)
    assert there(standalone) == [1, 2, 3]


def test_the_store_may_be_lost(replica_set):
    for _ in range(2):  # MemoryStore: the second run knows only what the checkpoint says
        run(replica_set, MemoryStore(), 1, 2, mode="replace")
    assert there(replica_set) == [1, 2]


# ---- ids ---------------------------------------------------------------------------------------


def test_results_of_a_record_in_a_later_epoch_take_nobodys_place():
    ids = Ids("p", "out")
    ids.resume(None, 0)
    first = Batch([0, 0], "rows", [1, 2])
    assert ids.of(first, 1) == ids.of(first, 1) == ["p/out/0/rows:1", "p/out/0/rows:2"]
    ids.settle(first)
    late = Batch([0, 0], "rows", [2, 3])
    assert ids.of(late, 2) == ["p/out/0/rows:2@2", "p/out/0/rows:3"]
    ids.settle(late)
    assert ids.of(late, 2) == ["p/out/0/rows:2@2.2", "p/out/0/rows:3.2"]
    again = Ids("p", "out")
    again.resume(ids.mark(), 7)
    assert again.of(Batch([0], "rows", [4]), 8) == ["p/out/0/rows:4"]
    assert again.of(Batch([0], "rows", [3]), 8) == ["p/out/0/rows:3@8"]


def test_members_of_a_group_give_a_record_the_same_id_in_whatever_epoch_it_comes_to_them():
    batch = Batch([0, 0], "clicks/3", [17, 17])
    first = Ids("p@1", "out", shared=True)
    first.resume(None, 4)
    assert first.of(batch, 5) == ["p/out/clicks/3:17", "p/out/clicks/3:17.2"]
    first.settle(batch)
    assert first.of(batch, 6) == ["p/out/clicks/3:17", "p/out/clicks/3:17.2"]
    other = Ids("p@2", "out", shared=True)
    other.resume({"series": 9, "highest": {"clicks/3": 40}}, 12)
    assert other.of(batch, 13) == ["p/out/clicks/3:17", "p/out/clicks/3:17.2"]


def test_what_an_epoch_holds_may_be_more_than_memory_should():
    kept = Kept(in_memory=3)
    for number in range(10):
        kept.add([number, number])
        kept.add([])
    for _ in range(2):
        assert list(kept) == [[number, number] for number in range(10)]
    kept.clear()
    assert list(kept) == []


# ---- reparse -----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [[], ["a"]])
def test_documents_of_records_that_no_longer_give_them_are_taken_back(place, key):
    def parts(*values):
        return Batch([{"a": n} for n in values], "rows", list(values))

    with opened(place, lineage=True, key=key) as output:
        output.write(parts(1, 2, 3, 4))
        output.write(Batch([{"a": 50}], "spared/1", [1]))
        if output.delivery == "transactional":
            commit(output, 1)
    with opened(place, lineage=True, key=key, epoch=1) as output:
        output.write(parts(1, 2))
        output.retract(Retraction(1, keep={("rows", 3), ("rows", 2)}, spare=["spared"]))
        if output.delivery == "transactional":
            commit(output, 2)
    assert there(place) == [1, 2, 3, 50]
    with opened(place, lineage=True, key=key, epoch=2) as output:
        output.retract(Retraction(2, only={("rows", 3)}))
        output.take_back(1)
        if output.delivery == "transactional":
            commit(output, 3)
    assert there(place) == ([1, 2, 50] if key else [50])
    assert all("kept" not in one["_penstock"] for one in place.documents())


def test_without_lineage_nothing_is_taken_back(place):
    with opened(place) as output:
        write(output, 1)
        output.retract(Retraction(9))
        output.take_back(0)
        if output.delivery == "transactional":
            commit(output, 1)
    assert there(place) == [1]
