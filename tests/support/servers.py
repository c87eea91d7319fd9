"""Real servers for tests: on loopback, with a free port, in a temporary folder of their own.

A machine without a server skips the tests that want it; with REQUIRE_SERVICES=1 they fail.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["MariaDB", "PostgreSQL", "free_port", "missing", "require"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require(server: str, reason: str) -> None:
    """Skip a test that wants a server that is not here, or fail it where servers must be."""
    if os.environ.get("REQUIRE_SERVICES", "") not in ("", "0"):
        pytest.fail(f"{server} is required and {reason}")
    pytest.skip(f"{server}: {reason}")


def missing(server: str, program: Path | None) -> None:
    if program is None:
        require(server, "is not installed; .ci/services installs it on Debian and Ubuntu")


def _as_user(name: str) -> dict[str, Any]:
    """How to start a program that refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(name)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class PostgreSQL:
    """A PostgreSQL of our own: trusting, loopback only, gone when it is stopped."""

    def __init__(self, port: int | None = None) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        program = shutil.which("initdb")
        bin_folder = found[-1].parent if found else Path(program).parent if program else None
        missing("PostgreSQL", bin_folder)
        assert bin_folder is not None
        self.bin = bin_folder
        self.port = port or free_port()
        self.who = _as_user("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-postgresql-"))
        if self.who:
            os.chown(self.folder, self.who["user"], self.who["group"])
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def make(self) -> None:
        """Make the files of the server; once."""
        self._call(
            "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"
        )

    def start(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",  # a process that is killed loses nothing by it, and no test cuts power
            "max_connections": 50,
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", "data", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self.who,
            )
        end = time.monotonic() + 60
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{self.log()}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        ready = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT takes back what is not committed, SIGQUIT is as a crash."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait(timeout=30)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._call("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        try:
            yield self.url(name)
        finally:
            drop = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "--force", name]
            self._call("dropdb", *drop)

    def _call(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            **self.who,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr}")


class MariaDB:
    """A MariaDB of our own: trusting, loopback only, gone when it is stopped."""

    def __init__(self, port: int | None = None) -> None:
        folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        program = shutil.which("mariadbd", path=folders)
        missing("MariaDB", Path(program) if program else None)
        assert program is not None
        self.program = program
        self.port = port or free_port()
        self.who = _as_user("mysql")
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-mariadb-"))
        if self.who:
            os.chown(self.folder, self.who["user"], self.who["group"])
        # A MariaDB that starts clears its folder for temporary tables: in a shared one it would
        # take away what another server is using.
        self.scratch = self.folder / "tmp"
        self.scratch.mkdir()
        if self.who:
            os.chown(self.scratch, self.who["user"], self.who["group"])
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def make(self) -> None:
        """Make the files of the server; once."""
        done = subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.folder}/data",
                f"--tmpdir={self.scratch}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                "--innodb-log-file-size=8M",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **self.who,
        )
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
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
        options = [f"--{key}={value}" for key, value in settings.items()]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--no-defaults", *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self.who,
            )
        end = time.monotonic() + 60
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"MariaDB did not start:\n{self.log()}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        """It greets whoever connects once it serves."""
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as greeted:
                return bool(greeted.recv(1))
        return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop: SIGTERM takes back what is not committed, SIGKILL is a crash."""
        process, self.process = self.process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait(timeout=30)

    def remove(self) -> None:
        self.stop(signal.SIGKILL)  # nothing in it is wanted any more
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

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
        from penstock_sql.database import Database

        with Database(self.url()).transaction() as connection:
            connection.exec_driver_sql(statement)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    """A running MariaDB, one for all tests of a worker."""
    server = MariaDB()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL, one for all tests of a worker; `postgresql.database()` is for one."""
    server = PostgreSQL()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()
