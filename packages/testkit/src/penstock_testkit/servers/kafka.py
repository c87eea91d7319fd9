"""An Apache Kafka 4: one node, KRaft, loopback only, from jars that Maven fetches once.

With `PENSTOCK_TEST_KAFKA` set to "host:port" tests use the server that is there; those that stop
and start one are skipped then. Where the jars are not to be had, or the variable is `mock`, tests
get the cluster of librdkafka instead; those it cannot run say `needs_real_kafka`, and are skipped.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from ..runner import CERTIFIES
from . import jars
from .base import Server, free_port, require, running

__all__ = ["Kafka", "MockKafka", "kafka_server", "mocked", "skip_on_mock"]

_WHICH = "PENSTOCK_TEST_KAFKA"
_MOCK = "mock"
_INSTALL = "pip install 'penstock-testkit[kafka]'"


class Kafka(Server):
    """A Kafka of a test's own. `url()` is what clients take as bootstrap servers."""

    title = "Kafka"
    patience = 90.0
    users: Sequence[str] = ()
    """Arguments that make users known while the storage is made, as `--add-scram`."""

    def __init__(self, port: int | None = None) -> None:
        self.outside = self.named()
        if self.outside:
            self.process = None  # none that is ours
            return
        super().__init__(port)
        self._controller = free_port()

    @classmethod
    def program(cls) -> Path | None:
        found = shutil.which("java")
        return Path(found) if found else None

    @staticmethod
    def named() -> str:
        """Which one to use that is there; none if the variable does not say so."""
        given = os.environ.get(_WHICH, "")
        return "" if given == _MOCK else given

    def url(self) -> str:
        return self.outside or f"127.0.0.1:{self.port}"

    def make(self) -> None:
        if self.outside:
            return
        try:
            self.jars = jars.fetch(jars.KAFKA)
        except jars.NoJarsError as error:
            require(self.title, f"{error}; {_INSTALL} brings another one")
        text = "".join(f"{key}={value}\n" for key, value in self.settings().items())
        (self.folder / "server.properties").write_text(text, encoding="utf-8")
        tool = self._java("kafka.tools.StorageTool")
        self.call(*tool, "format", "-t", _identity(), *self._config, *self.users)

    def start(self) -> None:
        if not self.outside:
            super().start()

    def remove(self) -> None:
        if not self.outside:
            super().remove()

    def own(self) -> None:
        """Skip the test unless the server is ours to stop and start."""
        if self.outside:
            pytest.skip("needs a Kafka that it may stop; PENSTOCK_TEST_KAFKA is somebody's")

    def command(self) -> Sequence[str | Path]:
        return [*self._java("kafka.Kafka"), self.folder / "server.properties"]

    def is_ready(self) -> bool:
        """It answers a question about its version, which it does once it serves."""
        ask = b"\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"  # ApiVersions, version 0, no client id
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(len(ask).to_bytes(4, "big") + ask)
                return len(asked.recv(8)) == 8
        return False

    _config = ("-c", "server.properties")

    def _java(self, program: str) -> tuple[str, ...]:
        options = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return (str(self.executable), *options, quiet, "-cp", f"{self.jars}/*", program)

    def settings(self) -> dict[str, object]:
        """What is in its file of properties."""
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "num.partitions": 3,
            "offsets.topic.num.partitions": 3,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 3,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "log.cleaner.dedupe.buffer.size": 2097152,
        }


class MockKafka(Kafka):
    """The cluster of librdkafka. It keeps nothing when it is stopped."""

    patience = 30.0

    def __init__(self, port: int | None = None) -> None:
        if self.program() is None:
            require(self.title, f"{_INSTALL} brings the one of librdkafka, which was asked for")
        super().__init__(port)

    @staticmethod
    def named() -> str:
        return ""

    @classmethod
    def program(cls) -> Path | None:
        return Path(sys.executable) if _librdkafka() is not None else None

    def make(self) -> None:
        """There are no files."""

    def own(self) -> None:
        pytest.skip("needs a Kafka that keeps what it has; that of librdkafka forgets it")

    def command(self) -> Sequence[str | Path]:
        return [self.executable, "-m", "penstock_testkit.servers.kafka_mock", str(self.port)]


def _librdkafka() -> Path | None:
    from .kafka_mock import library  # imported there only, it also runs as a process

    return library()


@cache
def mocked() -> bool:
    """Whether tests get the cluster of librdkafka: they ask for it, or there is no other. A
    certificate is not made with it unasked."""
    wanted = os.environ.get(_WHICH, "")
    if wanted or os.environ.get(CERTIFIES) or _librdkafka() is None:
        return wanted == _MOCK
    try:
        jars.fetch(jars.KAFKA)
    except jars.NoJarsError:
        return True
    return Kafka.program() is None


def skip_on_mock(item: pytest.Item) -> None:
    """Skip a test that says `needs_real_kafka`, if there is none; also where servers must be."""
    needs = item.get_closest_marker("needs_real_kafka")
    if needs is not None and mocked():
        (what,) = needs.args
        pytest.skip(f"needs a real Kafka: the cluster of librdkafka has no {what}")


def _identity() -> str:
    """A cluster id; one that began with '-' would be read as an option."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not made.startswith("-"):
            return made


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Kafka]:
    """A running Kafka, one for all tests of a worker; `.url()` is where it is."""
    with running(MockKafka if mocked() else Kafka) as server:
        yield server
