"""Whether the process that holds a lease still lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from penstock.holder import alive, this_process


def test_this_process_is_alive() -> None:
    assert alive(this_process()) is True


def test_nobody_knows_of_a_process_elsewhere() -> None:
    assert alive("another-machine, process 1, started 1") is None


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_a_killed_process_that_nobody_has_waited_for_is_dead() -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from penstock.holder import this_process as me; print(me(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    holder = child.stdout.readline().strip()
    assert alive(holder) is True

    child.send_signal(signal.SIGKILL)
    assert child.stdout.read() == ""  # its end: the kernel has closed what it had open
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert alive(holder) is False

    child.wait()
    child.stdin.close()
    child.stdout.close()
    assert alive(holder) is False
