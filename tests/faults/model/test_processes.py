"""Real processes: records that kill them, two at once, one killed while it holds the lease."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.errors import EXIT_LETTERS

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
TRIES = 20 if LONG else 4
DEATHS = 7
"""Three at one place, one of the batch by itself, three of the record by itself."""
LAST = 3000

PARTS = '''
import os
import signal
import time
from pathlib import Path

from penstock import Output, RecordInput, Transformer, component, option

HERE = Path(__file__).parent


@component
class Numbers(RecordInput):
    """Counts."""

    last: int = option(help="The last number.")

    def records(self, skip):
        return ({"n": n} for n in range(skip + 1, self.last + 1))


@component
class Deadly(Transformer):
    """Ends the process on one record."""

    record: int = option(help="Which one.")
    how: str = option(help="exit or kill.")

    def transform(self, record):
        if record["n"] == self.record:
            with open(HERE / "deaths", "a") as file:
                file.write("x")
            if self.how == "exit":
                os._exit(9)
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return record


@component
class Lines(Output):
    """A file that is cut back to what was durable."""

    delivery = "rewindable"
    path: Path = option(help="File to write.")

    def resume(self, mark, epoch):
        self.file = open(self.path, "a+b")
        self.file.truncate(mark or 0)

    def write(self, batch):
        self.file.writelines(b"%d\\n" % record["n"] for record in batch.records)

    def prepare(self, epoch):
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def close(self):
        if hasattr(self, "file"):
            self.file.close()


class Gate(Transformer):
    """Lets the first record pass once it is told to."""

    def transform(self, record):
        if record["n"] == 1:
            (HERE / f"waiting-{os.getpid()}").touch()
            while not (HERE / "go").exists():
                time.sleep(0.01)
        return record
'''

PIPELINE = """
inputs: {{numbers: {{use: "parts:Numbers", last: {last}}}}}
transformers: {{stage: {stage}}}
outputs: {{out: {{use: "parts:Lines", path: out}}}}
pipes: {{main: [numbers, stage, out]}}
engine: {engine}
epoch: {{records: 1000}}
"""


def write(folder: Path, stage: str, engine: str = "inline") -> None:
    (folder / "parts.py").write_text(PARTS, encoding="utf-8")
    text = PIPELINE.format(last=LAST, stage=stage, engine=engine)
    (folder / "pipeline.yaml").write_text(text, encoding="utf-8")


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "penstock", "run", "--quiet", "pipeline.yaml"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run(folder: Path) -> tuple[int, str]:
    process = start(folder)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def written(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "out").read_text().splitlines()]


def until(true: object, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "it never happens"
        time.sleep(0.01)


def state(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / ".penstock" / "state.db")


# ---- records that kill --------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_record_that_kills_the_process_is_a_dead_letter_and_all_others_arrive_once(
    tmp_path: Path, engine: str, how: str
) -> None:
    write(tmp_path, f'{{use: "parts:Deadly", record: 1234, how: {how}}}', engine)
    killed = 9 if how == "exit" else -signal.SIGKILL
    codes = [run(tmp_path)[0]]
    while codes[-1] == killed and len(codes) < 20:
        codes.append(run(tmp_path)[0])
    assert codes == [killed] * DEATHS + [EXIT_LETTERS]
    assert (tmp_path / "deaths").read_text() == "x" * DEATHS
    assert written(tmp_path) == [n for n in range(1, LAST + 1) if n != 1234]
    connection = state(tmp_path)
    letters = connection.execute("SELECT ordinal, message FROM letters").fetchall()
    connection.close()
    assert letters == [(1234, "killed the worker 3 times when it was tried by itself")]


# ---- leases -------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_of_two_runs_at_once_one_wins_and_the_other_says_so(tmp_path: Path, engine: str) -> None:
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, '{use: "parts:Gate"}', engine)
        both = [start(folder), start(folder)]
        until(lambda both=both: any(one.poll() is not None for one in both))
        (loser,) = [one for one in both if one.poll() is not None]
        (folder / "go").touch()
        told = {one: one.communicate(timeout=60)[1] for one in both}
        assert sorted(one.returncode for one in both) == [0, 1]
        assert loser.returncode == 1
        assert "pipeline: another run is under way (" in told[loser]
        assert written(folder) == list(range(1, LAST + 1))


def test_a_holder_that_was_killed_is_replaced_at_once(tmp_path: Path) -> None:
    write(tmp_path, '{use: "parts:Gate"}')
    first = start(tmp_path)
    until(lambda: list(tmp_path.glob("waiting-*")))
    first.kill()
    first.communicate()
    (tmp_path / "go").touch()
    begun = time.monotonic()
    assert run(tmp_path) == (0, "")
    assert time.monotonic() - begun < 30  # a lease is good for a minute
    assert written(tmp_path) == list(range(1, LAST + 1))


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_run_whose_lease_was_taken_stops_before_it_commits(tmp_path: Path, engine: str) -> None:
    write(tmp_path, '{use: "parts:Gate"}', engine)
    first = start(tmp_path)
    until(lambda: list(tmp_path.glob("waiting-*")))
    connection = state(tmp_path)
    connection.execute(
        "UPDATE leases SET generation = generation + 1, until = 0, "
        "holder = 'elsewhere, process 1, started 1'"
    )
    connection.commit()
    (tmp_path / "go").touch()
    _, told = first.communicate(timeout=60)
    assert first.returncode == 1
    assert (
        "pipeline: another run has taken this pipeline over; this run stops; nothing is written "
        "twice" in told
    )
    assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)
    connection.close()
    assert run(tmp_path) == (0, "")
    assert written(tmp_path) == list(range(1, LAST + 1))
