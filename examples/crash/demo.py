"""Kills a pipeline twenty times, lets it finish, and has somebody else count the records.

Ends with 0 when none is lost and none is there twice.
"""

from __future__ import annotations

import hashlib
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
KILLS = 20
RUN = [sys.executable, "-m", "penstock", "run", str(HERE / "pipeline.yaml"), "-q"]


def main() -> int:
    for old in (OUT, HERE / ".penstock"):
        shutil.rmtree(old, ignore_errors=True)
    OUT.mkdir()
    size = make_readings(OUT / "readings.csv")
    for number in range(1, KILLS + 1):
        print(f"kill -9, number {number}: {kill_half_way(size)}", flush=True)
    ended = subprocess.run(RUN, check=False).returncode
    print(f"the next run came to its end, with {ended}", flush=True)
    files = [OUT / name for name in ("readings.csv", "lines.jsonl", "table.csv")]
    checked = subprocess.run([sys.executable, HERE / "check.py", *files], check=False)
    return ended or checked.returncode


def make_readings(path: Path) -> int:
    """Rows that are all different; how many bytes they take."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,sensor,value\n")
        for number in range(1, ROWS + 1):
            digest = hashlib.sha256(b"%d" % number).hexdigest()
            file.write(f"{number},{digest[:12]},{int(digest[:4], 16) / 100}\n")
    return path.stat().st_size


def kill_half_way(size: int) -> str:
    """Start the pipeline and kill it when it has written a little more; what it left behind."""
    more = random.uniform(0.02, 0.04) * size
    run = subprocess.Popen(RUN)
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


if __name__ == "__main__":
    sys.exit(main())
