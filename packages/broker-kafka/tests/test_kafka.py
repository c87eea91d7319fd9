"""What is promised of topics as streams, on a real Kafka."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from penstock import (
    EPOCH_END,
    Batch,
    Checkpoint,
    ConnectError,
    Context,
    FencedError,
    Moves,
    RunError,
    TransientError,
)
from penstock_broker_kafka import KafkaBroker
from penstock_broker_kafka.library import load
from penstock_broker_kafka.sockets import direct
from penstock_testkit.servers import Kafka, free_port

NUMBERS = itertools.count(1)


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"t{os.getpid()}.{next(NUMBERS)}"


@pytest.fixture
def make(kafka_server: Kafka) -> Callable[..., KafkaBroker]:
    def make(**options: Any) -> KafkaBroker:
        given = {"create_topics": True, "session_timeout": 6.0, **options}
        return KafkaBroker(bootstrap=kafka_server.url(), **given)

    return make


@pytest.fixture
def broker(make: Callable[..., KafkaBroker]) -> KafkaBroker:
    return make()


@pytest.fixture
def shop(topic: str) -> str:
    """A pipeline that no other test has."""
    return f"shop/{topic}"


def opened(one: Any, name: str = "clicks", pipeline: str = "shop", moves: bool = False) -> Any:
    try:
        one.open(Context(name, pipeline=pipeline, moves=moves))
    except BaseException:
        one.close()
        raise
    return one


def write(broker, topic, records, *, epoch=1, pipeline=None, mark=False, **options):
    """Write records as one epoch of a pipeline of their own; the failures."""
    pipeline = pipeline or f"writer {topic}"
    output = opened(broker.output(topic, end_of_stream=mark, **options), "out", pipeline)
    try:
        if output.delivery == "transactional":
            output.checkpoint(pipeline)
            output.resume(None, epoch - 1)
        failures = output.write(Batch(records, "rows"))
        output.prepare(epoch)
        if output.delivery == "transactional":
            output.commit(Checkpoint(pipeline, "run", epoch, generation=1))
        output.finish()
    finally:
        output.close()
    return failures


def read(broker, topic, positions=None, **options):
    """Every batch until the end, and the last position of each source."""
    one = opened(broker.input(topic, until="end", **options))
    positions, batches = dict(positions or {}), []
    try:
        for batch in one.read(positions):
            if batch is not None:
                batches.append(batch)
                positions[batch.source] = batch.resume
    finally:
        one.close()
    return batches, positions


def records_of(batches):
    return [record for batch in batches for record in batch.records]


@pytest.mark.parametrize("transactions", [True, False])
def test_a_topic_is_read_in_the_order_in_which_it_was_written(broker, topic, transactions):
    write(broker, topic, [{"n": n} for n in range(2000)], transactions=transactions)
    batches, positions = read(broker, topic)
    assert records_of(batches) == [{"n": n} for n in range(2000)]
    assert {batch.source for batch in batches} == {"clicks/0"}
    assert positions["clicks/0"]["offset"] == 2000
    taken = [ordinal for batch in batches for ordinal in batch.ordinals]
    assert taken == list(range(1, 2001))


@pytest.mark.needs_real_kafka("answers of several batches")
def test_an_answer_is_cut_into_batches_of_a_length(broker, topic):
    write(broker, topic, [{"n": n} for n in range(2000)])
    batches, _ = read(broker, topic)
    assert [batch.ordinals[0] for batch in batches][:2] == [1, 513]


def test_reading_goes_on_after_every_position_that_was_given(broker, topic):
    write(broker, topic, [{"n": n} for n in range(1300)])
    batches, _ = read(broker, topic)
    taken = 0
    for batch in batches:
        taken += len(batch.records)
        rest, _ = read(broker, topic, {"clicks/0": batch.resume})
        assert records_of(rest) == [{"n": n} for n in range(taken, 1300)]


# ---- messages ---------------------------------------------------------------------------------------


def test_records_with_equal_keys_are_in_one_partition_in_their_order(make, topic):
    broker = make(partitions=3)
    write(broker, topic, [{"user": f"u{n % 17}", "n": n} for n in range(500)], key="user")
    batches, _ = read(broker, topic)
    seen: dict[str, str] = {}
    for batch in batches:
        for record in batch.records:
            assert seen.setdefault(record["user"], batch.source) == batch.source
    assert set(seen.values()) == {"clicks/0", "clicks/1", "clicks/2"}
    for source in set(seen.values()):
        found = [one["n"] for batch in batches if batch.source == source for one in batch.records]
        assert found == sorted(found)


MESSAGES = [
    {"key": "a", "value": {"n": 1}, "headers": {"h": "x"}, "timestamp": 1700000000000},
    {"key": "b", "value": None, "headers": {}, "timestamp": 1700000000001},
    {"key": None, "value": {"n": 3}, "headers": {}, "timestamp": 1700000000002},
]


def test_a_message_keeps_its_key_headers_and_timestamp_and_a_tombstone_is_a_record(broker, topic):
    assert write(broker, topic, MESSAGES, record="message") == []
    batches, _ = read(broker, topic, record="message")
    assert records_of(batches) == [
        {**message, "partition": 0, "offset": offset} for offset, message in enumerate(MESSAGES)
    ]


def test_a_tombstone_that_is_read_as_a_value_is_a_failure(broker, topic):
    write(broker, topic, MESSAGES, record="message")
    batches, _ = read(broker, topic)
    assert records_of(batches) == [{"n": 1}, {"n": 3}]
    [failure] = [one for batch in batches for one in batch.failures]
    assert (failure.ordinal, failure.record["key"]) == (2, b"b")
    assert str(failure.error) == "a tombstone has no value; read it with record: message"


def test_what_is_no_message_is_refused(broker, topic):
    records = [5, {"value": None}, {"value": {1}, "key": "k"}, {"value": 1}]
    failures = write(broker, topic, records, record="message")
    assert [(one.ordinal, one.record, str(one.error)) for one in failures] == [
        (1, 5, "is no message but int; use record: value"),
        (2, {"value": None}, "a tombstone needs a key; give it one, or a value"),
        (3, records[2], "the record holds a set, which has no order; make it a sorted list"),
    ]
    assert records_of(read(broker, topic)[0]) == [1]


def test_headers_of_every_message_and_of_where_it_comes_from(broker, topic):
    write(broker, topic, [{"n": 1}, {"n": 2}], headers={"by": "us"}, source_header=True)
    found = records_of(read(broker, topic, record="message")[0])
    assert [one["headers"] for one in found] == [
        {"by": "us", "penstock-source": "rows:1"},
        {"by": "us", "penstock-source": "rows:2"},
    ]


@pytest.mark.parametrize(
    ("codec", "records"),
    [
        ("json", [{"n": 1}, "text", 5, [1, 2]]),
        ("text", ["grün", "two\nlines"]),
        ("bytes", [b"\x00\xff", b"x"]),
        ("zlib:compress", [b"a" * 100]),
    ],
)
def test_codecs(broker, topic, codec, records):
    assert write(broker, topic, records, codec=codec) == []
    back = {"zlib:compress": "zlib:decompress"}.get(codec, codec)
    assert records_of(read(broker, topic, codec=back)[0]) == records


@pytest.mark.parametrize(
    ("codec", "record", "message"),
    [
        ("json", {"n": {1}}, "field 'n' holds a set, which has no order; make it a sorted list"),
        ("text", 5, "is no text but int; use codec: json"),
        ("bytes", "x", "is no bytes but str; use codec: json"),
        ("builtins:str", 5, "the codec must give bytes, not str"),
    ],
)
def test_a_record_without_bytes_is_refused_and_the_others_are_sent(
    broker, topic, codec, record, message
):
    fine = {"json": {"n": 1}, "text": "x", "bytes": b"x"}.get(codec)
    records = [fine, record, fine] if fine else [record]
    failures = write(broker, topic, records, codec=codec)
    assert [(one.record, str(one.error)) for one in failures] == [(record, message)]
    assert len(records_of(read(broker, topic, codec="bytes")[0])) == len(records) - 1


def test_of_several_results_of_one_record_only_the_one_that_is_wrong_is_refused(broker, topic):
    output = opened(broker.output(topic, transactions=False), "out")
    failures = output.write(Batch([{"n": 1}, {"n": {2}}, {"n": 3}], "rows", [7, 7, 7]))
    output.prepare(1)
    output.close()
    assert [one.ordinal for one in failures] == [7]
    assert records_of(read(broker, topic)[0]) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize(
    ("codec", "value", "message"),
    [
        ("json", b'{"n": 1', "column 8"),
        ("json", b" ", "the message is empty"),
        ("text", b"a\xff", "the byte 0xff is not UTF-8"),
        ("zlib:decompress", b"x", "incomplete or truncated"),
    ],
)
def test_a_message_that_cannot_be_read_is_a_failure_with_all_that_it_had(
    broker, topic, codec, value, message
):
    """Poison: it goes to the dead letters as it is, and what comes after it is read."""
    write(
        broker,
        topic,
        [{"key": "k", "value": value, "headers": {"h": "x"}}],
        codec="bytes",
        record="message",
    )
    batches, positions = read(broker, topic, codec=codec)
    [failure] = batches[0].failures
    assert message in str(failure.error)
    assert {**failure.record, "timestamp": 0} == {
        "key": b"k",
        "value": value,
        "headers": [["h", b"x"]],
        "timestamp": 0,
        "topic": topic,
        "partition": 0,
        "offset": 0,
    }
    assert (failure.ordinal, positions["clicks/0"]["offset"]) == (1, 1)


@pytest.mark.parametrize("record", ["value", "message"])
def test_a_message_that_is_too_long_is_refused_before_it_is_sent(broker, topic, record):
    values = ["a", "b" * 5000, "c"]
    records = [{"value": one} for one in values] if record == "message" else values
    failures = write(broker, topic, records, max_message_size=2000, record=record)
    assert [(one.ordinal, str(one.error)) for one in failures] == [
        (
            2,
            "is a message of more than 2000 bytes; raise max_message_size here and "
            "max.message.bytes of the topic, or make it smaller",
        )
    ]
    assert records_of(read(broker, topic)[0]) == ["a", "c"]


@pytest.mark.needs_real_kafka("settings of topics")
def test_what_the_topic_does_not_take_fails_the_epoch_and_none_of_it_is_there(broker, topic):
    admin = load().KafkaAdminClient(bootstrap_servers=broker.bootstrap, proxy_url=direct())
    admin.create_topics({topic: {"num_partitions": 1, "configs": {"max.message.bytes": "2000"}}})
    admin.close()
    with pytest.raises(RunError, match="MessageSizeTooLarge"):
        write(broker, topic, ["a", "b" * 5000])
    assert records_of(read(broker, topic)[0]) == []


# ---- the end of a stream ----------------------------------------------------------------------------


def drained(one, positions=None):
    try:
        batches = [batch for batch in one.read(positions or {}) if batch is not None]
    finally:
        one.close()
    return batches


def test_an_input_ends_at_a_mark_in_every_partition_and_goes_on_after_it(make, topic):
    broker = make(partitions=2)
    write(broker, topic, [{"n": n} for n in range(10)], key="n", mark=True)
    batches = drained(opened(broker.input(topic)))
    assert sorted(one["n"] for one in records_of(batches)) == list(range(10))
    positions = {batch.source: batch.resume for batch in batches}
    assert drained(opened(broker.input(topic)), positions) == []  # it has ended, nothing is new
    write(broker, topic, [{"n": n} for n in range(10, 20)], key="n", epoch=2, mark=True)
    again = drained(opened(broker.input(topic)), positions)
    assert sorted(one["n"] for one in records_of(again)) == list(range(10, 20))


@pytest.mark.needs_real_kafka("answers of several batches")
def test_a_mark_is_written_once_however_often_the_end_is_told(broker, topic, shop):
    output = opened(broker.output(topic, end_of_stream=True), "out", shop)
    output.checkpoint(shop)
    output.write(Batch([{"n": 1}]))
    output.commit(Checkpoint(shop, "run", 1))
    output.finish()
    output.close()
    output = opened(broker.output(topic, end_of_stream=True), "out", shop)
    assert output.checkpoint(shop).finished
    output.finish()
    output.close()
    values = records_of(read(broker, topic, codec="bytes", record="message")[0])
    assert [one["value"] for one in values] == [b'{"n":1}']
    end = drained(opened(broker.input(topic)))[-1]
    assert (end.resume["ended"], end.consumed) == (True, 1)


def test_a_poll_that_brings_nothing_ends_no_run_and_a_long_silence_does(broker, topic):
    write(broker, topic, [{"n": 1}])
    one = opened(broker.input(topic, poll_timeout=0.05, data_timeout=1.0))
    found = list(one.read({}))
    one.close()
    assert [batch.records for batch in found if batch] == [[{"n": 1}]]
    assert found.count(None) > 3


def test_an_input_that_never_ends_reads_across_marks(broker, topic):
    write(broker, topic, [{"n": 1}], mark=True)
    write(broker, topic, [{"n": 2}], epoch=2)
    batches, _ = read(broker, topic)  # until the end, which also knows no marks
    assert records_of(batches) == [{"n": 1}, {"n": 2}]
    one = opened(broker.input(topic, until="never", data_timeout=0.5))
    assert records_of(drained(one)) == [{"n": 1}, {"n": 2}]


@pytest.mark.needs_real_kafka("answers of several batches")
def test_the_lag_is_told(broker, topic):
    write(broker, topic, [{"n": n} for n in range(1000)], transactions=False)
    seen: dict[str, Any] = {}
    one = broker.input(topic, until="end")
    one.open(Context("clicks", observations=seen))
    assert one.progress() is None
    first = next(batch for batch in one.read({}) if batch)
    one.commit({"clicks/0": first.resume})
    assert one.progress() == 0.512
    one.close()
    assert seen == {"lag": 488}


# ---- transactions -----------------------------------------------------------------------------------


@pytest.mark.needs_real_kafka("sight of open transactions")
def test_nothing_is_seen_before_the_commit_and_nothing_is_left_of_what_was_taken_back(
    broker, topic, shop
):
    output = opened(broker.output(topic), "out", shop)
    assert output.checkpoint(shop) is None
    output.write(Batch([{"n": 1}]))
    output._producer.flush()
    assert records_of(read(broker, topic)[0]) == []
    output.resume(None, 0)  # the run takes it back
    output.write(Batch([{"n": 2}]))
    output.commit(Checkpoint(shop, "run", 1))
    output.write(Batch([{"n": 3}]))
    output._producer.flush()
    output.close()  # and so does one that ends
    assert records_of(read(broker, topic)[0]) == [{"n": 2}]
    naive = records_of(read(broker, topic, isolation="read_uncommitted")[0])
    assert naive == [{"n": 1}, {"n": 2}, {"n": 3}], "readers who do not wait see it all"


def test_the_checkpoint_is_read_back_however_many_there_were(broker, topic, shop):
    output = opened(broker.output(topic), "out", f"{shop}/1")
    output.checkpoint(f"{shop}/1")
    for epoch in range(1, 40):
        output.commit(Checkpoint(f"{shop}/1", "run", epoch, positions={"rows": epoch}))
    output.close()
    again = opened(broker.output(topic), "out", f"{shop}/1")
    assert again.checkpoint(f"{shop}/1").positions == {"rows": 39}
    again.close()
    other = opened(broker.output(topic), "another", f"{shop}/1")
    assert other.checkpoint(f"{shop}/1") is None
    other.close()


@pytest.mark.parametrize("longest", [1 << 20, 2000])
def test_a_checkpoint_may_be_longer_than_a_message(broker, topic, shop, longest):
    """As what a stage has seen of keys. What shorter ones leave of it is no checkpoint."""
    output = opened(broker.output(topic, max_message_size=longest), "out", shop)
    output.checkpoint(shop)
    for epoch, size in enumerate([3.5, 0.1, 2.5, 1.2], 1):
        keys = [f"{epoch}-{n}" * 40 for n in range(int(size * longest / 120))]
        made = Checkpoint(shop, "run", epoch, states={"once": {"seen": keys}})
        assert len(made.to_json()) > size * longest
        output.commit(made)
        assert output.checkpoint_of(shop) == made
    output.close()


def test_a_run_that_was_overtaken_cannot_commit(broker, topic, shop):
    first = opened(broker.output(topic), "out", shop)
    first.checkpoint(shop)
    first.write(Batch([{"n": 1}]))
    second = opened(broker.output(topic), "out", shop)
    second.checkpoint(shop)  # takes over, as the run after a crash does
    with pytest.raises(FencedError, match="another run has taken this pipeline over"):
        first.commit(Checkpoint(shop, "run", 1))
    first.close()
    second.write(Batch([{"n": 2}]))
    second.commit(Checkpoint(shop, "again", 1, generation=2))
    for late in (Checkpoint(shop, "run", 2, generation=1), Checkpoint(shop, "run", 1, 2)):
        with pytest.raises(FencedError):
            second.commit(late)
    second.close()
    assert records_of(read(broker, topic)[0]) == [{"n": 2}]


class Lost:
    """What comes of a message that was on its way when the producer was given a new epoch."""

    error = load().errors.InvalidProducerEpochError()

    def get(self, timeout):
        raise self.error


@pytest.mark.parametrize("checkpoint", [True, False], ids=["checkpoint", "record"])
def test_a_commit_that_has_lost_messages_is_none(broker, topic, shop, monkeypatch, checkpoint):
    """The client library calls it done, and has sent no commit."""
    output = opened(broker.output(topic), "out", shop)
    output.checkpoint(shop)
    output.write(Batch([{"n": 1}]))
    output._producer.flush()
    send = output._producer.send

    def sent(*message):
        if checkpoint:
            return Lost()
        output._failed(Lost.error)
        return send(*message)

    monkeypatch.setattr(output._producer, "send", sent)
    monkeypatch.setattr(output._producer, "commit_transaction", output._producer.flush)
    with pytest.raises(FencedError):
        output.commit(Checkpoint(shop, "run", 1))
    output.close()
    assert records_of(read(broker, topic)[0]) == []


def test_an_epoch_that_took_too_long_is_told_so(broker, topic, shop):
    output = opened(broker.output(topic, transaction_timeout=1.0), "out", shop)
    output.checkpoint(shop)
    output.write(Batch([{"n": 1}]))
    output._producer.flush()
    with pytest.raises(RunError) as caught:
        wait_until_taken_back(output, shop)
    output.close()
    assert str(caught.value) == (
        f"{topic}: the epoch took longer than 1 s, and the cluster took it back; use a shorter "
        "epoch or a longer transaction_timeout"
    )
    assert records_of(read(broker, topic)[0]) == []


def wait_until_taken_back(output, shop):
    """The cluster looks every ten seconds."""
    time.sleep(12)
    output.commit(Checkpoint(shop, "run", 1))


# ---- groups -----------------------------------------------------------------------------------------


def committed(broker, topic, group, partition=0):
    kafka = load()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=broker.bootstrap, group_id=group, proxy_url=direct()
    )
    try:
        return consumer.committed(kafka.TopicPartition(topic, partition), metadata=True)
    finally:
        consumer.close()


def members(broker, topic, pipeline, positions, *, commit=True, **options):
    """Read to the end as a member of the group, commit, and leave."""
    one = opened(broker.input(topic, group=f"g.{topic}", until="end", **options), pipeline=pipeline)
    positions = dict(positions)
    found = []
    try:
        for batch in one.read(dict(positions)):
            if batch is not None and batch is not EPOCH_END:
                found += batch.records
                positions[batch.source] = batch.resume
        if commit:
            one.commit(positions)
    finally:
        one.close()
    return found, positions


def test_the_group_is_told_what_is_safe_and_another_pipeline_goes_on_from_there(broker, topic):
    write(broker, topic, [{"n": n} for n in range(10)], transactions=False)
    found, _ = members(broker, topic, "a", {})
    assert len(found) == 10
    told = committed(broker, topic, f"g.{topic}")
    assert (told.offset, told.metadata) == (10, "penstock:a")
    write(broker, topic, [{"n": 10}], transactions=False)
    assert members(broker, topic, "b", {})[0] == [{"n": 10}]


def test_a_partition_that_comes_back_is_where_the_others_left_it(broker, topic):
    write(broker, topic, [{"n": n} for n in range(10)], transactions=False)
    _, long_ago = members(broker, topic, "a", {})
    write(broker, topic, [{"n": n} for n in range(10, 20)], transactions=False)
    assert len(members(broker, topic, "b", {})[0]) == 10
    found, _ = members(broker, topic, "a", long_ago)  # which it commits, having read nothing
    assert found == []
    told = committed(broker, topic, f"g.{topic}")
    assert (told.offset, told.metadata) == (20, "penstock:b")


def test_what_a_pipeline_told_its_group_does_not_keep_it_from_starting_over(broker, topic):
    write(broker, topic, [{"n": 1}], transactions=False)
    assert members(broker, topic, "a", {})[0] == [{"n": 1}]
    assert members(broker, topic, "a", {})[0] == [{"n": 1}]  # --fresh, or its state is gone


@pytest.mark.needs_real_kafka("answers of several batches")
def test_where_a_pipeline_was_outweighs_what_it_told_its_group(broker, topic):
    """Its database may have been put back to yesterday, positions and all."""
    write(broker, topic, [{"n": n} for n in range(1000)], transactions=False)
    batches, _ = read(broker, topic, group=f"g.{topic}")
    members(broker, topic, "shop", {})
    found, _ = members(broker, topic, "shop", {"clicks/0": batches[0].resume})
    assert found == [{"n": n} for n in range(512, 1000)]


def test_the_offsets_are_committed_with_what_was_made_of_them(broker, topic, shop):
    write(broker, topic, [{"n": n} for n in range(10)], transactions=False)
    group = f"g.{topic}"
    reads = opened(broker.input(topic, group=group, until="end"), pipeline=shop)
    output = opened(broker.output(f"{topic}.out"), "out", shop)
    output.checkpoint(shop)
    batch = next(one for one in reads.read({}) if one)
    output.write(batch)
    assert committed(broker, topic, group) is None
    output.commit(Checkpoint(shop, "run", 1, positions={"clicks/0": batch.resume}))
    assert committed(broker, topic, group).offset == 10
    reads.close()
    output.close()


def test_a_member_whose_partitions_have_gone_cannot_commit(broker, topic, shop):
    write(broker, topic, [{"n": n} for n in range(10)], transactions=False)
    group = f"g.{topic}"
    reads = opened(broker.input(topic, group=group, until="end"), pipeline=shop)
    output = opened(broker.output(f"{topic}.out"), "out", shop)
    output.checkpoint(shop)
    batch = next(one for one in reads.read({}) if one)
    reads.close()  # it leaves, or was thought dead
    output.write(batch)
    with pytest.raises(TransientError, match="gave partitions to others before the epoch was over"):
        output.commit(Checkpoint(shop, "run", 1, positions={"clicks/0": batch.resume}))
    output.close()
    assert committed(broker, topic, group) is None
    assert records_of(read(broker, f"{topic}.out")[0]) == []


def test_what_another_worker_has_committed_is_read_and_leaves_it_alone(broker, topic, shop):
    one, other = (opened(broker.output(topic), "out", f"{shop}@{n}") for n in (1, 2))
    one.checkpoint(f"{shop}@1")
    assert other.checkpoint_of(f"{shop}@1") is None
    assert other.checkpoint_of("nobody") is None
    for epoch in (1, 2):
        one.commit(Checkpoint(f"{shop}@1", "run", epoch))
        assert other.checkpoint_of(f"{shop}@1").epoch == epoch
    one.close()
    other.close()


@pytest.mark.needs_real_kafka("sight of open transactions")
def test_and_only_when_it_is_decided_what_becomes_of_it(broker, topic, shop):
    """The cluster may carry out a commit of somebody who is dead by now."""
    one = opened(broker.output(topic), "out", f"{shop}@1")
    other = opened(broker.output(topic, transaction_timeout=0.2), "out", f"{shop}@2")
    one.checkpoint(f"{shop}@1")
    one.commit(Checkpoint(f"{shop}@1", "run", 1))
    text = Checkpoint(f"{shop}@1", "run", 2).to_json().encode()
    one._begin().send(one._checkpoints, text, b"checkpoint", []).get(10)
    with pytest.raises(TransientError, match=r"a transaction is open for 0\.4 s"):
        other.checkpoint_of(f"{shop}@1")
    one._producer.commit_transaction()
    assert other.checkpoint_of(f"{shop}@1").epoch == 2
    one._begun = None
    one.close()
    other.close()


@pytest.mark.parametrize("moves", [True, False])
def test_where_states_move_an_epoch_without_records_is_refused_too(broker, topic, shop, moves):
    """As when a window has closed because time went by, in a partition that others have by now."""
    write(broker, topic, [{"n": 1}], transactions=False)
    reads = opened(broker.input(topic, group=f"g.{topic}", until="end"), pipeline=shop, moves=moves)
    output = opened(broker.output(f"{topic}.out"), "out", shop, moves)
    output.checkpoint(shop)
    positions, batch = {}, None
    for batch in reads.read({}):
        if isinstance(batch, Moves):
            positions.update(reads.moved({}))
        elif batch is not None:
            break
    positions[batch.source] = batch.resume
    output.write(batch)
    output.commit(Checkpoint(shop, "run", 1, positions=positions))
    reads.close()
    output.write(Batch([{"n": 2}]))
    if moves:
        with pytest.raises(TransientError, match="gave partitions to others"):
            output.commit(Checkpoint(shop, "run", 2, positions=positions))
    else:
        output.commit(Checkpoint(shop, "run", 2, positions=positions))
    output.close()


# ---- what is lost, and mistakes ---------------------------------------------------------------------


@pytest.mark.needs_real_kafka("deletion of messages")
def test_who_has_not_read_what_was_deleted_is_told(broker, topic):
    write(broker, topic, [{"n": n} for n in range(10)], transactions=False)
    _, positions = read(broker, topic)
    positions["clicks/0"]["offset"] = 2
    kafka = load()
    admin = kafka.KafkaAdminClient(bootstrap_servers=broker.bootstrap, proxy_url=direct())
    admin.delete_records({kafka.TopicPartition(topic, 0): 7})
    admin.close()
    with pytest.raises(RunError) as caught:
        read(broker, topic, positions)
    assert str(caught.value) == (
        f"{topic}/0: 5 messages were deleted before they were read; set lost: skip to go on after "
        "them"
    )
    assert records_of(read(broker, topic, positions, lost="skip")[0]) == [
        {"n": 7},
        {"n": 8},
        {"n": 9},
    ]


def test_a_position_of_another_topic_is_refused(broker, topic):
    write(broker, topic, [{"n": 1}])
    _, positions = read(broker, topic)
    positions["clicks/0"]["offset"] = 100
    with pytest.raises(ConnectError) as caught:
        read(broker, topic, positions)
    assert str(caught.value) == (
        f"{topic}/0: is not the topic that was read up to offset 100; start over with --fresh"
    )


def test_a_topic_that_is_not_there_is_named_with_the_nearest(make, broker, topic):
    write(broker, f"{topic}.clicks", [1])
    with pytest.raises(ConnectError) as caught:
        opened(make(create_topics=False).input(f"{topic}.cliks"))
    assert str(caught.value) == (
        f"{topic}.cliks: there is no such topic; did you mean '{topic}.clicks'?"
    )
    with pytest.raises(ConnectError, match="make it, or set create_topics: true"):
        opened(make(create_topics=False).output("0" * 40))


def test_a_server_that_is_not_there_is_named_soon(make):
    broker = make()
    broker.bootstrap, broker.connect_timeout = f"127.0.0.1:{free_port()}", 0.5
    with pytest.raises(ConnectError, match="is the server there, and its address right"):
        opened(broker.input("clicks"))
