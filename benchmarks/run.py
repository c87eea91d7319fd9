"""Runs workloads and prints what they needed, beside hand-written yardsticks and other tools.

python benchmarks/run.py [W1a W1b W2 W3 W4 W4m W5 W6 W8 E1] [--rows N] [--runs N] [--peers]
                         [--append]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import report
from measure import run_race
from workloads import DATA, NAME, WORKLOADS, Results, Workload

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    load = os.getloadavg()[0]
    if load > 0.5:
        _say(f"the machine is busy (load {load:.1f}): ratios may hold, times do not")
    body: list[str] = []
    sound = True
    for name in options.workloads or WORKLOADS:
        workload = WORKLOADS[name](options.rows, options.peers)
        results = measure(name, workload, options.runs)
        lines = [*report.workload_lines(workload, results), ""]
        print("\n".join(lines), flush=True)
        body += lines
        sound = sound and _sound(results)
    if options.append:
        report.append(RESULTS, list(report.section_lines(options.rows, options.runs, load, body)))
    return 0 if sound else 1


def measure(name: str, workload: Workload, runs: int) -> Results:
    races = {
        race.title: run_race(race, workload.runs or runs, DATA / "runs" / name, _say)
        for race in workload.races
    }
    figures: Mapping[str, float] = {}
    if workload.figures:
        try:
            figures = workload.figures()
        except subprocess.CalledProcessError as error:
            _say(f"{name}: {error}")
    return Results(races, figures)


def _sound(results: Results) -> bool:
    """Whether everything ran that could: a missed target is a result, a wrong output is not."""
    return not any(
        result.failure and not result.contender.missing
        for race in results.races.values()
        for result in race.values()
    )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="run.py",
        description=f"Measure {NAME} beside hand-written yardsticks and other tools.",
        epilog="Exit code 1: something failed or wrote something else than the yardstick.",
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument(
        "--rows", type=_count, default=1_000_000, metavar="N", help="default 1000000"
    )
    parser.add_argument("--runs", type=_count, default=5, metavar="N", help="timed runs, default 5")
    parser.add_argument("--peers", action="store_true", help="with every peer that is installed")
    parser.add_argument("--append", action="store_true", help="append a section to RESULTS.md")
    options = parser.parse_args(arguments)
    for name in options.workloads:
        if name not in WORKLOADS:
            parser.error(f"no workload named {name!r}; there are {', '.join(WORKLOADS)}")
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
