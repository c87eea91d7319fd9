"""What is promised of streams in a folder: order, whole epochs, positions, groups, retention."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import penstock
from penstock import (
    EPOCH_END,
    Batch,
    Checkpoint,
    ConfigError,
    ConnectError,
    Context,
    FencedError,
    Moves,
    Noted,
    RunError,
)
from penstock_broker_file import FileBroker, locks
from penstock_broker_file.groups import Group
from penstock_broker_file.stream import MARK, Stream


def opened(one, name="clicks", pipeline="shop", moves=False):
    one.open(Context(name, pipeline=pipeline, moves=moves))
    return one


def write(broker, records, *, epoch=1, pipeline="writer", stream="clicks", mark=False, **options):
    """Write records as one epoch, and end the stream if there is to be a mark."""
    output = opened(broker.output(stream, end_of_stream=mark, **options), "out", pipeline=pipeline)
    assert list(output.write(Batch(records))) == []
    output.commit(Checkpoint(pipeline, "run", epoch, generation=1))
    if mark:
        output.finish()
    output.close()


def read(broker, positions=None, *, pipeline="shop", **options):
    """Every record by source, and the last position of each."""
    one = opened(broker.input("clicks", until="end", **options), pipeline=pipeline)
    records, positions = {}, dict(positions or {})
    try:
        for batch in one.read(positions):
            if batch is not None:
                records.setdefault(batch.source, []).extend(batch.records)
                positions[batch.source] = batch.resume
    finally:
        one.close()
    return records, positions


def test_a_stream_is_read_in_the_order_in_which_it_was_written(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": n} for n in range(2000)])
    write(broker, [{"n": n} for n in range(2000, 3000)], epoch=2)
    records, positions = read(broker)
    assert records == {"clicks/0": [{"n": n} for n in range(3000)]}
    assert positions["clicks/0"]["record"] == 3000


def test_reading_goes_on_after_every_position_that_was_given(tmp_path):
    broker = FileBroker(path=tmp_path, segment_size=2000)
    for epoch in range(1, 9):  # several segments
        write(broker, [{"n": epoch * 1000 + n} for n in range(600)], epoch=epoch)
    assert len(Stream(tmp_path / "clicks").segments(0)) == 8
    whole = read(broker)[0]["clicks/0"]
    one = opened(broker.input("clicks", until="end"))
    given = [batch for batch in one.read({}) if batch is not None]
    one.close()
    taken = 0
    for batch in given:
        taken += len(batch.records)
        rest, _ = read(broker, {"clicks/0": json.loads(json.dumps(batch.resume))})
        assert rest.get("clicks/0", []) == whole[taken:]
        assert list(batch.ordinals)[-1] == taken


def test_records_with_equal_keys_are_in_one_partition_in_their_order(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=3)
    users = [f"user {n % 17}" for n in range(500)]
    write(broker, [{"user": user, "n": n} for n, user in enumerate(users)], key="user")
    records, _ = read(broker)
    assert sorted(records) == ["clicks/0", "clicks/1", "clicks/2"]
    seen = {}
    for source, found in records.items():
        for record in found:
            assert seen.setdefault(record["user"], source) == source
        assert [one["n"] for one in found] == sorted(one["n"] for one in found)


def test_records_without_a_key_take_turns(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=3)
    write(broker, [{"n": n} for n in range(300)], key="user")
    assert [len(found) for found in read(broker)[0].values()] == [100, 100, 100]


def test_a_record_that_json_cannot_hold_is_refused_and_the_others_are_written(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=2)
    output = opened(broker.output("clicks"))
    refused = output.write(Batch([{"n": 1}, {"n": {2}}, {"n": 3}]))
    assert [(one.ordinal, str(one.error)) for one in refused] == [
        (2, "field 'n' holds a set, which has no order; make it a sorted list")
    ]
    output.commit(Checkpoint("shop", "run", 1))
    output.close()
    assert sum(len(found) for found in read(broker)[0].values()) == 2


def test_nothing_is_seen_before_the_commit_and_nothing_is_left_of_what_was_not_committed(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    output = opened(broker.output("clicks"))
    output.write(Batch([{"n": 2}]))
    assert read(broker)[0]["clicks/0"] == [{"n": 1}]
    output.close()
    assert read(broker)[0]["clicks/0"] == [{"n": 1}]


def test_what_somebody_who_died_left_behind_is_not_read_and_then_cut_off(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    segment = Stream(tmp_path / "clicks").segment(0, 1)
    with open(segment, "ab") as file:
        file.write(b'{"n": 2}\n{"n"')
    assert read(broker)[0]["clicks/0"] == [{"n": 1}]
    write(broker, [{"n": 3}], epoch=2)
    assert segment.read_bytes() == b'{"n":1}\n{"n":3}\n'


def test_a_segment_that_was_begun_by_somebody_who_died_is_deleted(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    stream = Stream(tmp_path / "clicks")
    stream.segment(0, 2).write_bytes(b'{"n": 2}\n')
    assert read(broker)[0]["clicks/0"] == [{"n": 1}]
    write(broker, [{"n": 3}], epoch=2)
    assert [path.name for path in stream.segments(0)] == [f"{1:020d}.jsonl"]


def test_a_writer_that_was_overtaken_is_refused(tmp_path):
    broker = FileBroker(path=tmp_path)
    output = opened(broker.output("clicks"))
    output.commit(Checkpoint("shop", "run", 3, generation=2))
    for late in (Checkpoint("shop", "run", 4, generation=1), Checkpoint("shop", "run", 3, 2)):
        output.write(Batch([{"n": 1}]))
        with pytest.raises(FencedError, match="another run has taken this pipeline over"):
            output.commit(late)
        output.resume(None, 3)
    assert output.checkpoint("shop").epoch == 3
    assert read(broker)[0] == {}


WRITER = """
import sys
from penstock import Batch, Checkpoint, Context
from penstock_broker_file import FileBroker
folder, name = sys.argv[1:]
output = FileBroker(path=folder, partitions=2, segment_size=10_000).output("clicks", key="key")
output.open(Context("out", pipeline=name))
for epoch in range(1, 16):
    output.write(Batch([{"by": name, "n": epoch * 100 + n, "key": n % 7} for n in range(50)]))
    output.commit(Checkpoint(name, "run", epoch, generation=1))
