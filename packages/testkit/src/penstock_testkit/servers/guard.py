"""Ends what a test session has started when the session itself was killed.

The session starts this file once, as a process that reads what to look after from a pipe. When the
session ends, however it does, the pipe ends too; what is still looked after then is killed and
removed. It runs as a script, without the package around it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

__all__ = ["forget_folder", "forget_process", "watch_folder", "watch_process"]

GRACE = 5.0
"""Seconds between the signal that a server takes for a crash and the one that nobody survives."""


class _Guard:
    """The process, as the session sees it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None
        self.owner = 0

    def tell(self, *words: object) -> None:
        if self.process is None or self.owner != os.getpid():  # a fork has none
            self.owner = os.getpid()
            self.process = subprocess.Popen(
                [sys.executable, "-I", __file__],
                stdin=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            atexit.register(self.dismiss, self.process)
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    @staticmethod
    def dismiss(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


_guard = _Guard()


def watch_process(pid: int, crashed_by: signal.Signals) -> None:
    """Kill this process, with its group, should the session end before it does."""
    _guard.tell("process", pid, int(crashed_by))


def forget_process(pid: int) -> None:
    """It has ended, and its number may be somebody else's next."""
    _guard.tell("ended", pid)


def watch_folder(folder: Path) -> None:
    """Remove this folder should the session end before it does."""
    _guard.tell("folder", folder)


def forget_folder(folder: Path) -> None:
    _guard.tell("gone", folder)


def look_after(lines: Iterable[str]) -> None:
    """Read what to look after until there is nobody left to say it; then end all of it."""
    processes: dict[int, int] = {}
    folders: set[str] = set()
    for line in lines:
        what, rest = line.rstrip("\n").split(" ", 1)
        if what == "process":
            pid, number = map(int, rest.split())
            processes[pid] = number
        elif what == "ended":
            processes.pop(int(rest), None)
        elif what == "folder":
            folders.add(rest)
        else:
            folders.discard(rest)
    for pid, number in processes.items():
        _signal(pid, number)
    end = time.monotonic() + GRACE
    while any(map(_lives, processes)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in processes:
        _signal(pid, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, number)  # it leads a session, and so a group, of its own


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return True
    except OSError:
        return False


if __name__ == "__main__":
    look_after(sys.stdin)
