"""A Redis: loopback only, nothing on disk unless a test wants it to survive a crash."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .base import Server, running

__all__ = ["Redis", "redis_server"]


class Redis(Server):
    """A Redis of a test's own."""

    title = "Redis"

    @classmethod
    def program(cls) -> Path | None:
        found = shutil.which("redis-server")
        return Path(found) if found else None

    def command(self) -> Sequence[str | Path]:
        settings = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",  # a crash that loses what was queued is not what is tested
        }
        return [
            self.executable,
            *(part for k, v in settings.items() for part in (f"--{k}", str(v))),
        ]

    def is_ready(self) -> bool:
        """It answers once it has read what was on disk."""
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(b"PING\r\n")
                return asked.recv(7) == b"+PONG\r\n"
        return False

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis, one for all tests of a worker."""
    with running(Redis) as server:
        yield server
