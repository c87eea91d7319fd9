"""What every server has: a folder, a port, a process, and an end whatever happens to the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest

from . import guard

__all__ = ["Server", "free_port", "require", "running"]


def free_port() -> int:
    """A port on loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require(server: str, reason: str) -> NoReturn:
    """Skip a test that wants a server that is not here, or fail it where servers must be."""
    if os.environ.get("REQUIRE_SERVICES", "") not in ("", "0"):
        pytest.fail(f"{server} is required and {reason}")
    pytest.skip(f"{server}: {reason}")


class Server:
    """A server of a test's own: `make` once, then `start` and `stop` as often as a test likes, and
    `remove` at the end.

    A new one says what its `title` is, where its `program` is, which `command` runs it in the
    foreground, and when it `is_ready`.
    """

    title: ClassVar[str]
    user: ClassVar[str | None] = None
    """Whom to be where the tests run as root and the server refuses to."""
    stopped_by: ClassVar[signal.Signals] = signal.SIGTERM
    crashed_by: ClassVar[signal.Signals] = signal.SIGKILL
    patience: ClassVar[float] = 60.0
    """Seconds to wait for the start."""

    def __init__(self, port: int | None = None) -> None:
        found = self.program()
        if found is None:
            require(self.title, "is not installed; .ci/services installs it on Debian and Ubuntu")
        self.executable = found
        self.port = port or free_port()
        self.who = _as_user(self.user)
        self.folder = Path(tempfile.mkdtemp(prefix=f"penstock-{self.title.lower()}-"))
        self._own(self.folder)
        self.process: subprocess.Popen[bytes] | None = None
        guard.watch_folder(self.folder)

    # ---- what differs ---------------------------------------------------------------------------

    @classmethod
    def program(cls) -> Path | None:
        """Where the server's program is, None when it is not installed."""
        raise NotImplementedError

    def command(self) -> Sequence[str | Path]:
        """What runs the server in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """The environment that it runs in."""
        return os.environ

    def make(self) -> None:
        """Make the files of the server; once, before the first start."""

    def is_ready(self) -> bool:
        """Whether it answers: it does when it greets or takes a connection."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        return False

    # ---- what they share ------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until it serves."""
        with open(self.folder / "log", "ab") as log:
            # A session of its own: who presses Ctrl-C stops the tests, which then stop the server.
            self.process = subprocess.Popen(
                list(map(str, self.command())),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
                **self.who,
            )
        guard.watch_process(self.process.pid, self.crashed_by)
        end = time.monotonic() + self.patience
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.title} did not start:\n{self.log()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals | None = None) -> None:
        """Stop it by a signal; `stopped_by` is as an administrator does, `crashed_by` a crash."""
        process, self.process = self.process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how or self.stopped_by)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        guard.forget_process(process.pid)

    def remove(self) -> None:
        """Stop it, as by a crash since nothing in it is wanted any more, and remove its folder."""
        self.stop(self.crashed_by)
        shutil.rmtree(self.folder, ignore_errors=True)
        guard.forget_folder(self.folder)

    def log(self) -> str:
        """The end of what it has said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def call(self, program: str | Path, *arguments: str | Path) -> str:
        """Run another program of the server's package in its folder; what it printed."""
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment(), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            **self.who,
        )
        if done.returncode:
            raise RuntimeError(f"{Path(program).name} failed:\n{done.stdout}{done.stderr}")
        printed: str = done.stdout
        return printed

    def _own(self, path: Path) -> None:
        """Give a folder to whom the server runs as."""
        if self.who:
            os.chown(path, self.who["user"], self.who["group"])


def _as_user(name: str | None) -> dict[str, Any]:
    """How to start a program that refuses to run as root."""
    if name is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    import pwd

    user = pwd.getpwnam(name)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


S = TypeVar("S", bound=Server)


@contextlib.contextmanager
def running(make: Callable[[], S]) -> Iterator[S]:
    """A server that is made, started, and removed at the end."""
    server = make()
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.remove()
