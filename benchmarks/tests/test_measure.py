"""A race measures each contender alone and believes no output that it has not compared."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from measure import Contender, Race, Result, run_race

BIG = "b = bytearray(80_000_000)"
WRITE = "open('out.jsonl', 'w').write('{\"n\": 1}\\n')"
WRITE_OTHER = "open('out.jsonl', 'w').write('{\"n\": 2}\\n')"
COUNT_ON = """
from pathlib import Path
count = Path("count")
count.write_text(f"{count.exists() and count.read_text()}+")
open("out.jsonl", "w").write('{"n": 1}' + " " * len(count.read_text()))
"""


def python(name: str, code: str, writes: bool = False, **more: object) -> Contender:
    return Contender(name, (sys.executable, "-c", code), writes=writes, **more)  # type: ignore[arg-type]


def race(tmp_path: Path, *contenders: Contender, runs: int = 2) -> dict[str, Result]:
    return run_race(Race("race", contenders), runs, tmp_path / "runs", print)


def test_the_peak_of_one_process_is_not_that_of_its_neighbour(tmp_path: Path) -> None:
    results = race(tmp_path, python("big", BIG), python("small", "pass"))
    assert results["big"].peak > 80
    assert results["small"].peak < 40
    assert len(results["big"].walls) == 2


def test_processor_time_is_that_of_the_contender(tmp_path: Path) -> None:
    idle = python("idle", "import time; time.sleep(0.5)")
    result = race(tmp_path, idle, runs=1)["idle"]
    assert result.wall > 0.5
    assert result.cpu < 0.4


def test_contenders_take_turns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    note = f"open({str(log)!r}, 'a').write('%s')"
    race(tmp_path, python("a", note % "a"), python("b", note % "b"), runs=2)
    assert log.read_text() == "ababab"


def test_another_output_is_a_failure(tmp_path: Path) -> None:
    results = race(tmp_path, python("one", WRITE, True), python("two", WRITE_OTHER, True))
    assert results["one"].failure == ""
    assert results["two"].failure == "wrote something else: line 1: expected {'n': 1}, got {'n': 2}"
    assert results["two"].walls == []


def test_an_output_that_changes_between_runs_is_a_failure(tmp_path: Path) -> None:
    result = race(tmp_path, python("fickle", COUNT_ON, True))["fickle"]
    assert result.failure == "wrote something else than in its warm-up"


def test_no_output_is_a_failure(tmp_path: Path) -> None:
    result = race(tmp_path, python("lazy", "pass", True))["lazy"]
    assert result.failure == "wrote no out.jsonl: no message"


def test_a_failing_contender_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    results = race(tmp_path, python("bad", "raise ValueError('no luck')"), python("good", "pass"))
    assert results["bad"].failure == "ended with exit code 1: ValueError: no luck"
    assert len(results["good"].walls) == 2


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    result = race(tmp_path, Contender("none", ("/nowhere/program",)))["none"]
    assert result.failure.startswith("could not be started: FileNotFoundError")


def test_one_that_is_not_installed_takes_no_part(tmp_path: Path) -> None:
    gone = python("gone", WRITE, True, missing="not installed")
    result = race(tmp_path, gone, python("here", "pass"))["gone"]
    assert (result.failure, result.walls) == ("not installed", [])


def test_a_contender_may_time_itself_but_must_count_right(tmp_path: Path) -> None:
    told = 'print(\'{"seconds": 0.002, "records": 1000}\')'
    right = python("right", told, records=1000, times_itself=True)
    wrong = python("wrong", told, records=1001, times_itself=True)
    results = race(tmp_path, right, wrong)
    assert results["right"].per_record == 2000
    assert results["wrong"].failure.startswith("should have counted 1001 records")


def test_data_and_files_are_in_the_contenders_folder(tmp_path: Path) -> None:
    data, file = tmp_path / "data.csv", tmp_path / "pipeline.yaml"
    data.write_text("a,b\n")
    file.write_text("pipes: {}\n")
    code = "assert open('w1.csv').read() == 'a,b\\n'; assert open('pipeline.yaml').read()"
    contender = python("reader", code, files=[file])
    result = run_race(Race("race", [contender], data), 1, tmp_path / "runs", print)["reader"]
    assert result.failure == ""


def test_settings_of_the_person_who_measures_do_not_reach_a_contender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PENSTOCK_DISABLE", "penstock-input-csv")
    code = "import os, sys; assert not sys.dont_write_bytecode; assert not os.getenv('PENSTOCK_DISABLE')"
    assert race(tmp_path, python("clean", code), runs=1)["clean"].failure == ""
