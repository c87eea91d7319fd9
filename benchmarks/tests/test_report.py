"""Tables say what was measured, what failed and what was missed."""

from __future__ import annotations

from pathlib import Path

import report
from measure import Contender, Race, Result
from workloads import NAME, Results, Workload, faster


def workload() -> Workload:
    race = Race("W0", [Contender("hand loop", ()), Contender(NAME, ())])
    targets = [faster("W0", "hand loop", 0.9), faster("W0", "Bytewax", 2)]
    return Workload("W0: a test", [race], targets, unit="Mrows/s", ratio="speed")


def result(name: str, wall: float, cpu: float = 0, **more: str) -> Result:
    return Result(Contender(name, (), records=1_000_000, **more), [wall], [cpu or wall], [2e7])  # type: ignore[arg-type]


def lines(*results: Result) -> str:
    race = {one.contender.name: one for one in results}
    return "\n".join(report.workload_lines(workload(), Results({"W0": race})))


def test_ratio_and_rate_and_a_target_that_is_met() -> None:
    text = lines(result("hand loop", 1.0), result(NAME, 0.8, cpu=0.4))
    assert "| Penstock  |   1.250 |  0.800 | 0.400 |              1.25 |   2.50 |    20.0 |" in text
    assert "| W0: ≥ 0.9 x the speed of hand loop |     1.25 |" in text
    assert "met |" in text
    assert "not measured: Bytewax took no part |" in text


def test_a_target_that_is_missed() -> None:
    assert "**missed**" in lines(result("hand loop", 1.0), result(NAME, 1.2))


def test_a_failure_is_told_and_nothing_is_made_up() -> None:
    failed = result(NAME, 1.0)
    failed.failure = "ended with exit code 1: no luck"
    text = lines(result("hand loop", 1.0), failed)
    assert "| Penstock  |  failed |        |       |                   |        |         |" in text
    assert "Penstock ended with exit code 1: no luck" in text
    assert "not measured: Penstock failed |" in text


def test_what_is_not_installed_is_named() -> None:
    gone = result("Bytewax", 0, missing="not installed")
    gone.failure = gone.contender.missing
    text = lines(result("hand loop", 1.0), result(NAME, 1.0), gone)
    assert "| Bytewax   | not installed |" in text
    assert "not measured: Bytewax not installed |" in text


def test_sections_are_appended_below_one_heading(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    report.append(path, list(report.section_lines(10, 5, 0.1, ["first"])))
    report.append(path, list(report.section_lines(10, 5, 0.1, ["second"])))
    text = path.read_text()
    assert text.count("# Benchmark results\n") == 1
    assert text.index("first") < text.index("second")
    assert report.machine() in text
