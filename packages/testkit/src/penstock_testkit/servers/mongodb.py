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
import subprocess
import sys
import tempfile
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
        """Java with its compiler: the server's own program has a port that cannot be chosen."""
        found = shutil.which("java") if shutil.which("javac") else None
        return Path(found) if found else None

    def make(self) -> None:
        (self.folder / "Serve.java").write_text(_SERVE, encoding="utf-8")
        try:
            self.jars = jars.fetch(jars.MONGO_JAVA)
        except jars.NoJarsError as error:
            require(self.title, str(error))

    def command(self) -> Sequence[str | Path]:
        small = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        program = self.folder / "Serve.java"
        return [self.executable, *small, "-cp", f"{self.jars}/*", program, str(self.port)]

    def run_tests(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run pytest on files of tests, in a process that has a client library which this server
        understands. They find its address in `PENSTOCK_TEST_MONGO_JAVA`."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(_old_client()),
            "PENSTOCK_TEST_MONGO_JAVA": self.url(),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


_OLD_CLIENT = "pymongo>=4.9,<4.18"


def _old_client() -> Path:
    """A folder with a client library for servers before MongoDB 4.4, which pip fetches once."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "penstock-testkit")
    folder = home / f"pymongo-4.17-python{sys.version_info[0]}.{sys.version_info[1]}"
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command = [*pip, "--target", f"{scratch}/made", _OLD_CLIENT]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            require(MongoJava.title, f"pip could not fetch {_OLD_CLIENT}: {done.stderr[-600:]}")
        with contextlib.suppress(OSError):  # somebody was faster
            Path(scratch, "made").rename(folder)
    return folder


_SERVE = """
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

class Serve {
    public static void main(String[] given) {
        new MongoServer(new MemoryBackend()).bind("127.0.0.1", Integer.parseInt(given[0]));
    }
}
"""


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
