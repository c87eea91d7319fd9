"""The system calls with which a run makes things durable: listed, and killed at one of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["Call", "kill_at", "need_strace", "points", "refuse", "trace"]

DURABLE = "write pwrite64 fsync fdatasync rename unlink ftruncate".split()
_SHAPING = [*DURABLE, "openat", "close", "lseek", "read"]
_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")


class Call(NamedTuple):
    """One system call: its name, its arguments as strace shows them, and what it returned."""

    name: str
    arguments: str
    result: int


def need_strace() -> None:
    """Skip a test where there is no strace, unless everything must be there."""
    if shutil.which("strace") and _may_trace():
        return
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail("there is no strace that works here; install it (apt-get install strace)")
    pytest.skip("there is no strace that works here; install it (apt-get install strace)")


def _may_trace() -> bool:
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    return tried.returncode == 0


def trace(folder: Path, variant: str = "") -> list[Call]:
    """Run the pipeline in `folder` and list its calls, with the bytes that it wrote."""
    log = folder.with_name(f"{folder.name}.strace")
    options = ["-xx", "-y", "-s", "10000000", "-e", f"trace={','.join(_SHAPING)}"]
    ended = _strace(options, log, folder, variant)
    if ended not in (0, 6):
        messages = (folder / "messages.txt").read_text("utf-8")
        raise RuntimeError(f"the run ended with {ended}: {messages}")
    found = []
    for line in log.read_text("latin-1").splitlines():
        match = _LINE.match(line)
        if match and int(match[3]) >= 0:
            found.append(Call(match[1], match[2], int(match[3])))
    return found


def points(calls: list[Call], folder: Path) -> list[tuple[str, int]]:
    """Where a run can be killed: each durable call in `folder`, with its number among all of that
    name."""
    seen: Counter[str] = Counter()
    inside = "".join(f"\\x{byte:02x}" for byte in bytes(folder))
    found = []
    for call in calls:
        if call.name in DURABLE:
            seen[call.name] += 1
            if inside in call.arguments and "messages.txt" not in call.arguments:
                found.append((call.name, seen[call.name]))
    return found


def kill_at(folder: Path, name: str, number: int) -> int:
    """Run the pipeline in `folder` and kill it when it makes that call; its exit code."""
    inject = f"inject={name}:signal=KILL:when={number}"
    return _strace(["-e", f"trace={name}", "-e", inject], Path(os.devnull), folder, "")


def refuse(folder: Path, name: str, number: int, error: str, path: str = "") -> int:
    """Run the pipeline in `folder`; the system answers that call, of those about one path if it is
    given, with an error."""
    only = ["-P", str(folder / path)] if path else []
    inject = f"inject={name}:error={error}:when={number}"
    options = [*only, "-e", f"trace={name}", "-e", inject]
    return _strace(options, Path(os.devnull), folder, "")


def _strace(options: list[str], log: Path, folder: Path, variant: str) -> int:
    support = str(Path(__file__).parents[1])
    path = os.pathsep.join([support, *filter(None, [os.environ.get("PYTHONPATH")])])
    program = [sys.executable, "-m", "faults.launcher", variant, str(folder)]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), *options, *program]
        + ["run", "pipeline.yaml", "-q"],
        # Compiled modules would be written by the first of these runs only.
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
    )
    return done.returncode