"""


def test_several_processes_write_at_once_and_their_epochs_do_not_mix(tmp_path):
    names = ["a", "b", "c"]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name]) for name in names
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    records, _ = read(FileBroker(path=tmp_path))
    wanted = {
        (name, epoch * 100 + n) for name in names for epoch in range(1, 16) for n in range(50)
    }
    found = [(one["by"], one["n"]) for part in records.values() for one in part]
    assert len(found) == len(wanted)
    assert set(found) == wanted
    for part in records.values():
        epochs = [(one["by"], one["n"] // 100) for one in part]
        runs = [one for index, one in enumerate(epochs) if index == 0 or epochs[index - 1] != one]
        assert len(runs) == len(set(runs)), "an epoch of one writer was cut in two by another"


def test_a_stream_is_made_once_however_many_make_it(tmp_path):
    streams = [Stream(tmp_path / "clicks") for _ in range(8)]
    threads = [threading.Thread(target=one.create, args=(2,)) for one in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.head().identity for one in streams}) == 1


# ---- the end of a stream --------------------------------------------------------------------------


def drain(one, positions=None):
    """The values of n of an input that ends by itself."""
    try:
        return [
            record["n"]
            for batch in one.read(positions or {})
            if batch is not None
            for record in batch.records
        ]
    finally:
        one.close()


def test_an_input_ends_at_a_mark_in_every_partition_and_goes_on_after_it(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=2)
    write(broker, [{"n": 1}, {"n": 2}], mark=True)
    one = opened(broker.input("clicks"))
    positions = {}
    for batch in one.read({}):
        positions[batch.source] = batch.resume
    one.close()
    write(broker, [{"n": 3}, {"n": 4}], epoch=2, mark=True)
    assert sorted(drain(opened(broker.input("clicks")), positions)) == [3, 4]


def test_a_mark_is_no_record_and_is_not_counted_as_one(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}], mark=True)
    one = opened(broker.input("clicks"))
    batches = list(one.read({}))
    one.close()
    assert [(batch.records, list(batch.ordinals), batch.consumed) for batch in batches] == [
        ([{"n": 1}], [1], 1)
    ]
    assert batches[0].resume["ended"] is True


def test_an_input_that_never_ends_reads_across_marks(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}], mark=True)
    write(broker, [{"n": 2}], epoch=2, mark=True)
    one = opened(broker.input("clicks", until="never"))
    found = []
    for batch in one.read({}):
        if batch is None:
            break
        found += batch.records
    one.close()
    assert found == [{"n": 1}, {"n": 2}]


def test_a_mark_is_written_once_however_often_the_end_is_told(tmp_path):
    broker = FileBroker(path=tmp_path)
    output = opened(broker.output("clicks", end_of_stream=True))
    output.write(Batch([{"n": 1}]))
    output.commit(Checkpoint("shop", "run", 1))
    output.finish()
    output.finish()
    output.close()
    segment = Stream(tmp_path / "clicks").segment(0, 1)
    assert segment.read_bytes() == b'{"n":1}\n' + MARK + b"\n"


def test_an_input_can_begin_with_what_comes_after_its_start(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    one = opened(broker.input("clicks", start="latest"))
    batches = one.read({})
    assert next(batches) is None
    write(broker, [{"n": 2}], epoch=2, mark=True)
    assert [batch.records for batch in batches if batch] == [[{"n": 2}]]
    one.close()


def test_what_json_does_not_have_is_told_without_options_that_a_stream_does_not_have(tmp_path):
    broker = FileBroker(path=tmp_path)
    output = opened(broker.output("clicks"))
    [refused] = output.write(Batch([{"n": float("nan")}]))
    output.close()
    assert str(refused.error) == (
        "field 'n' holds nan, which JSON does not have; make it null, or take it out"
    )
    write(broker, [{"n": 1}, {"n": 22}])
    segment = Stream(tmp_path / "clicks").segment(0, 1)
    segment.write_bytes(segment.read_bytes().replace(b'{"n":22}', b"[ NaN  ]"))
    one = opened(broker.input("clicks", until="end"))
    [batch] = [batch for batch in one.read({}) if batch]
    one.close()
    assert [str(one.error) for one in batch.failures] == ["NaN is not JSON; mend the stream"]


def test_a_line_that_is_no_json_is_a_failure_with_its_number(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}, {"n": 22}, {"n": 3}])
    segment = Stream(tmp_path / "clicks").segment(0, 1)
    segment.write_bytes(segment.read_bytes().replace(b'{"n":22}', b'{"n": 2,'))
    one = opened(broker.input("clicks", until="end"))
    [batch] = [batch for batch in one.read({}) if batch]
    one.close()
    assert list(batch.ordinals) == [1, 3]
    assert [(one.record, one.ordinal) for one in batch.failures] == [('{"n": 2,', 2)]
    assert "column 9" in str(batch.failures[0].error)


def test_the_lag_is_told(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": n} for n in range(700)])
    seen = {}
    one = broker.input("clicks", until="end")
    one.open(Context("clicks", observations=seen))
    batches = one.read({})
    first = next(batches)
    one.commit({"clicks/0": first.resume})
    assert (one.progress(), seen) == (512 / 700, {"lag": 188})
    one.close()


# ---- groups -----------------------------------------------------------------------------------------


class Member:
    """An input of a group, and a run around it: it commits whenever it is told to end an epoch."""

    def __init__(self, broker, pipeline, positions=None, *, moves=False, **options):
        options = {"until": "never", **options}
        self.one = opened(
            broker.input("clicks", group="shop", **options), pipeline=pipeline, moves=moves
        )
        self.positions = dict(positions or {})
        self.batches = self.one.read(dict(self.positions))
        self.found = []
        self.moves = None
        self.others = {}  # what others have committed

    def step(self):
        batch = next(self.batches)
        if batch is EPOCH_END:
            self.commit()
        elif isinstance(batch, Moves):
            self.commit()
            self.moves = batch
            known = {**self.positions, **self.others}
            self.one.moved({one: known[one] for one in batch.coming if one in known})
        elif batch is not None:
            self.found += [one["n"] for one in batch.records]
            self.positions[batch.source] = batch.resume
        return batch

    def commit(self):
        self.one.commit(self.positions)

    @property
    def owned(self):
        return sorted(self.one._group.owned)

    def die(self):
        """Let go of everything, as the system does for a process that is killed."""
        for lock in [*self.one._group.owned.values(), self.one._group._self]:
            lock.release()
        for reader in self.one._readers.values():
            reader.close()


def settle(*members, until, seconds=10.0):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, [member.owned for member in members]
        for member in members:
            member.step()
        time.sleep(0.01)


def four(broker):
    write(broker, [{"n": n} for n in range(400)])


def test_members_of_a_group_share_the_partitions_and_read_each_record_once(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=4)
    four(broker)
    a, b = Member(broker, "a"), Member(broker, "b")
    settle(a, b, until=lambda: (a.owned, b.owned) == ([0, 2], [1, 3]))
    settle(a, b, until=lambda: len(a.found) + len(b.found) == 400)
    assert sorted(a.found + b.found) == list(range(400))
    a.one.close()
    b.one.close()


def test_a_partition_moves_with_its_position_when_a_member_comes_or_leaves(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=4)
    four(broker)
    a = Member(broker, "a")
    settle(a, until=lambda: len(a.found) == 400)  # and nothing of it is committed
    b = Member(broker, "b")
    settle(a, b, until=lambda: len(b.owned) == 2)
    assert b.found == []
    write(broker, [{"n": n} for n in range(400, 500)], epoch=2)
    settle(a, b, until=lambda: len(a.found) + len(b.found) == 500)
    b.commit()
    b.one.close()
    write(broker, [{"n": n} for n in range(500, 600)], epoch=3)
    settle(a, until=lambda: len(a.found) + len(b.found) == 600)
    assert sorted(a.found + b.found) == list(range(600))
    assert a.owned == [0, 1, 2, 3]
    a.one.close()


def test_a_member_that_dies_is_replaced_and_only_what_it_had_not_committed_is_read_again(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=4)
    four(broker)
    a, b = Member(broker, "a"), Member(broker, "b")
    settle(a, b, until=lambda: len(a.found) + len(b.found) == 400 and len(b.owned) == 2)
    b.commit()
    write(broker, [{"n": n} for n in range(400, 500)], epoch=2)
    settle(a, b, until=lambda: len(a.found) + len(b.found) == 500)
    not_committed = {n for n in b.found if n >= 400}
    b.die()
    settle(a, until=lambda: set(a.found) >= not_committed)
    assert sorted(set(a.found + b.found)) == list(range(500))
    assert set(a.found) & set(b.found) - not_committed == set()
    a.one.close()


def test_a_partition_that_comes_back_is_where_the_others_left_it(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": n} for n in range(10)])
    a = Member(broker, "a")
    settle(a, until=lambda: len(a.found) == 10)
    a.commit()
    long_ago = dict(a.positions)
    a.one.close()
    write(broker, [{"n": n} for n in range(10, 20)], epoch=2)
    b = Member(broker, "b")
    settle(b, until=lambda: len(b.found) == 10)
    b.commit()
    b.one.close()
    again = Member(broker, "a", long_ago)
    settle(again, until=lambda: again.owned == [0])
    again.commit()  # with the position that the run has had since
    again.one.close()
    c = Member(broker, "c")
    settle(c, until=lambda: c.owned == [0])
    c.step()
    assert (again.found, c.found) == ([], [])
    c.one.close()


def test_a_group_goes_on_where_another_pipeline_of_it_was(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    a = Member(broker, "a")
    settle(a, until=lambda: a.found == [1])
    a.commit()
    a.one.close()
    write(broker, [{"n": 2}], epoch=2)
    b = Member(broker, "b")
    settle(b, until=lambda: b.found == [2])
    b.one.close()


def test_what_a_pipeline_noted_in_its_group_does_not_keep_it_from_starting_over(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    for _ in range(2):  # the second has no positions: --fresh, or its state is gone
        a = Member(broker, "a")
        settle(a, until=lambda found=a.found: found == [1])
        a.commit()
        a.one.close()


@pytest.mark.parametrize("until", ["mark", "end"])
def test_a_member_without_a_partition_ends_when_the_others_have_read_everything(tmp_path, until):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}], mark=True)
    a = Member(broker, "a")
    settle(a, until=lambda: a.found == [1])
    spare = opened(broker.input("clicks", group="shop", until=until), pipeline="b")
    batches = spare.read({})
    assert next(batches) is None  # it may still have to take over
    a.positions["clicks/0"] = {**a.positions["clicks/0"], "ended": True}
    a.commit()
    assert list(batches) == []
    spare.close()
    a.one.close()


def test_a_member_stays_while_a_partition_that_is_not_read_is_nobodys(tmp_path):
    """It was on its way to a member that has ended."""
    broker = FileBroker(path=tmp_path, partitions=2)
    write(broker, [{"n": n} for n in range(20)])
    other = Group(tmp_path / "clicks" / "groups" / "shop", 2)
    a = Member(broker, "a", until="end")
    settle(a, until=lambda: len(a.found) == 10)
    assert a.owned == [1]
    assert [a.step() for _ in range(3)] == [None] * 3
    other.leave()
    for _ in a.batches:
        time.sleep(0.01)
    assert a.owned == [0, 1]
    a.one.close()


def test_where_states_move_a_member_stays_while_any_partition_is_nobodys(tmp_path):
    """Though all are read to their ends: whoever read them has died with what was held of them."""
    broker = FileBroker(path=tmp_path, partitions=2)
    write(broker, [{"n": n} for n in range(20)], mark=True)
    dead = Member(broker, "dead", moves=True, until="mark")
    settle(dead, until=lambda: len(dead.found) == 20)
    dead.commit()
    dead.die()
    leaving = Group(tmp_path / "clicks" / "groups" / "shop", 2)
    a = Member(broker, "a", moves=True, until="mark")
    a.others = dead.positions
    settle(a, until=lambda: a.owned == [1])
    assert [a.step() for _ in range(3)] == [None] * 3
    leaving.leave()
    with pytest.raises(StopIteration):
        settle(a, until=lambda: False)
    assert a.moves.coming == {"clicks/0": Noted(["dead"], dead.positions["clicks/0"], "dead")}
    assert (a.owned, a.found) == ([0, 1], [])
    a.one.close()


def test_where_states_move_a_partition_is_given_back_when_they_are_put_aside(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=2)
    four(broker)
    a = Member(broker, "a", moves=True)
    settle(a, until=lambda: len(a.found) == 400)
    assert a.moves.coming == {"clicks/0": Noted([]), "clicks/1": Noted([])}
    b = Member(broker, "b", moves=True)
    while not isinstance(next(a.batches), Moves):
        time.sleep(0.01)
    assert (a.owned, Group.claim(b.one._group)) == ([0, 1], set())
    a.commit()
    a.one.moved({})
    b.others = a.positions
    settle(a, b, until=lambda: (a.owned, b.owned) == ([0], [1]))
    noted = Noted(["a"], a.positions["clicks/1"], "a")
    assert (b.moves.coming, b.found) == ({"clicks/1": noted}, [])
    a.one.close()
    b.one.close()


def test_whoever_may_have_committed_something_is_known(tmp_path):
    """Two have died, of which nobody knows how far they came; then one tells."""
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    for name, before in (("a", []), ("b", ["a"]), ("a", ["b", "a"])):
        one = Member(broker, name, moves=True)
        settle(one, until=lambda: one.found)  # noqa: B023
        assert one.moves.coming == {"clicks/0": Noted(before)}
        one.die()
    c = Member(broker, "c", moves=True)
    settle(c, until=lambda: c.found)
    assert c.moves.coming["clicks/0"].holders == ["b", "a"]
    c.commit()
    assert c.one._group.kept(0).holders == ["c"]
    c.one.close()


def test_what_others_have_gone_on_with_is_said(tmp_path):
    broker = FileBroker(path=tmp_path, partitions=3)
    four(broker)
    a = Member(broker, "a", moves=True)
    settle(a, until=lambda: len(a.found) == 400)
    b = Member(broker, "b", moves=True)
    b.others = a.positions
    settle(a, b, until=lambda: (a.owned, list(b.one._readers)) == ([0, 2], [1]))
    assert a.moves.settled == []
    b.positions.update(a.positions)
    b.commit()
    c = Member(broker, "c", moves=True)
    c.others = a.positions
    settle(a, b, c, until=lambda: (a.owned, b.owned, c.owned) == ([0], [1], [2]))
    assert (a.moves.leaving, a.moves.settled) == (["clicks/2"], ["clicks/1"])
    for one in (a, b, c):
        one.one.close()


def test_a_member_waits_in_vain_for_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock_broker_file.input._PATIENCE", 0.01)
    broker = FileBroker(path=tmp_path, partitions=2)
    four(broker)
    a = Member(broker, "a")
    settle(a, until=lambda: len(a.found) == 400)
    b = Member(broker, "b")
    while next(a.batches) is not EPOCH_END:
        time.sleep(0.01)
    with pytest.raises(RunError, match="waited in vain for a checkpoint; use a shorter epoch"):
        next(a.batches)
    a.one.close()
    b.one.close()


# ---- retention --------------------------------------------------------------------------------------


def grow(broker, epochs=6):
    for epoch in range(1, epochs + 1):
        write(broker, [{"n": epoch * 100 + n} for n in range(100)], epoch=epoch)


def test_the_oldest_segments_go_when_a_partition_is_too_large(tmp_path):
    broker = FileBroker(path=tmp_path, segment_size=500, keep_size=3000)
    grow(broker)
    left = Stream(tmp_path / "clicks").segments(0)
    assert sum(path.stat().st_size for path in left) <= 3000
    records = read(broker)[0]["clicks/0"]
    assert records[-1] == {"n": 699}
    assert [one["n"] for one in records] == sorted(one["n"] for one in records)
    assert len(records) == 100 * len(left)


def test_segments_go_when_they_are_old(tmp_path):
    broker = FileBroker(path=tmp_path, segment_size=500, keep=60.0)
    grow(broker, 3)
    stream = Stream(tmp_path / "clicks")
    old = time.time() - 3600
    os.utime(stream.segments(0)[0], (old, old))
    write(broker, [{"n": 1}], epoch=4)
    assert [int(path.stem) for path in stream.segments(0)] == [101, 201, 301]


def test_a_segment_that_is_old_gets_nothing_added_so_that_it_can_go(tmp_path):
    broker = FileBroker(path=tmp_path, keep=60.0)
    grow(broker, 1)
    stream = Stream(tmp_path / "clicks")
    old = time.time() - 3600
    os.utime(stream.segment(0, 1), (old, old))
    write(broker, [{"n": 1}], epoch=2)
    assert [int(path.stem) for path in stream.segments(0)] == [101]


def test_who_has_not_read_what_was_deleted_is_told(tmp_path):
    broker = FileBroker(path=tmp_path, segment_size=500)
    grow(broker, 2)
    one = opened(broker.input("clicks", until="end"))
    first = next(one.read({}))
    one.close()
    position = {"clicks/0": {**first.resume, "segment": 1, "offset": 8, "record": 1}}
    grow_on = FileBroker(path=tmp_path, segment_size=500, keep_size=1000)
    write(grow_on, [{"n": 1}], epoch=3)
    with pytest.raises(RunError) as caught:
        read(broker, position)
    assert str(caught.value) == (
        "clicks/0: 199 records were deleted before they were read; set lost: skip to go on after "
        "them"
    )
    assert read(broker, position, lost="skip")[0]["clicks/0"] == [{"n": 1}]


# ---- mistakes ---------------------------------------------------------------------------------------


def test_a_position_of_another_stream_is_refused(tmp_path):
    broker = FileBroker(path=tmp_path / "one")
    write(broker, [{"n": 1}])
    _, positions = read(broker)
    other = FileBroker(path=tmp_path / "two")
    write(other, [{"n": 1}])
    with pytest.raises(
        ConnectError, match="is not the stream of which 1 records were read; put it"
    ):
        read(other, positions)


def test_a_stream_to_be_read_to_its_end_must_be_there(tmp_path):
    with pytest.raises(ConnectError, match="there is no such stream; write to it first"):
        opened(FileBroker(path=tmp_path).input("clicks", until="end"))


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="is no name for a stream or group; use letters, digits"):
        opened(FileBroker(path=tmp_path).input(name))


def test_a_head_that_is_broken_is_named(tmp_path):
    write(FileBroker(path=tmp_path), [{"n": 1}])
    (tmp_path / "clicks" / "head.json").write_text("{")
    with pytest.raises(
        ConnectError, match=r"head.json: is not the head of a stream: .*; put it back"
    ):
        read(FileBroker(path=tmp_path))


def test_a_stream_that_vanishes_is_named(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    stream = Stream(tmp_path / "clicks")
    stream.head()
    (tmp_path / "clicks" / "head.json").unlink()
    with pytest.raises(ConnectError, match="clicks: is gone; put the stream back"):
        stream.head()


def test_a_segment_that_vanishes_is_named(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    Stream(tmp_path / "clicks").segment(0, 1).unlink()
    with pytest.raises(ConnectError, match=r"jsonl: is gone; put the stream back"):
        read(broker)


def test_a_segment_that_was_cut_is_named(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 1}])
    Stream(tmp_path / "clicks").segment(0, 1).write_bytes(b"")
    with pytest.raises(RunError, match="ends before record 1, which was committed; put the stream"):
        read(broker)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConnectError, match="cannot be made: Not a directory; see its folder"):
        opened(FileBroker(path=tmp_path / "file").output("clicks"))


def test_a_system_without_locks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("penstock_broker_file.locks.fcntl", None)
    with pytest.raises(ConnectError, match="has no locks that end with their process; use another"):
        opened(FileBroker(path=tmp_path).output("clicks"))


# ---- in a pipeline ----------------------------------------------------------------------------------

PIPELINE = """
brokers:
  bus: {{use: file, path: streams{broker}}}
