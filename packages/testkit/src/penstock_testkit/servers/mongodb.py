"""A MongoDB for tests: a double of it, an independent implementation, or a real one.

- `mongodb_server` is the double, a replica set of one: with transactions, fault points, and
  documents that outlive being killed. With `PENSTOCK_TEST_MONGODB_URI` it is the server that is
  there; tests that need faults or restarts are skipped then.
- `mongodb_standalone` is the double as a server without transactions.
- `mongo_java_server` is `de.bwaldvogel:mongo-java-server`, which others wrote: no transactions.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import pytest

from . import jars
from .base import Server, require, running

__all__ = ["MongoDB", "MongoJava", "mongo_java_server", "mongodb_server", "mongodb_standalone"]

_names = itertools.count(1)


class _Served(Server):
    """What is spoken to by MongoDB's wire protocol."""

    replica_set: ClassVar[bool] = False

    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The name of a new, empty database."""
        name = f"penstock_test_{os.getpid()}_{next(_names)}"
        yield name
        with self.client() as client:
            client.drop_database(name)

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A client of its own, closed afterwards."""
        import pymongo

        client: Any = pymongo.MongoClient(self.url(), serverSelectionTimeoutMS=10_000)
        try:
            yield client
        finally:
            client.close()


class MongoDB(_Served):
    """The double, a replica set of one; or the server that `PENSTOCK_TEST_MONGODB_URI` names."""

    title = "MongoDB"
    replica_set = True

    def __init__(self, port: int | None = None) -> None:
        self.outside = os.environ.get("PENSTOCK_TEST_MONGODB_URI", "") if self.replica_set else ""
        if self.outside:
            self.process = None  # none that is ours
            return
        super().__init__(port)

    @classmethod
    def program(cls) -> Path | None:
        return Path(sys.executable) if find_spec("bson") is not None else None

    def url(self) -> str:
        return self.outside or super().url() + ("?replicaSet=rs0" if self.replica_set else "")

    def command(self) -> Sequence[str | Path]:
        served = "penstock_testkit.servers.mongo_double"
        kind = [] if self.replica_set else ["--standalone"]
        return [self.executable, "-m", served, self.folder / "log.bson", str(self.port), *kind]

    def start(self) -> None:
        if not self.outside:
            super().start()

    def remove(self) -> None:
        if not self.outside:
            super().remove()

    def own(self) -> None:
        """Skip the test unless the server is ours to stop, start and give faults."""
        if self.outside:
            pytest.skip("needs faults; PENSTOCK_TEST_MONGODB_URI is somebody's")

    def fail(self, *commands: str, times: int = 1, skip: int = 0, **how: Any) -> None:
        """Let these commands fail, as `failCommand` of MongoDB does: `errorCode`, `errorLabels`,
        `closeConnection`, `writeConcernError`. With `doneFirst` only the answer is lost."""
        self.own()
        mode = {"times": times, "skip": skip}
        with self.client() as client:
            data = {"failCommands": list(commands), **how}
            client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})

    def heal(self) -> None:
        """No faults any more."""
        with self.client() as client:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


class Standalone(MongoDB):
    """The double as a server that is in no replica set."""

    replica_set = False


class MongoJava(_Served):
    """mongo-java-server, in memory. It has no transactions, and counts bulk errors wrongly."""

    title = "mongo-java-server"

    @classmethod
    def program(cls) -> Path | None:
        found = shutil.which("java")
        return Path(found) if found else None

    def make(self) -> None:
        try:
            self.jars = jars.fetch(jars.MONGO_JAVA)
        except jars.NoJarsError as error:
            require(self.title, str(error))

    def command(self) -> Sequence[str | Path]:
        small = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        main = "de.bwaldvogel.mongo.InMemoryMongoServer"
        where = ("-h", "127.0.0.1", "-p", str(self.port))
        return [self.executable, *small, "-cp", f"{self.jars}/*", main, *where]


@pytest.fixture(scope="session")
def mongodb_server() -> Iterator[MongoDB]:
    """A running replica set, one for all tests of a worker; `.url()` is where it is."""
    with running(MongoDB) as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_standalone() -> Iterator[MongoDB]:
    """A running server without transactions."""
    with running(Standalone) as server:
        yield server


@pytest.fixture(scope="session")
def mongo_java_server() -> Iterator[MongoJava]:
    """A running mongo-java-server."""
    with running(MongoJava) as server:
        yield server
