"""For minutes, a stream is read by runs that are killed at random: nothing is lost or repeated, and
neither memory, descriptors, threads nor the state folder grow with the time."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from faults.oracle import Verdict

PARTS = '''
import time

from penstock import Batch, Input, component


@component
class Ticks(Input):
    """Counts for ever, not as fast as it could."""

    def read(self, positions):
        last = positions.get("", 0)
        while True:
            time.sleep(0.004)
            records = [{"n": n, "text": f"record {n}"} for n in range(last + 1, last + 101)]
            yield Batch(records, "", range(last + 1, last + 101), last + 100)
            last += 100


def odd(record):
    if record["n"] % 20_011 == 0:
        raise ValueError("not this one")
    return record
'''

# The system ends it with its parent, so that a test that is killed leaves nothing behind.
START = """
import ctypes, runpy, signal
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
runpy.run_module("penstock", run_name="__main__", alter_sys=True)
"""

PIPELINE = """
inputs: {ticks: {use: "parts:Ticks"}}
transformers: {odd: {use: "parts:odd"}, packs: {use: batch, size: 7}}
outputs: {out: {use: json, path: out.jsonl, mode: append}}
pipes: {main: [ticks, odd, packs, out]}
engine: threads
epoch: {records: 1000}
"""


class Usage(NamedTuple):
    """Of a process: KiB of memory, open descriptors, threads; of the state folder: KiB."""

    memory: int
    descriptors: int
    threads: int
    state: int


def usage(process: int, folder: Path) -> Usage:
    facts = facts_of(process)
    state = 0
    for one in folder.glob("**/*"):
        with contextlib.suppress(FileNotFoundError):  # just removed
            state += one.stat().st_size
    descriptors = len(os.listdir(f"/proc/{process}/fd"))
    return Usage(int(facts["VmRSS"].split()[0]), descriptors, int(facts["Threads"]), state // 1024)


def facts_of(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)


def until_it_works(process: subprocess.Popen[bytes]) -> None:
    """Wait for its threads: nobody knows how long a start takes on a busy machine."""
    while process.poll() is None and int(facts_of(process.pid)["Threads"]) < 4:
        time.sleep(0.02)


def soak(folder: Path, seconds: float) -> tuple[int, list[Usage]]:
    """How many kills there were, and what each run used before it was killed."""
    command = [sys.executable, "-c", START, "run", "--quiet", "pipeline.yaml"]
    chance, found, kills = random.Random(1), [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with (folder / "messages.txt").open("wb") as said:
            process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        until_it_works(process)
        time.sleep(chance.uniform(0.3, min(5.0, seconds / 5)))
        assert process.poll() is None, (folder / "messages.txt").read_text()
        found.append(usage(process.pid, folder / ".penstock"))
        process.kill()
        process.wait()
        kills += 1
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    until_it_works(process)
    process.send_signal(signal.SIGTERM)  # a clean end, so that what is held is written
    assert process.wait(60) == 128 + signal.SIGTERM
    return kills, found


def judge(folder: Path) -> Verdict:
    """Numbers from 1 on without a gap but those set aside, but for the few in a pack that is not
    full."""
    lost = repeated = 0
    last = 0
    with (folder / "out.jsonl").open() as file:
        for line in file:
            for record in json.loads(line)["records"]:
                wanted = last + 1 + ((last + 1) % 20_011 == 0)
                lost += max(0, record["n"] - wanted)
                repeated += record["n"] < wanted
                last = max(last, record["n"])
    assert last > 20_011
    return Verdict(lost=lost, repeated=repeated)


def test_a_run_ends_with_a_test_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    parent = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, *sys.argv[1:]])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    command = [sys.executable, "-c", parent, "-c", START, "run", "--quiet", "pipeline.yaml"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        while not (tmp_path / ".penstock").exists():
            time.sleep(0.02)
        process.kill()
    until = time.monotonic() + 30
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < until:
        if "Z" in facts_of(child)["State"]:  # nobody here has to wait for it
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_nothing_grows_with_the_time(
    tmp_path: Path, long: bool, certify: Callable[..., None]
) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    kills, found = soak(tmp_path, 300 if long else 8)
    assert judge(tmp_path) == Verdict()
    third = max(1, len(found) // 3)
    early, late = found[:third], found[-third:]
    grown = {
        name: (
            median(getattr(one, name) for one in early),
            median(getattr(one, name) for one in late),
        )
        for name in Usage._fields
    }
    print(grown)
    assert grown["memory"][1] <= 1.1 * grown["memory"][0]
    assert grown["descriptors"][1] <= grown["descriptors"][0] + 1
    assert grown["threads"][1] <= grown["threads"][0]
    if long:  # letters are kept, so it may grow by those
        assert grown["state"][1] <= 1.5 * grown["state"][0]
    certify(
        "soak of five minutes with kill -9",
        "a stream in groups to json lines",
        kills,
        engine="threads",
    )
