"""The Kafka that machines without one test with will do: epochs are written to it and read back."""

from __future__ import annotations

import pytest

from penstock_broker_kafka import KafkaBroker
from penstock_testkit.driving import Writer, read, rows_of
from penstock_testkit.servers import MockKafka, running

RECORDS = [{"id": n} for n in range(500)]


@pytest.fixture(scope="module")
def broker():
    with running(MockKafka) as server:
        yield KafkaBroker(bootstrap=server.url(), create_topics=True, partitions=1)


def there(broker, topic):
    return [row.record for row in rows_of(read(broker.input(topic, until="end")))]


def test_an_epoch_is_there_when_it_is_committed_and_not_before(broker):
    writer = Writer(broker.output("epochs"), pipeline="of-epochs")
    writer.write(RECORDS)
    assert there(broker, "epochs") == []
    writer.end_epoch(1)
    writer.close()
    assert there(broker, "epochs") == RECORDS


def test_an_epoch_that_was_not_committed_is_not_there(broker):
    writer = Writer(broker.output("left"), pipeline="of-left")
    writer.write(RECORDS)
    writer.close()
    assert there(broker, "left") == []
