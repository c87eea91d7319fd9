"""The report of a run: what every node did, what failed, and whether the sums meet.

The journal is the reports that a store has kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import EXIT_FAILED, EXIT_LETTERS, EXIT_OK

__all__ = ["Balance", "FailureGroup", "NodeReport", "Report", "balance_of"]


@dataclass
class NodeReport:
    """What one node did; every figure is a number of records but `seconds`. `earlier` is how many
    of those it handled were handled by the runs before, which this one goes on from."""

    name: str
    role: str
    use: str
    received: int = 0
    sent: int = 0
    filtered: int = 0
    failed: int = 0
    added: int = 0
    merged: int = 0
    dead: int = 0
    skipped: int = 0
    taken: int = 0
    handed: int = 0
    held: int = 0
    earlier: int = 0
    seconds: float = 0.0
    observations: dict[str, Any] = field(default_factory=dict)

    @property
    def handled(self) -> int:
        return self.sent + self.failed if self.role == "input" else self.received

    @property
    def rate(self) -> float:
        """Records per second of the node's own work."""
        return (self.handled - self.earlier) / self.seconds if self.seconds else 0.0


_CAME = ("read", "copied", "added", "taken")
_WENT = ("written", "filtered", "merged", "dead", "skipped", "handed", "held")


@dataclass
class Balance:
    """Where every record went.

    `read + copied + added + taken = written + filtered + merged + dead + skipped + handed + held`

    `copied` counts what fan-out handed to more than one branch, `added` what a stage made beyond
    its input, `merged` what a stage folded into other records, `held` what was still inside when
    the run was cut off. `taken` and `handed` count those that were inside when their partition came
    from another process or went to one. `errors` names every place where the sums do not meet.
    """

    read: int = 0
    copied: int = 0
    added: int = 0
    written: int = 0
    filtered: int = 0
    merged: int = 0
    dead: int = 0
    skipped: int = 0
    held: int = 0
    taken: int = 0
    handed: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.under_way and not self.errors

    @property
    def under_way(self) -> int:
        """Records that were between two nodes when a run was cut off, counted as nothing else."""
        came = self.read + self.copied + self.added + self.taken
        went = self.written + self.filtered + self.merged + self.handed
        return came - went - self.dead - self.skipped - self.held

    def __str__(self) -> str:
        left = _sum({name: getattr(self, name) for name in _CAME})
        right = _sum({name: getattr(self, name) for name in _WENT}, keep=("filtered", "dead"))
        return f"{left} {'=' if self.holds else '≠'} {right}"


def _sum(parts: Mapping[str, int], keep: Sequence[str] = ()) -> str:
    shown = [
        f"{name} {value:,}".replace(",", " ")
        for index, (name, value) in enumerate(parts.items())
        if value or index == 0 or name in keep
    ]
    return " + ".join(shown)


def balance_of(
    nodes: Sequence[NodeReport], edges: Sequence[tuple[str, str]], *, ended: bool
) -> Balance:
    """Add up what the nodes report. For a run that has ended well, every edge must have delivered
    what was sent along it, and every stage must have answered for what it received."""
    by_name = {node.name: node for node in nodes}
    made = Balance()
    for node in nodes:
        made.dead += node.dead
        made.skipped += node.skipped
        made.filtered += node.filtered
        made.added += node.added
        made.merged += node.merged
        made.held += node.held
        made.taken += node.taken
        made.handed += node.handed
        if node.role == "input":
            made.read += node.sent + node.failed
        if node.role == "output":
            made.written += node.sent
        else:
            made.copied += node.sent * (sum(left == node.name for left, _ in edges) - 1)
        arriving = sum(by_name[left].sent for left, right in edges if right == node.name)
        if ended and node.role != "input" and arriving != node.received:
            made.errors.append(f"{node.name} was sent {arriving} and received {node.received}")
        if ended and node.held:
            made.errors.append(
                f"{node.name} received {node.received} and answered for "
                f"{node.received - node.held}; a stage must pass on, drop or fail every record"
            )
    return made


@dataclass
class FailureGroup:
    """Failures at one node with the same error; `example` says where one of them happened."""

    node: str
    error: str
    count: int
    message: str
    example: str


