"""The rules for brokers hold on the Kafka that machines without one test with: so it will do."""

from __future__ import annotations

import pytest

from penstock_broker_kafka.conformance import TestStreams
from penstock_testkit.servers import MockKafka, running

__all__ = ["TestStreams"]


@pytest.fixture(scope="module")
def kafka_server():
    with running(MockKafka) as server:
        yield server
