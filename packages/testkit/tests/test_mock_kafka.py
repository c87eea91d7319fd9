"""The Kafka for machines without one, as the client library of others sees it: it keeps the rules of
topics, transactions and groups that tests of brokers rely on."""

from __future__ import annotations

import itertools
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from penstock_testkit.servers import Kafka, MockKafka, jars, running
from penstock_testkit.servers.kafka import mocked, skip_on_mock

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def server():
    with running(MockKafka) as server:
        yield server


def made(server, partitions=1):
    name = f"t{next(NUMBERS)}"
    admin = AdminClient({"bootstrap.servers": server.url()})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
    return name


def producer(server, **settings):
    settings = {name.replace("_", "."): value for name, value in settings.items()}
    return Producer({"bootstrap.servers": server.url(), "linger.ms": 0, **settings})


def in_transactions(server, name):
    one = producer(server, transactional_id=name)
    one.init_transactions(20)
    one.begin_transaction()
    return one


def consumer(server, group):
    return Consumer(
        {
            "bootstrap.servers": server.url(),
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )


def values(server, topic, count):
    """The values of the first partition, once there are so many; and whether there are more."""
    reader, found = consumer(server, "none"), []
    reader.assign([TopicPartition(topic, 0, 0)])
    _, end = reader.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    limit = time.monotonic() + 20
    while len(found) < count and time.monotonic() < limit:
        message = reader.poll(0.2)
        if message is not None and not message.error():
            found.append(message.value().decode())
    reader.close()
    assert end == len(found) == count
    return found


def test_a_topic_has_the_partitions_it_was_made_with_and_is_made_once(server):
    topic = made(server, partitions=2)
    admin = AdminClient({"bootstrap.servers": server.url()})
    assert len(admin.list_topics(topic, timeout=20).topics[topic].partitions) == 2
    with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)


def test_messages_come_back_with_all_they_had(server):
    topic, writer, reader = made(server), producer(server), consumer(server, "none")
    writer.produce(topic, b"v", b"k", headers=[("h", b"x")], timestamp=1700000000000)
    assert writer.flush(20) == 0
    reader.assign([TopicPartition(topic, 0, 0)])
    message = reader.poll(20)
    assert (message.value(), message.key(), message.headers()) == (b"v", b"k", [("h", b"x")])
    assert message.timestamp()[1] == 1700000000000
    reader.close()


def test_what_is_committed_is_there_and_what_was_taken_back_is_not(server):
    topic = made(server)
    writer = in_transactions(server, f"of-{topic}")
    writer.produce(topic, b"given up")
    writer.flush(20)
    writer.abort_transaction(20)
    writer.begin_transaction()
    for n in range(300):
        writer.produce(topic, b"%d" % n)
    writer.flush(20)
    assert values(server, topic, 0) == []
    writer.commit_transaction(20)
    assert values(server, topic, 300) == [str(n) for n in range(300)]


def test_a_producer_that_was_overtaken_cannot_commit(server):
    topic = made(server)
    first = in_transactions(server, f"of-{topic}")
    first.produce(topic, b"1")
    first.flush(20)
    second = in_transactions(server, f"of-{topic}")
    second.produce(topic, b"2")
    with pytest.raises(KafkaException, match="_FENCED"):
        first.commit_transaction(20)
    second.commit_transaction(20)
    assert values(server, topic, 1) == ["2"]


def test_a_transaction_that_takes_too_long_is_taken_back(server):
    topic = made(server)
    writer = producer(server, transactional_id=f"of-{topic}", transaction_timeout_ms=1000)
    writer.init_transactions(20)
    writer.begin_transaction()
    writer.produce(topic, b"1")
    writer.flush(20)
    time.sleep(1.2)
    with pytest.raises(KafkaException, match="_FENCED"):
        writer.commit_transaction(20)
    assert values(server, topic, 0) == []


