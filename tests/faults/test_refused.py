"""When the system refuses to write, the run says of what and ends; the next one goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from faults.killing import Launcher
from faults.oracle import Verdict
from faults.pairs import PAIRS
from faults.tables import Tables
from faults.tracing import need_strace, refuse

ROWS = 600
WITH_DEAD_LETTERS = 6

FULL = "the disk is full; make room and run it again"
BROKEN = "cannot be written: Input/output error; check the path"
STATE = "choose a folder with --state"


@pytest.mark.parametrize(
    ("call", "number", "error", "about", "said"),
    [
        ("write", 1, "ENOSPC", ".out.jsonl.part", FULL),
        ("write", 4, "ENOSPC", ".out.jsonl.part", FULL),
        ("write", 3, "EIO", ".out.jsonl.part", BROKEN),
        ("fsync", 1, "EIO", ".out.jsonl.part", BROKEN),
        ("fsync", 3, "EIO", ".out.jsonl.part", BROKEN),
        ("fsync", 2, "EIO", "", BROKEN),  # the first is that of the folder of the state
        ("rename", 1, "EIO", ".out.jsonl.part", BROKEN),
        ("pwrite64", 2, "ENOSPC", ".penstock/state.db-wal", STATE),
        ("pwrite64", 20, "ENOSPC", ".penstock/state.db-wal", STATE),
        ("fdatasync", 4, "EIO", ".penstock/state.db-wal", STATE),
    ],
)
def test_a_run_that_cannot_write_names_the_file_and_is_resumed(
    launcher: Launcher,
    tmp_path: Path,
    certify: Callable[..., None],
    call: str,
    number: int,
    error: str,
    about: str,
    said: str,
) -> None:
    need_strace()
    pair, folder = PAIRS["csv to json lines"], tmp_path / "run"
    pair.make(folder, ROWS, epoch=100)
    ended = refuse(folder, call, number, error, about)
    messages = (folder / "messages.txt").read_text()
    assert ended not in (0, WITH_DEAD_LETTERS), messages
    named = ".penstock/state.db" if "state" in about else "out.jsonl"
    assert f"{folder / named}: " in messages
    assert said in messages
    assert "Traceback" not in messages

    outcome = launcher.run(folder)
    assert outcome.code == WITH_DEAD_LETTERS, outcome.messages
    assert pair.judge(folder, ROWS) == Verdict()
    certify(f"{error} on {call}", f"csv to json lines: {about or 'the folder'}", 1)


@pytest.mark.parametrize(
    ("call", "number", "error", "said"),
    [
        ("pwrite64", 1, "ENOSPC", "database or disk is full"),
        ("pwrite64", 20, "ENOSPC", "database or disk is full"),
        ("fdatasync", 2, "EIO", "disk I/O error"),
        ("fdatasync", 6, "EIO", "disk I/O error"),
    ],
)
@pytest.mark.parametrize("file", ["out.db", "out.db-journal"])
def test_a_database_that_cannot_be_written_is_named_and_the_run_is_resumed(
    launcher: Launcher,
    tmp_path: Path,
    certify: Callable[..., None],
    file: str,
    call: str,
    number: int,
    error: str,
    said: str,
) -> None:
    need_strace()
    pair, folder = PAIRS["csv to {system}"], tmp_path / "run"
    tables = Tables.inside(folder)
    pair.make(folder, ROWS, epoch=100, tables=tables)
    ended = refuse(folder, call, number, error, file)
    messages = (folder / "messages.txt").read_text()
    assert ended not in (0, WITH_DEAD_LETTERS), messages
    assert f"{folder / 'out.db'}: {said}" in messages
    assert "Traceback" not in messages

    outcome = launcher.run(folder)
    assert outcome.code == WITH_DEAD_LETTERS, outcome.messages
    assert pair.judge(folder, ROWS, tables) == Verdict()
    certify(f"{error} on {call}", f"csv to SQLite: {file}", 1)
