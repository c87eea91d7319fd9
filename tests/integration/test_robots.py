"""The example of the robots gives the same numbers on every broker, as a file and as a function."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import REPO

ROBOTS = REPO / "examples" / "robots"
NUMBERS = itertools.count(1)

RED = [
    {"robot": "red", "start": 0, "end": 60, "steps": 6, "metres": 79.0, "fastest": 2.9},
    {"robot": "red", "start": 60, "end": 120, "steps": 6, "metres": 89.0, "fastest": 2.9},
    {"robot": "red", "start": 120, "end": 180, "steps": 6, "metres": 68.0, "fastest": 1.7},
]
BLUE = [
    {"robot": "blue", "start": 0, "end": 60, "steps": 6, "metres": 61.0, "fastest": 1.5},
    {"robot": "blue", "start": 60, "end": 120, "steps": 4, "metres": 48.0, "fastest": 1.7},
    {"robot": "blue", "start": 120, "end": 180, "steps": 6, "metres": 81.0, "fastest": 2.9},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    left_behind = shutil.ignore_patterns(".penstock", "out", "__pycache__")
    return Path(shutil.copytree(ROBOTS, tmp_path / "robots", ignore=left_behind))


def minutes(folder: Path, *words: str, **places: str) -> list[dict[str, Any]]:
    """What `python demo.py` prints that are results."""
    done = subprocess.run(
        [sys.executable, "demo.py", *words],
        cwd=folder,
        env={**os.environ, **places},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("words", [(), ("typed",)], ids=["file", "typed"])
def test_the_numbers_on_the_embedded_broker(folder, words):
    assert minutes(folder, *words) == BLUE + RED
    assert minutes(folder, *words) == BLUE + RED


def test_the_numbers_are_those_of_the_positions(folder):
    """Reckoned from the files, without a join and a window."""
    for robot, expected in {"red": RED, "blue": BLUE}.items():
        lines = (folder / f"{robot}.csv").read_text(encoding="utf-8").splitlines()[1:]
        at = {int(t): (int(x), int(y)) for _, t, x, y in (line.split(",") for line in lines)}
        steps: dict[int, list[float]] = {}
        for t, (x, y) in at.items():
            if t + 10 in at:
                later = at[t + 10]
                far = ((later[0] - x) ** 2 + (later[1] - y) ** 2) ** 0.5
                steps.setdefault(t // 60 * 60, []).append(far)
        found = [(start, len(all_), sum(all_), max(all_) / 10) for start, all_ in steps.items()]
        columns = ("start", "steps", "metres", "fastest")
        assert found == [tuple(one[name] for name in columns) for one in expected]


def test_the_numbers_on_kafka_in_mongodb(folder, kafka_server, mongodb_server):
    """As the file says, a second time from the same topics, and as a function."""
    name = f"robots{os.getpid()}x{next(NUMBERS)}"
    places = {
        "KAFKA": kafka_server.url(),
        "MONGODB": mongodb_server.url(),
        "TOPICS": name,
        "DATABASE": name,
    }
    assert minutes(folder, "kafka", **places) == BLUE + RED
    assert minutes(folder, "kafka", **places) == BLUE + RED
    assert minutes(folder, "kafka", "typed", **places) == BLUE + RED


CALLED = """
brokers:
  bus: {use: kafka, bootstrap: "${KAFKA}"}
inputs:
  locations: {use: stream, broker: bus, stream: "${TOPICS}.red"}
  steps:
    use: join
    shape: nested
    inputs: {positions: locations, later: locations}
    on:
      later: {left: time + 10, right: time}
transformers:
  minutes: {use: window, kind: change, key: "positions['time'] // 60"}
  minute: {use: call, function: "typed:minute"}
outputs:
  topic: {use: stream, broker: out, stream: "${TOPICS}.minutes", end_of_stream: true}
pipes:
  main: [steps, minutes, minute, topic]
"""


def test_a_file_calls_the_function_between_topics(
    folder, kafka_server, mongodb_server, monkeypatch
):
    from penstock import run
    from penstock.testing import ListOutput
    from penstock_broker_kafka import KafkaBroker

    name = f"robots{os.getpid()}x{next(NUMBERS)}"
    places = {"KAFKA": kafka_server.url(), "TOPICS": name}
    minutes(folder, "kafka", **places, MONGODB=mongodb_server.url(), DATABASE=name)
    in_place = '{use: kafka, bootstrap: "${KAFKA}", create_topics: true}'
    (folder / "called.yaml").write_text(CALLED.replace("broker: out", f"broker: {in_place}"))
    for variable, value in places.items():
        monkeypatch.setenv(variable, value)
    assert run(folder / "called.yaml").ok
    out = ListOutput()
    broker = KafkaBroker(bootstrap=kafka_server.url())
    run(broker.input(f"{name}.minutes"), out, name=f"{name}-minutes")
    assert out.values == RED
