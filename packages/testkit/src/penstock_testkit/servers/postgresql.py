"""A PostgreSQL: trusting, loopback only."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .base import Server, running

__all__ = ["PostgreSQL", "postgresql_server"]


class PostgreSQL(Server):
    """A PostgreSQL of a test's own."""

    title = "PostgreSQL"
    user = "postgres"
    stopped_by = signal.SIGINT  # what is not committed is taken back
    crashed_by = signal.SIGQUIT

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        self.bin = self.executable.parent
        self._numbers = itertools.count(1)

    @classmethod
    def program(cls) -> Path | None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        program = shutil.which("postgres")
        return found[-1] if found else Path(program) if program else None

    def make(self) -> None:
        options = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        self.call(self.bin / "initdb", *options)

    def command(self) -> Sequence[str | Path]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",  # a process that is killed loses nothing by it, and no test cuts power
            "max_connections": 50,
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self.executable, "-D", "data", *options]

    def is_ready(self) -> bool:
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        there = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        self.call(self.bin / "createdb", *there, name)
        try:
            yield self.url(name)
        finally:
            self.call(self.bin / "dropdb", *there, "--force", name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A running PostgreSQL, one for all tests of a worker; `.database()` is for one of them."""
    with running(PostgreSQL) as server:
        yield server