@dataclass
class Report:
    """The result of a run.

    `status` is "ok", "letters" (finished, with dead letters), "stopped" (at a limit it was given),
    "interrupted" or "failed"; "running" in one that is kept when a run begins, and stays when it is
    killed. `started` is in seconds since the epoch.
    """

    pipeline: str
    run_id: str
    status: str = "ok"
    engine: str = "inline"
    started: float = 0.0
    seconds: float = 0.0
    epochs: int = 0
    nodes: list[NodeReport] = field(default_factory=list)
    balance: Balance = field(default_factory=Balance)
    failures: list[FailureGroup] = field(default_factory=list)
    letters: int = 0
    positions: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    config_hash: str = ""

    @property
    def ok(self) -> bool:
        return self.status in ("ok", "letters", "stopped")

    @property
    def exit_code(self) -> int:
        """What the command line ends with; an interrupted run ends with the signal's own code."""
        if self.status in ("ok", "letters", "stopped"):
            return EXIT_LETTERS if self.letters else EXIT_OK
        return EXIT_FAILED

    def node(self, name: str) -> NodeReport:
        return next(node for node in self.nodes if node.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON; `from_dict` takes it back."""
        made = asdict(self)
        for node, report in zip(self.nodes, made["nodes"], strict=True):
            report["rate"] = round(node.rate, 1)
        made["balance"]["holds"] = self.balance.holds
        return made

    @classmethod
    def from_dict(cls, made: Mapping[str, Any]) -> Report:
        fields = dict(made)
        fields["nodes"] = [
            NodeReport(**{k: v for k, v in node.items() if k != "rate"}) for node in made["nodes"]
        ]
        fields["balance"] = Balance(**{k: v for k, v in made["balance"].items() if k != "holds"})
        fields["failures"] = [FailureGroup(**group) for group in made["failures"]]
        return cls(**fields)

    def table(self) -> str:
        """The report as plain text, for a terminal or a log."""
        return "\n".join(self._lines())

    def rows(self) -> list[tuple[str, ...]]:
        """The cells of the table: the head, then one row for each node."""
        return [_HEAD, *map(_cells, self.nodes)]

    def notes(self) -> Iterator[tuple[str, str]]:
        """What is said below the table: pairs of a kind (balance, imbalance, failure, warning,
        status, error) and a sentence."""
        yield "balance", str(self.balance)
        for wrong in self.balance.errors:
            yield "imbalance", f"  {wrong}"
        for group in self.failures:
            message = f"{group.node}: {group.message} (as at {group.example})"
            yield "failure", f"{_number(group.count)} × {message}"
        for warning in self.warnings:
            yield "warning", f"warning: {warning}"
        status = f"{_STATUS[self.status]} in {self.seconds:.2f} s, run {self.run_id}"
        yield "status", f"{self.pipeline}: {status}"
        if self.error:
            yield "error", self.error

    def _lines(self) -> Iterator[str]:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
            yield "  ".join(left + right).rstrip()
        yield ""
        for _, sentence in self.notes():
            yield sentence

    def __repr__(self) -> str:
        return f"<Report {self.pipeline} {self.run_id}: {self.status}, {self.balance}>"

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        from html import escape

        head = "".join(f"<th>{escape(cell)}</th>" for cell in _HEAD)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(node)) + "</tr>"
            for node in self.nodes
        )
        notes = "".join(f"<p>{escape(sentence)}</p>" for _, sentence in self.notes())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


_STATUS = {
    "ok": "finished",
    "letters": "finished, with dead letters,",
    "stopped": "stopped at its limit",
    "interrupted": "interrupted",
    "running": "under way",
    "cut off": "cut off",
    "failed": "failed",
}
_HEAD = ("node", "use", "in", "out", "filtered", "failed", "seconds", "rate/s")


def _cells(node: NodeReport) -> tuple[str, ...]:
    arrived = "" if node.role == "input" else _number(node.received)
    return (
        node.name,
        node.use,
        arrived,
        _number(node.sent),
        _number(node.filtered),
        _number(node.failed),
        f"{node.seconds:.3f}",
        _number(round(node.rate)),
    )


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")
