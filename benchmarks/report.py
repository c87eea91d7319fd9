"""Results as Markdown: tables, targets, and a dated section for RESULTS.md."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path

import peers
from measure import Result
from workloads import Results, Workload

HERE = Path(__file__).resolve().parent
HEADING = "# Benchmark results\n\nAppended by `python benchmarks/run.py --append`, newest last.\n"
LIBRARIES = ("pluggy", "PyYAML", "orjson", "msgspec")


def workload_lines(workload: Workload, results: Results) -> Iterator[str]:
    """Everything about one workload: a table per race, other figures, what must hold."""
    yield f"### {workload.title}"
    for title in results.races:
        yield ""
        yield from _table(_race_rows(workload, title, results))
        yield from _failures(title, results)
    if results.figures:
        yield ""
        yield "Core alone: " + ", ".join(
            f"{name} {_short(n)}" for name, n in results.figures.items()
        )
    yield ""
    yield from _table(_target_rows(workload, results))


def _race_rows(workload: Workload, title: str, results: Results) -> Iterator[Sequence[str]]:
    race = results.races[title]
    yardstick = next(iter(race.values()))
    yield (
        title,
        workload.unit,
        "wall s",
        "CPU s",
        f"{workload.ratio} x {yardstick.contender.name}",
        "by CPU",
        "peak MB",
    )
    for name, result in race.items():
        if result.failure:
            yield name, result.contender.missing or "failed", *[""] * 5
            continue
        seconds = f"{result.wall:.3f}", f"{result.cpu:.3f}"
        ratios = _ratios(workload.ratio, result, yardstick)
        yield name, _in_unit(workload.unit, result), *seconds, *ratios, f"{result.peak:.1f}"


def _failures(title: str, results: Results) -> Iterator[str]:
    for result in results.races[title].values():
        if result.failure and not result.contender.missing:
            yield ""
            yield f"{result.contender.name} {result.failure}"


def _in_unit(unit: str, result: Result) -> str:
    if unit == "ms":
        return f"{result.wall * 1e3:.1f}"
    if unit == "ns/record":
        return f"{result.per_record:.0f}"
    return f"{1e3 / result.per_record:.3f}"


def _ratios(kind: str, result: Result, yardstick: Result) -> tuple[str, str]:
    """By wall time, and by processor time where that is spent on the work alone."""
    if yardstick.failure:
        return "", ""
    # Not every contender gets as many records.
    share = (yardstick.contender.records or 1) / (result.contender.records or 1)
    times = [result.wall / yardstick.wall * share, result.cpu / yardstick.cpu * share]
    by_wall, by_cpu = (f"{time if kind == 'time' else 1 / time:.2f}" for time in times)
    return by_wall, "" if result.contender.times_itself else by_cpu


def _target_rows(workload: Workload, results: Results) -> Iterator[Sequence[str]]:
    yield "must hold", "measured", ""
    for target in workload.targets:
        try:
            figure = target.figure(results)
        except LookupError as missing:
            yield target.text, "", f"not measured: {missing.args[0]}"
        else:
            yield target.text, _short(figure), "met" if target.holds(figure) else "**missed**"


def _short(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.2f}"


def _table(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """Aligned, so that it reads well in a terminal too."""
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        cells = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(cells)} |"
        if not number:
            rules = [
                f"{'-' * (width - 1)}{':' if index else '-'}" for index, width in enumerate(widths)
            ]
            yield f"| {' | '.join(rules)} |"


# ---- the section -------------------------------------------------------------------------------


def machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def section_lines(rows: int, runs: int, load: float, body: Sequence[str]) -> Iterator[str]:
    """A dated section: the circumstances, then what `workload_lines` gave."""
    yield f"## {datetime.now(timezone.utc):%Y-%m-%d}"
    yield ""
    yield f"- Machine: {machine()}; load {load:.1f} at the start"
    yield f"- {rows} rows, medians of {runs} interleaved runs after a warm-up (W5: of 25)"
    yield f"- Commit: {_commit()}"
    yield f"- Ours: {', '.join(_our_versions()) or 'not installed'}"
    yield f"- Peers: {', '.join(_peer_versions()) or 'none installed'}"
    yield ""
    yield from body


def append(path: Path, lines: Sequence[str]) -> None:
    if not path.exists():
        path.write_text(HEADING, encoding="utf-8")
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines).rstrip() + "\n")


def _commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _our_versions() -> list[str]:
    wanted = {name.lower() for name in LIBRARIES}
    found = {}
    for one in distributions():
        name = one.metadata["Name"]
        if name.lower() in wanted or name.lower().split("-")[0] == "penstock":
            found[name] = one.version
    return [f"{name} {found[name]}" for name in sorted(found)]


def _peer_versions() -> list[str]:
    return [f"{name} {found}" for name in peers.names() if (found := peers.version(name))]