inputs:
  clicks: {{use: stream, broker: bus, stream: clicks{input}}}
outputs:
  out: {{use: stream, broker: bus, stream: out{output}}}
pipes:
  main: [clicks, out]
"""


def pipeline(folder: Path, **parts: str) -> Path:
    path = folder / "pipeline.yaml"
    given = {"broker": "", "input": "", "output": "", **parts}
    path.write_text(PIPELINE.format(**given))
    return path


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_pipeline_goes_on_where_it_was_in_every_run(tmp_path, engine):
    path = pipeline(tmp_path, input=", until: end", broker=", partitions: 3")
    broker = FileBroker(path=tmp_path / "streams", partitions=3)
    for epoch in (1, 2, 3):
        write(broker, [{"n": n} for n in range(1000)], epoch=epoch)
        report = penstock.run(path, engine=engine)
        assert (report.balance.read, report.balance.written) == (1000, 1000)


def test_workers_share_a_stream_and_each_record_is_written_once(tmp_path):
    path = pipeline(tmp_path, broker=", partitions: 4", input=", group: g")
    with open(path, "a") as file:
        file.write("epoch: {records: 300}\n")
    broker = FileBroker(path=tmp_path / "streams", partitions=4)
    write(broker, [{"n": n} for n in range(4000)], mark=True)
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "run", path.name, "--workers", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 workers, read 4 000 = written 4 000 + filtered 0 + dead 0" in done.stderr
    one = opened(broker.input("out", until="end"))
    assert sorted(drain(one)) == list(range(4000))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"input": ", gruop: g"}, "inputs.clicks.gruop: no such option; did you mean 'group'?"),
        (
            {"input": ", until: later"},
            "inputs.clicks.until: must be 'mark', 'end' or 'never', got 'later'",
        ),
        (
            {"output": ", end_of_stream: perhaps"},
            "outputs.out.end_of_stream: must be true or false",
        ),
        (
            {"broker": ", format: array", "input": ", group: g"},
            "inputs.clicks.group: no such option",
        ),
        ({"broker": ", partitions: 0"}, "brokers.bus.partitions: must be more than 0"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_line(tmp_path, parts, message):
    with pytest.raises(ConfigError) as caught:
        penstock.load_pipeline(pipeline(tmp_path, **parts))
    assert message in str(caught.value)
    assert "pipeline.yaml:" in str(caught.value)


def test_whole_files_have_no_options(tmp_path):
    with pytest.raises(ConfigError, match="a whole file has no key; leave it out, or use format"):
        FileBroker(path=tmp_path, format="array").output("a", key="b")


def test_whole_files_are_arrays(tmp_path):
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "clicks.json").write_text('[{"n": 1}, {"n": 2}]')
    report = penstock.run(pipeline(tmp_path, broker=", format: array"))
    assert report.balance.written == 2
    assert json.loads((tmp_path / "streams" / "out.json").read_text()) == [{"n": 1}, {"n": 2}]


def test_a_line_without_a_record_is_set_aside(tmp_path):
    broker = FileBroker(path=tmp_path)
    write(broker, [{"n": 0}])
    one = opened(broker.input("clicks", until="end"))
    batch = one._batch([b'{"n": 1}\n', b"\n"], b'{"n": 1}\n\n', 1)
    one.close()
    assert list(batch.records) == [{"n": 1}]
    assert [(one.ordinal, str(one.error)) for one in batch.failures] == [(2, "the line is empty")]


def test_where_no_lock_ends_with_its_process_the_broker_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(ConnectError) as raised:
        locks.Lock(tmp_path / "lock").take()
    assert str(raised.value) == (
        f"{tmp_path / 'lock'}: this system has no locks that end with their process; "
        "use another broker"
    )
