"""A RabbitMQ: loopback only, with a port mapper of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from . import guard
from .base import Server, free_port, running

__all__ = ["RabbitMQ", "rabbitmq_server"]

_PLACES = ("/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/sbin")
_GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitMQ(Server):
    """A RabbitMQ of a test's own."""

    title = "RabbitMQ"
    patience = 120.0

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        self._distribution, self._mapper_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    @classmethod
    def program(cls) -> Path | None:
        # Debian's script in /usr/sbin becomes another user and wants its folders; this does not.
        folders = os.pathsep.join([*_PLACES, os.environ.get("PATH", "")])
        found = shutil.which("rabbitmq-server", path=folders)
        return Path(found) if found and shutil.which("epmd") else None

    def make(self) -> None:
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "vm_memory_high_watermark.absolute": "512MB",
            "disk_free_limit.absolute": "50MB",
            "log.file": "false",
            "log.console": "true",
            "log.console.level": "warning",
        }
        lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (self.folder / "rabbitmq.conf").write_text(lines, encoding="utf-8")
        (self.folder / "enabled_plugins").write_text("[].\n", encoding="utf-8")

    def environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            "HOME": str(self.folder),  # for the cookie that its tools show
            "RABBITMQ_NODENAME": f"t{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1"
            ),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def command(self) -> Sequence[str | Path]:
        return [self.executable]

    def is_ready(self) -> bool:
        """It greets whoever speaks its protocol once it serves."""
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(_GREETING)
                return bool(asked.recv(1))
        return False

    def start(self) -> None:
        # The mapper that Erlang would start by itself is everybody's, and would stay behind.
        epmd = ["epmd", "-address", "127.0.0.1", "-port", str(self._mapper_port)]
        with open(self.folder / "mapper.log", "ab") as log:
            self._mapper = subprocess.Popen(
                epmd, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        guard.watch_process(self._mapper.pid, signal.SIGTERM)
        super().start()

    def stop(self, how: signal.Signals | None = None) -> None:
        process = self.process
        try:
            if process is not None and how == self.crashed_by:
                # The script that was started only waits for the machine that runs Erlang.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, how)
            super().stop(how)
        finally:
            mapper, self._mapper = self._mapper, None
            if mapper is not None:
                mapper.terminate()
                mapper.wait(timeout=30)
                guard.forget_process(mapper.pid)

    def url(self, host: str = "/") -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{host}"


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A running RabbitMQ, one for all tests of a worker."""
    with running(RabbitMQ) as server:
        yield server
