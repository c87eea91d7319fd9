"""What docs/explanation/delivery-so-far.md says holds, with real files and real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PIPELINE = """
inputs:
  rows: {{use: "{source}"}}
transformers:
  tidy: {{use: fields, where: "id != 2", cast: {{id: int}}}}
outputs:
  out: {{use: json, path: out.jsonl, mode: {mode}}}
pipes:
  rows: [rows, tidy, out]
epoch: {{records: {epoch}}}
"""
SOURCES = """
import os, signal, time
from pathlib import Path

def good():
    yield from ({"id": n} for n in ("1", "2", "3", "x"))

def failing():
    yield from ({"id": n} for n in range(1000))
    raise OSError("the line is dead")

def waiting():
    for n in range(6000):
        yield {"id": n}
        if n == 5500 and not Path("go-on").exists():
            Path("under-way").touch()
            time.sleep(60)

def endless():
    n = 0
    while True:
        yield {"id": n}
        n += 1
        if n == 1000:
            Path("under-way").touch()
        if n > 1000:
            time.sleep(0.001)
"""
OLD = '{"id":0}\n'


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "sources.py").write_text(SOURCES)
    (tmp_path / "out.jsonl").write_text(OLD)
    return tmp_path


def declare(folder: Path, source: str, mode: str = "replace", epoch: int = 100_000) -> None:
    text = PIPELINE.format(source=f"sources:{source}", mode=mode, epoch=epoch)
    (folder / "pipeline.yaml").write_text(text)


@pytest.fixture
def start(folder) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `penstock run`; whatever happens, nothing is left running."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "run", "pipeline.yaml", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def run_command(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "penstock", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def written(folder: Path) -> list[int]:
    return [json.loads(line)["id"] for line in (folder / "out.jsonl").read_text().splitlines()]


def test_every_record_is_accounted_for_and_a_failed_one_is_not_written(folder, start):
    declare(folder, "good")
    code, out = finished(start("--json"))
    balance = json.loads(out)["balance"]
    assert code == 6
    assert balance["holds"]
    assert [balance[name] for name in ("read", "written", "filtered", "dead")] == [4, 2, 1, 1]
    assert written(folder) == [1, 3]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_run_that_fails_leaves_the_file_as_it_was(folder, start, mode):
    declare(folder, "failing", mode)
    code, _ = finished(start())
    assert code == 1
    assert (folder / "out.jsonl").read_text() == OLD


def test_a_run_that_is_killed_leaves_a_file_that_is_replaced_as_it_was(folder, start):
    declare(folder, "endless")
    process = start()
    wait_for(folder / "under-way")
    process.kill()
    finished(process)
    assert (folder / "out.jsonl").read_text() == OLD


def test_a_run_that_is_killed_leaves_what_was_there_before_it_appended(folder, start):
    declare(folder, "endless", "append")
    process = start()
    wait_for(folder / "under-way")
    process.kill()
    finished(process)
    assert (folder / "out.jsonl").read_text().startswith(OLD)


@pytest.mark.parametrize(("mode", "before"), [("replace", []), ("append", [0])])
def test_a_file_goes_on_exactly_where_the_last_checkpoint_was(folder, start, mode, before):
    declare(folder, "waiting", mode, epoch=1000)
    process = start()
    wait_for(folder / "under-way")
    process.kill()
    finished(process)
    (folder / "go-on").touch()
    assert finished(start())[0] == 0
    assert "where the run before was cut off" in run_command(
        "runs", "pipeline.yaml", "last", cwd=folder
    )
    assert written(folder) == [*before, *(n for n in range(6000) if n != 2)]


def test_fresh_takes_nothing_back_that_was_appended_up_to_a_checkpoint(folder, start):
    declare(folder, "waiting", "append", epoch=1000)
    process = start()
    wait_for(folder / "under-way")
    process.kill()
    finished(process)
    (folder / "go-on").touch()
    assert finished(start("--fresh"))[0] == 0
    whole = [n for n in range(6000) if n != 2]
    numbers = written(folder)
    assert numbers[-len(whole) :] == whole
    kept = numbers[: -len(whole)]
    assert kept == [0, *whole[: len(kept) - 1]]
    assert len(kept) > 1000


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_after_its_epoch_and_leaves_the_file_as_it_was(
    folder, start, number, code
):
    declare(folder, "endless")
    process = start("--json")
    wait_for(folder / "under-way")
    process.send_signal(number)
    ended, out = finished(process)
    report = json.loads(out)
    assert ended == code
    assert report["status"] == "interrupted"
    assert report["epochs"] >= 1
    assert report["balance"]["holds"]
    assert (folder / "out.jsonl").read_text() == OLD


def test_a_run_after_one_that_has_ended_well_reads_from_the_start(folder, start):
    declare(folder, "good")
    for _ in range(2):
        finished(start())
        assert written(folder) == [1, 3]


def printing(folder: Path, count: int) -> None:
    (folder / "sources.py").write_text(f"def some(): yield from range({count})\n")
    (folder / "pipeline.yaml").write_text(
        'inputs: {rows: {use: "sources:some"}}\npipes: {main: [rows]}\n'
    )


def test_a_run_that_was_cut_off_is_resumed_and_says_so(folder, start):
    printing(folder, 5000)
    _, first = finished(start("--max-records", "1000"))
    code, second = finished(start())
    assert code == 0
    assert [int(n) for n in (first + second).split()] == list(range(5000))
    reports = run_command("runs", "pipeline.yaml", "last", cwd=folder)
    assert "resumed after 1000 records, where the run before was cut off" in reports


def test_fresh_starts_a_run_over_that_was_cut_off(folder, start):
    printing(folder, 5000)
    finished(start("--max-records", "1000"))
    _, out = finished(start("--fresh"))
    assert [int(n) for n in out.split()] == list(range(5000))


def test_a_second_run_at_the_same_time_is_refused_and_one_after_a_kill_is_not(folder, start):
    declare(folder, "endless")
    process = start()
    wait_for(folder / "under-way")
    second = start()
    _, err = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "pipeline: another run is under way" in err
    process.kill()
    finished(process)
    declare(folder, "good")
    assert finished(start("--fresh"))[0] == 6
