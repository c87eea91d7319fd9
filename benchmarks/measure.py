"""Races: the same work by several contenders, each a process of its own, run in turn.

One warm-up of each, whose outputs are compared; then A B C A B C …, so that a slow minute of the
machine is shared by all of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from compare import difference

HERE = Path(__file__).resolve().parent
FUNCTIONS = HERE / "penstock"  # where W1b's function is imported from


class ContenderFailed(Exception):
    """The contender ended badly or wrote something else than the yardstick."""


@dataclass(frozen=True)
class Contender:
    """A command that does the work of a race, in a folder of its own.

    It finds the race's data there as `w1.csv`, and copies of `files`. If `writes`, it leaves
    `out.jsonl`; if it `loads` as well, it leaves `out.db` with a table `rows` instead, which is
    written to `out.jsonl` when its time is taken. If `times_itself`, it prints
    `{"seconds": …, "records": …}` on its last line, and those seconds count instead of the life of
    the process.
    """

    name: str
    command: Sequence[str]
    records: int = 0
    files: Sequence[Path] = ()
    writes: bool = False
    loads: bool = False
    times_itself: bool = False
    missing: str = ""  # why it cannot run here


@dataclass(frozen=True)
class Race:
    """Contenders for the same work. The first one is the yardstick."""

    title: str
    contenders: Sequence[Contender]
    data: Path | None = None


@dataclass
class Result:
    """What one contender needed, run by run; `failure` says why there is nothing."""

    contender: Contender
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def wall(self) -> float:
        return median(self.walls)

    @property
    def cpu(self) -> float:
        return median(self.cpus)

    @property
    def peak(self) -> float:
        """The highest of all runs, in MB."""
        return max(self.peaks) / 1e6

    @property
    def per_record(self) -> float:
        """Nanoseconds."""
        return self.wall / self.contender.records * 1e9


def run_race(race: Race, runs: int, folder: Path, say: Callable[[str], None]) -> dict[str, Result]:
    """Results by name of contender, in the order of the race."""
    results = {one.name: Result(one, failure=one.missing) for one in race.contenders}
    tracks = {
        name: _Track(result.contender, race, folder / _slug(name))
        for name, result in results.items()
        if not result.failure
    }
    reference: Path | None = None
    say(f"{race.title}: a warm-up, then {runs} runs of each")
    for number in range(runs + 1):
        for name, track in tracks.items():
            result = results[name]
            if result.failure:
                continue
            try:
                wall, cpu, peak = track.run()
                if number == 0:
                    reference = track.agree_with(reference)
                    continue
            except ContenderFailed as error:
                result.failure = str(error)
                say(f"{race.title}: {name} {error}")
                continue
            result.walls.append(wall)
            result.cpus.append(cpu)
            result.peaks.append(peak)
    shutil.rmtree(folder, ignore_errors=True)
    return results


class _Track:
    """One contender's folder, and how to run it there."""

    def __init__(self, contender: Contender, race: Race, folder: Path) -> None:
        self.contender = contender
        self.folder = folder
        self.output = folder / "out.jsonl"
        self.database = folder / "out.db"
        self.digest = ""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in contender.files:
            shutil.copy(file, folder)
        if race.data:
            (folder / "w1.csv").symlink_to(race.data)

    def run(self) -> tuple[float, float, float]:
        """Wall seconds, CPU seconds, peak bytes."""
        self.output.unlink(missing_ok=True)
        self.database.unlink(missing_ok=True)
        report = self.folder / "cost.txt"
        report.unlink(missing_ok=True)
        with (
            open(self.folder / "stdout.txt", "wb") as out,
            open(self.folder / "stderr.txt", "wb") as err,
        ):
            subprocess.run(
                [sys.executable, "-I", "-S", HERE / "launch.py", report, *self.contender.command],
                cwd=self.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                check=False,
            )
        if not report.exists():
            raise ContenderFailed(f"could not be started: {self._last_words()}")
        wall, cpu, peak, status = map(float, report.read_text().split())
        if status:
            raise ContenderFailed(f"ended with exit code {status:.0f}: {self._last_words()}")
        if self.contender.loads:
            self._dump()
        self._check_output()
        return (self._own_time() if self.contender.times_itself else wall), cpu, peak

    def _dump(self) -> None:
        """The rows of the database, as what is compared."""
        if not self.database.exists():
            raise ContenderFailed(f"wrote no {self.database.name}: {self._last_words()}")
        with closing(sqlite3.connect(self.database)) as database, open(self.output, "w") as out:
            cursor = database.execute("SELECT * FROM rows ORDER BY rowid")
            names = [column[0] for column in cursor.description]
            for row in cursor:
                out.write(json.dumps(dict(zip(names, row))) + "\n")

    def agree_with(self, reference: Path | None) -> Path | None:
        """Compare with the reference; the first contender that writes becomes the reference."""
        if not self.contender.writes:
            return reference
        if reference is None:
            return self.output.rename(self.folder / "reference.jsonl")
        if different := difference(reference, self.output):
            raise ContenderFailed(f"wrote something else: {different}")
        return reference

    def _check_output(self) -> None:
        """Timed runs must write what the warm-up wrote, which was compared record by record."""
        if not self.contender.writes:
            return
        if not self.output.exists():
            raise ContenderFailed(f"wrote no {self.output.name}: {self._last_words()}")
        digest = hashlib.sha256()
        with open(self.output, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if self.digest and digest.hexdigest() != self.digest:
            raise ContenderFailed("wrote something else than in its warm-up")
        self.digest = digest.hexdigest()

    def _own_time(self) -> float:
        lines = (self.folder / "stdout.txt").read_text().splitlines()
        told = json.loads(lines[-1]) if lines else {}
        if told.get("records") != self.contender.records:
            raise ContenderFailed(f"should have counted {self.contender.records} records: {told}")
        return float(told["seconds"])

    def _last_words(self) -> str:
        text = (self.folder / "stderr.txt").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "no message"


def _environment() -> dict[str, str]:
    """The same for all: UTF-8 whatever the locale, W1b's function on the path, and no setting of
    the person who measures (PYTHONDONTWRITEBYTECODE would have ours compiled in every run)."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "PENSTOCK"))
    }
    return {**kept, "PYTHONUTF8": "1", "PYTHONPATH": str(FUNCTIONS)}


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
