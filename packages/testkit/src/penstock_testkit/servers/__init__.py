"""Real servers for tests: on loopback, with a free port, in a temporary folder of their own.

A machine without a server skips the tests that want it; with REQUIRE_SERVICES=1 they fail.
"""

from __future__ import annotations

from .base import Server, free_port, require, running
from .kafka import Kafka, MockKafka
from .mariadb import MariaDB
from .mongodb import MongoDB, MongoJava
from .postgresql import PostgreSQL
from .rabbitmq import RabbitMQ
from .redis import Redis

__all__ = [
    "Kafka",
    "MariaDB",
    "MockKafka",
    "MongoDB",
    "MongoJava",
    "PostgreSQL",
    "RabbitMQ",
    "Redis",
    "Server",
    "free_port",
    "require",
    "running",
]
