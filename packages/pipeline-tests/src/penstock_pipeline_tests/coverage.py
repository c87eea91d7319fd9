"""What the cases of a pipeline have reached: nodes, branches, and the paths that failures take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.cli.showing import table
from penstock.journal import NodeReport

from .running import Outcome
from .staging import Stage

__all__ = ["Coverage"]

KINDS = ("nodes", "branches", "failures")


@dataclass
class _Pipeline:
    """One pipeline: each thing that can be reached, by its kind, with whether it was."""

    things: dict[tuple[str, str], bool] = field(default_factory=dict)

    def expect(self, kind: str, what: str) -> None:
        self.things.setdefault((kind, what), False)

    def reach(self, kind: str, what: str) -> None:
        if (kind, what) in self.things:
            self.things[kind, what] = True

    def of(self, kind: str) -> list[bool]:
        return [reached for (one, _), reached in self.things.items() if one == kind]

    def missed(self) -> Iterator[tuple[str, str]]:
        return (thing for thing, reached in self.things.items() if not reached)


class Coverage:
    """What there is to reach in every pipeline, and what was.

    - nodes: a record came to it.
    - branches: each edge where a path divides, and both answers of a stage that says `where`.
    - failures: a record failed there; of an inspector, that is what it is for.
    """

    def __init__(self) -> None:
        self.pipelines: dict[Path, _Pipeline] = {}
        self._by_file: dict[Path, _Pipeline] = {}  # several test files may name it differently

    def expect(self, pipeline: Path, stage: Stage) -> None:
        """Count what there is in the pipeline of a case, once."""
        if pipeline.resolve() in self._by_file:
            return
        one = self.pipelines[pipeline] = self._by_file[pipeline.resolve()] = _Pipeline()
        for name, node in stage.shape.nodes.items():
            one.expect("nodes", name)
            following = stage.shape.successors[name]
            if len(following) > 1:
                for successor in following:
                    one.expect("branches", f"{name} -> {successor}")
            if hasattr(node.component, "where") and node.component.where:
                one.expect("branches", f"{name}: where is true")
                one.expect("branches", f"{name}: where is false")
            if node.role != "input":
                how = node.settings.on_error
                one.expect("failures", f"{name}: a record fails (on_error: {how})")

    def reach(self, outcome: Outcome) -> None:
        """Note what a case has reached."""
        one = self._by_file[outcome.case.pipeline.resolve()]
        reports = {node.name: node for node in outcome.report.nodes}
        for name, report in reports.items():
            for kind, what in _reached(name, report, outcome, reports):
                one.reach(kind, what)

    @property
    def percent(self) -> float:
        return _percent([all_ for one in self.pipelines.values() for all_ in one.things.values()])

    def table(self) -> str:
        """The summary, and below it everything that no case reached."""
        rows = []
        for path, one in self.pipelines.items():
            cells = [_share(one.of(kind)) for kind in KINDS]
            rows.append([str(path), *cells, f"{_percent(list(one.things.values())):.0f} %"])
        lines = [table(["pipeline", *KINDS, "covered"], rows, right={1, 2, 3, 4})]
        for path, one in self.pipelines.items():
            lines += [f"{path}: no case reached {what}" for _, what in one.missed()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        return {
            "percent": round(self.percent, 1),
            "pipelines": {
                str(path): {
                    "percent": round(_percent(list(one.things.values())), 1),
                    **{kind: _numbers(one.of(kind)) for kind in KINDS},
                    "missed": [{"kind": kind, "what": what} for kind, what in one.missed()],
                }
                for path, one in self.pipelines.items()
            },
        }


def _reached(
    name: str, report: NodeReport, outcome: Outcome, reports: dict[str, NodeReport]
) -> Iterator[tuple[str, str]]:
    if report.handled:
        yield "nodes", name
    if report.sent:
        yield "branches", f"{name}: where is true"
    if report.filtered:
        yield "branches", f"{name}: where is false"
    for successor in outcome.shape.successors.get(name, ()):
        if report.sent and successor in reports and reports[successor].received:
            yield "branches", f"{name} -> {successor}"
    if report.failed:
        how = outcome.shape.nodes[name].settings.on_error if name in outcome.shape.nodes else ""
        yield "failures", f"{name}: a record fails (on_error: {how})"


def _percent(reached: list[bool]) -> float:
    return 100 * sum(reached) / len(reached) if reached else 100.0


def _share(reached: list[bool]) -> str:
    return f"{sum(reached)}/{len(reached)}"


def _numbers(reached: list[bool]) -> dict[str, int]:
    return {"reached": sum(reached), "all": len(reached)}
