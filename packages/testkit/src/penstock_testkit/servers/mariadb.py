"""A MariaDB: trusting, loopback only."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .base import Server, running

__all__ = ["MariaDB", "mariadb_server"]


class MariaDB(Server):
    """A MariaDB of a test's own."""

    title = "MariaDB"
    user = "mysql"

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        # A MariaDB that starts clears its folder for temporary tables: in a shared one it would
        # take away what another server is using.
        self.scratch = self.folder / "tmp"
        self.scratch.mkdir()
        self._own(self.scratch)
        self._numbers = itertools.count(1)

    @classmethod
    def program(cls) -> Path | None:
        folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        found = shutil.which("mariadbd", path=folders)
        return Path(found) if found else None

    def make(self) -> None:
        self.call(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--tmpdir={self.scratch}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=8M",
        )

    def command(self) -> Sequence[str | Path]:
        settings = {
            "datadir": self.folder / "data",
            "tmpdir": self.scratch,
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "port": self.port,
            "bind-address": "127.0.0.1",
            "skip-name-resolve": 1,
            "innodb-log-file-size": "8M",
            "innodb-buffer-pool-size": "64M",
            "innodb-flush-log-at-trx-commit": 2,  # a killed process loses nothing by it
            "max-connections": 50,
        }
        return [self.executable, "--no-defaults", *(f"--{k}={v}" for k, v in settings.items())]

    def is_ready(self) -> bool:
        """It greets whoever connects once it serves."""
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as greeted:
                return bool(greeted.recv(1))
        return False

    def url(self, database: str = "mysql", port: int | None = None) -> str:
        return f"mariadb://root@127.0.0.1:{port or self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._do(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._do(f"DROP DATABASE {name}")

    def _do(self, statement: str) -> None:
        there = ["--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}", "--user=root"]
        self.call("mariadb", "--no-defaults", *there, f"--execute={statement}")


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """A running MariaDB, one for all tests of a worker; `.database()` is for one of them."""
    with running(MariaDB) as server:
        yield server
