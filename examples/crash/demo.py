"""Kills a pipeline twenty times, lets it finish, and has somebody else count the records; then asks
why one is as it is, and mends the one that was set aside.

Ends with 0 when none is lost and none is there twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"
GROWING = OUT / ".lines.jsonl.part"
ROWS = 200_000
BAD = 31_415
KILLS = 20
WITH_DEAD_LETTERS = 6
CHECK = "python check.py out/readings.csv out/lines.jsonl out/table.csv"


def main() -> int:
    for old in (OUT, HERE / ".penstock"):
        shutil.rmtree(old, ignore_errors=True)
    OUT.mkdir()
    size = make_readings(OUT / "readings.csv")
    for number in range(1, KILLS + 1):
        print(f"kill -9, number {number}: {kill_half_way(size)}", flush=True)
    wrong = show("penstock run pipeline.yaml --quiet") != WITH_DEAD_LETTERS
    wrong |= show("penstock errors export pipeline.yaml out/aside.jsonl") != 0
    wrong |= show(f"{CHECK} --aside out/aside.jsonl") != 0
    print("\nWhy is one as it is, and where is the one that was set aside?")
    wrong |= show("penstock why pipeline.yaml --record readings:17") != 0
    wrong |= show(f"penstock why pipeline.yaml --record readings:{BAD}") != 0
    print("\nSomebody looks at the sensor, and mends it.")
    mend(OUT / "mended.json")
    retry = f"penstock errors retry pipeline.yaml --record readings:{BAD}"
    wrong |= show(f"{retry} --edit-with out/mended.json") != 0
    wrong |= show(f"{CHECK} --mended out/mended.json") != 0
    return 1 if wrong else 0


def make_readings(path: Path) -> int:
    """Rows that are all different, of which one is no number; how many bytes they take."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,sensor,value\n")
        for number in range(1, ROWS + 1):
            digest = hashlib.sha256(b"%d" % number).hexdigest()
            value = "damp" if number == BAD else int(digest[:4], 16) / 100
            file.write(f"{number},{digest[:12]},{value}\n")
    return path.stat().st_size


def mend(path: Path) -> None:
    """What `--edit` would ask an editor for."""
    with (OUT / "aside.jsonl").open(encoding="utf-8") as file:
        record = json.loads(file.readline())["record"]
    path.write_text(json.dumps({**record, "value": "36.6"}) + "\n", encoding="utf-8")


def kill_half_way(size: int) -> str:
    """Start the pipeline and kill it when it has written a little more; what it left behind."""
    more = random.uniform(0.02, 0.04) * size
    run = subprocess.Popen(command("penstock run pipeline.yaml --quiet"), cwd=HERE)
    start = written()
    while written() < start + more:
        start = min(start, written())  # what came after the last checkpoint is taken back first
        if run.poll() is not None:
            raise SystemExit(f"the run ended with {run.returncode} before it could be killed")
        time.sleep(0.001)
    run.kill()
    run.wait()
    return f"{os.path.relpath(GROWING, HERE)} has {written():,} bytes"


def written() -> int:
    return GROWING.stat().st_size if GROWING.exists() else 0


def show(text: str) -> int:
    """Run a command as a person would see it; its exit code."""
    print(f"> {text}", flush=True)
    return subprocess.run(command(text), cwd=HERE, stderr=subprocess.STDOUT, check=False).returncode


def command(text: str) -> list[str]:
    program, *arguments = text.split()
    return [sys.executable, *(["-m", program] if program == "penstock" else []), *arguments]


if __name__ == "__main__":
    sys.exit(main())
