"""A record that was set aside and is tried again, is written once: also by a retry that is killed,
and by one that is made twice."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from faults.certificates import Wrong
from faults.killing import Launcher
from faults.oracle import Verdict

ROWS = 2000
BAD = 100
RETRY = ("errors", "pipeline.yaml", "--retry", "--yes")
FORGETS = "closes letters afterwards"

OUTPUTS = {
    "json lines": "{use: json, path: out.jsonl}",
    "SQLite": "{use: sql, url: 'sqlite:///out.db', table: out}",
}


def make(folder: Path, output: str, good: bool) -> None:
    """A pipeline that fails for some records until it is good."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (
        f'{{"id":{n},"value":"{"four" if n % (ROWS // BAD) == 0 else n}"}}\n'
        for n in range(1, ROWS + 1)
    )
    if not (folder / "in.jsonl").exists():
        (folder / "in.jsonl").write_text("".join(lines))
    field = "id" if good else "value"
    (folder / "pipeline.yaml").write_text(
        "inputs:\n  rows: {use: json, path: in.jsonl}\n"
        f"transformers:\n  numbers: {{use: fields, cast: {{{field}: int}}, select: [id]}}\n"
        f"outputs:\n  out: {OUTPUTS[output]}\n"
        "pipes:\n  rows: [rows, numbers, out]\nepoch: {records: 10}\n"
    )


def found(folder: Path) -> Verdict:
    if (folder / "out.db").exists():
        with closing(sqlite3.connect(folder / "out.db")) as database:
            ids = [number for (number,) in database.execute("SELECT id FROM out")]
    else:
        ids = [json.loads(line)["id"] for line in (folder / "out.jsonl").read_text().splitlines()]
    return Verdict(lost=ROWS - len(set(ids)), repeated=len(ids) - len(set(ids)))


def open_letters(folder: Path) -> int:
    with closing(sqlite3.connect(folder / ".penstock" / "state.db")) as store:
        count: int = store.execute("SELECT count(*) FROM letters").fetchone()[0]
        return count


def retry_and_kill(
    launcher: Launcher, folder: Path, output: str, kills: int, variant: str | None = None
) -> tuple[int, Verdict]:
    """Kill retries until there were so many kills; each is repeated until nothing is left."""
    chance, killed, trial, total, whole = random.Random(1), 0, 0, Verdict(), 0.2
    while killed < kills and total.right:
        trial += 1
        here = folder / f"try{trial}"
        make(here, output, good=False)
        assert launcher.run(here).code == 6
        assert open_letters(here) == BAD
        make(here, output, good=True)
        while open_letters(here):
            signals = [(chance.uniform(0.1, 1.2) * whole, signal.SIGKILL)]
            outcome = launcher.run(here, *RETRY, signals=signals, variant=variant)
            killed += outcome.code == -signal.SIGKILL
            assert outcome.code in (0, -signal.SIGKILL), outcome.messages
            whole = outcome.seconds if outcome.code == 0 else whole
        again = launcher.run(here, *RETRY, variant=variant)  # and once more, with nothing to do
        assert (again.code, again.messages) == (0, "no dead letters\n")
        total += found(here)
    return killed, total


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_letter_that_is_tried_twice_is_written_once(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None], output: str
) -> None:
    killed, right = retry_and_kill(launcher, tmp_path / "right", output, 100 if long else 4)
    assert right == Verdict()
    tried, wrong = retry_and_kill(launcher, tmp_path / "wrong", output, 200, FORGETS)
    assert wrong.repeated
    caught = Wrong(FORGETS, tried, wrong)
    certify("kill -9 of a retry", f"dead letters to {output}", killed, right, wrong=caught)


DIES = """\
import os, signal, sys
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # before a file is put into place
from penstock.cli import main
main(sys.argv[1:])
"""


def test_a_retry_that_died_before_its_files_were_put_into_place_is_completed_by_the_next(
    launcher: Launcher, tmp_path: Path
) -> None:
    make(tmp_path, "json lines", good=False)
    launcher.run(tmp_path)
    make(tmp_path, "json lines", good=True)
    died = subprocess.run([sys.executable, "-c", DIES, *RETRY], cwd=tmp_path, check=False)
    assert died.returncode == -signal.SIGKILL
    assert (open_letters(tmp_path), found(tmp_path)) == (0, Verdict(lost=BAD))
    again = launcher.run(tmp_path, *RETRY)
    assert (again.code, again.messages) == (0, "no dead letters\n")
    assert found(tmp_path) == Verdict()
