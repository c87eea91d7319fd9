"""Servers of a test's own: they answer, and nothing of them is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from penstock_testkit.servers import (
    MariaDB,
    PostgreSQL,
    RabbitMQ,
    Redis,
    Server,
    free_port,
    running,
)

LISTENS = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); "


class Small(Server):
    """A server that every machine has."""

    title = "Small"
    does = LISTENS + "[s.accept() for _ in iter(int, 1)]"

    @classmethod
    def program(cls) -> Path | None:
        return Path(sys.executable)

    def command(self) -> Sequence[str | Path]:
        return [self.executable, "-c", self.does, str(self.port)]


class Absent(Small):
    title = "Absent"

    @classmethod
    def program(cls) -> Path | None:
        return None


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return True
    except OSError:
        return False


def test_a_server_is_there_and_then_nothing_of_it_is():
    with running(Small) as server:
        assert server.is_ready()
        assert server.process is not None
        pid = server.process.pid
        assert server.folder.is_dir()
    assert not lives(pid)
    assert not server.folder.exists()
    assert not server.is_ready()


def test_two_servers_do_not_meet():
    with running(Small) as one, running(Small) as other:
        assert one.port != other.port
        assert one.folder != other.folder


def test_it_can_be_stopped_and_started_again_at_the_same_port():
    with running(Small) as server:
        port = server.port
        server.stop(signal.SIGKILL)
        assert not server.is_ready()
        server.start()
        assert server.is_ready()
        assert server.port == port


def test_a_server_that_does_not_start_says_why():
    class Broken(Small):
        does = "raise SystemExit('no room')"

    with pytest.raises(RuntimeError, match="Small did not start:\nno room"):
        with running(Broken):
            pass


def test_a_missing_server_skips_on_a_laptop(monkeypatch):
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Absent: is not installed"):
        Absent()


def test_a_missing_server_fails_where_it_must_be(monkeypatch):
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="Absent is required and is not installed"):
        Absent()


SESSION = """
import sys, time
sys.path.insert(0, {folder!r})
from test_servers import Small
server = Small()
server.start()
print(server.process.pid, server.folder, flush=True)
time.sleep(60)
"""


def test_what_a_killed_session_had_started_goes_with_it():
    program = SESSION.format(folder=str(Path(__file__).parent))
    session = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert session.stdout is not None
    pid, folder = session.stdout.readline().split()
    assert lives(int(pid))
    session.kill()
    session.wait()
    session.stdout.close()
    end = time.monotonic() + 20
    while (lives(int(pid)) or Path(folder).exists()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not lives(int(pid))
    assert not Path(folder).exists()


def test_a_free_port_is_free():
    with running(lambda: Small(free_port())) as server:
        assert server.is_ready()


def test_postgresql_has_a_database_for_each_test(postgresql_server: PostgreSQL):
    with postgresql_server.database() as url, postgresql_server.database() as other:
        assert url.startswith(f"postgresql://postgres@127.0.0.1:{postgresql_server.port}/test_")
        assert url != other


def test_mariadb_has_a_database_for_each_test(mariadb_server: MariaDB):
    with mariadb_server.database() as url, mariadb_server.database() as other:
        assert url.startswith(f"mariadb://root@127.0.0.1:{mariadb_server.port}/test_")
        assert url != other


def test_redis_answers_and_keeps_what_it_has_through_a_crash():
    def ask(server: Redis, line: str) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as asked:
            asked.sendall(line.encode() + b"\r\n")
            return asked.recv(100)

    with running(Redis) as server:
        assert server.url() == f"redis://127.0.0.1:{server.port}/0"
        assert ask(server, "SET bell rung") == b"+OK\r\n"
        server.stop(server.crashed_by)
        server.start()
        assert ask(server, "GET bell") == b"$4\r\nrung\r\n"


def test_rabbitmq_greets_and_leaves_no_port_mapper_behind():
    with running(RabbitMQ) as server:
        assert server.is_ready()
        assert server.url() == f"amqp://guest:guest@127.0.0.1:{server.port}//"
        mapper = server._mapper_port
        socket.create_connection(("127.0.0.1", mapper), timeout=5).close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", mapper), timeout=5)
    assert not server.is_ready()
