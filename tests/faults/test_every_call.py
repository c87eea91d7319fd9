"""A run that is killed at any of its durable system calls ends as one that nobody touched."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.killing import Launcher
from faults.oracle import Verdict, is_finished
from faults.pairs import PAIRS
from faults.tables import Tables
from faults.tracing import kill_at, need_strace, points, trace

ROWS = 600
WITH_DEAD_LETTERS = 6
RARE = ("rename", "unlink", "ftruncate", "fsync")


@pytest.mark.parametrize(
    "name", ["csv to json lines", "csv to the end of json lines", "csv to SQLite"]
)
def test_a_kill_at_every_durable_call_of_six_epochs(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None], name: str
) -> None:
    need_strace()
    folder = tmp_path / "run"
    pair, tables = PAIRS[name.replace("SQLite", "{system}")], Tables.inside(folder)
    pair.make(folder, ROWS, epoch=100, tables=tables)
    found = points(trace(folder), folder)
    assert {"rename" if ".part" in str(found) else "fsync", "pwrite64", "fdatasync"} <= {
        name for name, _ in found
    }
    if not long:
        rare = [one for one in found if one[0] in RARE]
        found = [*rare[:: len(rare) // 5], *found[:: len(found) // 5]]
    missed = 0
    for call, number in found:
        shutil.rmtree(folder)
        pair.make(folder, ROWS, epoch=100, tables=tables)
        ended = kill_at(folder, call, number)
        missed += ended != -signal.SIGKILL and ended != 128 + signal.SIGKILL
        if not is_finished(folder / ".penstock"):
            outcome = launcher.run(folder)
            assert outcome.code == WITH_DEAD_LETTERS, outcome.messages
        assert pair.judge(folder, ROWS, tables) == Verdict(), f"killed at {call} {number}"
    assert missed == 0
    certify("kill -9 at a durable call", name, len(found))
