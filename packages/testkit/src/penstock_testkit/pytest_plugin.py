"""What pytest finds in every session: the fixtures, and nothing that costs before one is used."""

from __future__ import annotations

import pytest

from .servers.kafka import kafka_server, skip_on_mock
from .servers.mariadb import mariadb_server
from .servers.mongodb import mongo_java_server, mongodb_server, mongodb_standalone
from .servers.postgresql import postgresql_server
from .servers.rabbitmq import rabbitmq_server
from .servers.redis import redis_server

__all__ = [
    "kafka_server",
    "mariadb_server",
    "mongo_java_server",
    "mongodb_server",
    "mongodb_standalone",
    "postgresql_server",
    "rabbitmq_server",
    "redis_server",
]


def pytest_configure(config: pytest.Config) -> None:
    line = "needs_real_kafka(what): skipped where the Kafka is that of librdkafka, which has none"
    config.addinivalue_line("markers", line)


def pytest_runtest_setup(item: pytest.Item) -> None:
    skip_on_mock(item)
