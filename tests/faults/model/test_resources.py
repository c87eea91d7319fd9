"""Memory, descriptors and threads do not grow with the records or with the number of runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from penstock import Batch, Failure, Output
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.stores.sqlite import SqliteStore
from penstock.testing import ListInput, Raise

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
LIVES = 400 if LONG else 60

PROGRAM = """
import resource
import sys
import time
from pathlib import Path

from penstock import Output, RecordInput
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.stores.sqlite import SqliteStore


class Numbers(RecordInput):
    def records(self, skip):
        return ({"n": n, "text": f"record {n}"} for n in range(skip, int(sys.argv[1])))


class Slow(Output):
    written = 0

    def write(self, batch):
        time.sleep(0.002)
        self.written += len(batch.records)


slow = Slow()
pipeline = pipeline_of([[Numbers(), slow]], Plugins(discover=False), engine="threads")
pipeline.run(store=SqliteStore(Path(sys.argv[2])))
assert slow.written == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(records: int, folder: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(records), str(folder)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_memory_does_not_grow_with_the_records_before_a_slow_output(
    tmp_path: Path, certify: Callable[..., None]
) -> None:
    small, large = peak(100_000, tmp_path / "small"), peak(400_000, tmp_path / "large")
    assert large <= 1.1 * small
    certify("slow output", "100 000 records, then 400 000", 2, engine="threads")


class File(Output):
    """A real file, so that a descriptor is there to be lost."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, context: object) -> None:
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115

    def close(self) -> None:
        self.file.close()

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.file.writelines(f"{record}\n" for record in batch.records)
        return None


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to count descriptors")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_runs_that_are_cut_off_leave_no_descriptor_and_no_thread(
    tmp_path: Path, engine: str
) -> None:
    def life(number: int) -> None:
        values = [*range(number % 50), Raise(OSError("cut off")), *range(50)]
        pipes = [[ListInput(values=values, batch_size=7), File(tmp_path / "out")]]
        store = SqliteStore(tmp_path / "state")
        pipeline = pipeline_of(pipes, Plugins(discover=False), engine=engine)
        pipeline.spec.epoch = {"records": 10}
        with pytest.raises(Exception, match="cut off"):
            pipeline.run(store=store)

    for number in range(5):
        life(number)
    before = used()
    for number in range(LIVES):
        life(number)
    assert used() == before


def used() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()
