"""The rules that `penstock certify` holds this package to, on a Kafka that the tests start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock import Input
from penstock_broker_kafka.broker import KafkaBroker
from penstock_testkit import BrokerInputSuite, BrokerOutputSuite, BrokerSuite
from penstock_testkit.driving import Writer, read, rows_of


class _OnKafka:
    partitions = 1

    @pytest.fixture
    def make(self, kafka_server: Any) -> Callable[..., KafkaBroker]:
        def make(**options: Any) -> KafkaBroker:
            return KafkaBroker(
                bootstrap=kafka_server.url(),
                create_topics=True,
                partitions=self.partitions,
                session_timeout=6.0,
                **options,
            )

        return make

    @pytest.fixture
    def broker(self, make: Callable[..., KafkaBroker]) -> KafkaBroker:
        return make()


class _ThreePartitions(_OnKafka):
    partitions = 3
    ordered = False


class TestStreams(_OnKafka, BrokerSuite): ...


class TestPartitions(_ThreePartitions, BrokerSuite): ...


class _Alone(_OnKafka):
    """Of no group: the members of a group wait until one that was killed is missed."""

    @pytest.fixture
    def source(self, broker: KafkaBroker, stream: Iterator[str], records: Any) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            name = next(stream)
            output = broker.output(name, batch_bytes=2048)  # what is fetched at once, is together
            writer = Writer(output, pipeline=f"writer-of-{name}")
            writer.write(records(count))
            writer.end_epoch(1)
            writer.close()
            return broker.input(name, until="end", fetch_size=4096), records(count)

        return source


class TestInput(_Alone, BrokerInputSuite): ...


class TestInputOfPartitions(_Alone, _ThreePartitions, BrokerInputSuite): ...


class _Destinations(_OnKafka):
    """Each is as if it had a cluster of its own: one pipeline writes to all of them."""

    @pytest.fixture
    def destination(self, make: Callable[..., KafkaBroker], stream: Iterator[str]) -> Any:
        def destination() -> tuple[Any, Any]:
            name = next(stream)
            broker = make(prefix=name)

            def there() -> list[Any]:
                return [row.record for row in rows_of(read(broker.input(name, until="end")))]

            return broker.output(name), there

        return destination


class TestOutput(_Destinations, BrokerOutputSuite): ...


class TestOutputToPartitions(_Destinations, _ThreePartitions, BrokerOutputSuite): ...