@pytest.mark.parametrize("committed", [True, False])
def test_offsets_are_committed_with_the_messages_or_not_at_all(server, committed):
    topic = made(server)
    reader = consumer(server, f"group-of-{topic}")
    writer = in_transactions(server, f"of-{topic}")
    writer.produce(topic, b"1")
    told = [TopicPartition(topic, 0, 7)]
    writer.send_offsets_to_transaction(told, reader.consumer_group_metadata(), 20)
    (writer.commit_transaction if committed else writer.abort_transaction)(20)
    [found] = reader.committed([TopicPartition(topic, 0)], timeout=20)
    assert (found.offset == 7) is committed
    reader.close()


def test_who_is_no_member_any_more_cannot_speak_for_the_group(server):
    topic = made(server)
    reader = consumer(server, f"group-of-{topic}")
    reader.subscribe([topic])
    limit = time.monotonic() + 20
    while not reader.assignment() and time.monotonic() < limit:
        reader.poll(0.1)
    member = reader.consumer_group_metadata()
    reader.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    reader.close()
    writer = in_transactions(server, f"of-{topic}")
    with pytest.raises(KafkaException, match=r"UNKNOWN_MEMBER_ID|FENCED|ILLEGAL_GENERATION"):
        writer.send_offsets_to_transaction([TopicPartition(topic, 0, 7)], member, 20)
    writer.abort_transaction(20)
    again = consumer(server, f"group-of-{topic}")
    [found] = again.committed([TopicPartition(topic, 0)], timeout=20)
    assert found.offset == 3
    again.close()


def test_tests_that_are_given_one_that_is_there_use_it_and_leave_it_alone(server, monkeypatch):
    monkeypatch.setenv("PENSTOCK_TEST_KAFKA", server.url())
    with running(Kafka) as there:
        topic = made(there)
    assert topic in AdminClient({"bootstrap.servers": server.url()}).list_topics(timeout=20).topics


# ---- when it is used --------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """Whether it is used with such a variable, and with or without the jars of the real one."""

    def asked(variable="", there=True):
        def fetch(jars_of_kafka):
            if not there:
                raise jars.NoJarsError("no way out")

        monkeypatch.setenv("PENSTOCK_TEST_KAFKA", variable)
        monkeypatch.setattr(jars, "fetch", fetch)
        mocked.cache_clear()
        return mocked()

    yield asked
    mocked.cache_clear()


def test_it_is_used_where_there_is_no_other_and_where_it_is_asked_for(asked, monkeypatch):
    assert asked("mock")
    assert asked(there=False)
    assert not asked("there:9092", there=False)
    monkeypatch.setenv("PENSTOCK_CERTIFIES", "1")
    assert not asked(there=False), "a certificate would say more than was seen"
    monkeypatch.delenv("PENSTOCK_CERTIFIES")
    monkeypatch.setattr("penstock_testkit.servers.kafka.Kafka.program", lambda: "java")
    assert not asked()
    monkeypatch.setattr("penstock_testkit.servers.kafka_mock.find_spec", lambda name: None)
    assert not asked(there=False)


@pytest.mark.parametrize("required", ["0", "1"])
def test_what_it_cannot_do_is_not_asked_of_it(asked, request, monkeypatch, required):
    monkeypatch.setenv("REQUIRE_SERVICES", required)
    request.node.add_marker(pytest.mark.needs_real_kafka("deletion of messages"))
    asked("mock")
    with pytest.raises(pytest.skip.Exception) as caught:
        skip_on_mock(request.node)
    assert str(caught.value) == (
        "needs a real Kafka: the cluster of librdkafka has no deletion of messages"
    )
    asked("there:9092")
    skip_on_mock(request.node)


def test_nobody_stops_it_since_it_would_forget_all(server):
    with pytest.raises(pytest.skip.Exception, match="that of librdkafka forgets it"):
        server.own()


def test_who_asks_for_it_without_its_wheel_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("penstock_testkit.servers.kafka_mock.find_spec", lambda name: None)
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match=r"pip install 'penstock-testkit\[kafka\]'"):
        MockKafka()
