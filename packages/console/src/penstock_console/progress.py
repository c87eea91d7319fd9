"""What a run has done so far, as a line for a log and as a block with a line for each node.

Counters are read while other threads count: each is one number, and one that is a moment old does
no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .text import Line, Span, clean, columns, duration, number, width_of

if TYPE_CHECKING:
    from penstock.nodes import NodeRun
    from penstock.runs import Run

__all__ = ["Progress"]

RECENT = 5.0
"""Rates are those of so many last seconds."""

_BAR, _SHORT_BAR = 20, 6
_BESIDE_BAR = len("    100 %  0:00 left")
_LEFT_FROM = 1.0  # seconds before which nobody can tell how long the rest takes


class Progress:
    """Looks at a run each time that it is asked for lines."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started = run.clock.monotonic()
        self._samples: deque[tuple[float, dict[str, int]]] = deque()
        self._first: dict[str, float] = {}  # how far each input was when it first said so
        self._widths: list[int] = []
        self._look()

    def line(self) -> str:
        """One line that says it all: `orders: 120 000 read, 119 000 written, 45 000/s`."""
        self._look()
        return self._sum()

    def block(self, width: int) -> list[Line]:
        """A line about the whole and a line for each node, not wider than `width` if possible."""
        self._look()
        waiting = self.run.waiting()
        head = ["node", "in", "out", "failed", *(["queue"] if waiting else []), "rate/s"]
        rows = [[Span(f"  {head[0]}", "dim"), *(Span(one, "dim") for one in head[1:])]]
        rows.extend(self._row(node, waiting) for node in self.run.nodes.values())
        self._widths = _grown(rows, self._widths)
        room, bar = width, 0
        if any(node.progress is not None for node in self.run.inputs):
            beside = sum(self._widths) + len("  ") * (len(head) - 1) + _BESIDE_BAR
            bar = max(_SHORT_BAR, min(_BAR, width - beside))
            room -= bar + _BESIDE_BAR
        table = columns(rows, left=1, width=room, least=[0, *self._widths[1:]])
        lines: list[Line] = [
            [Span(f"{self._sum()}, {duration(self._elapsed())}", "bold")],
            table[0],
        ]
        for node, line in zip(self.run.nodes.values(), table[1:]):
            lines.append([*line, *self._bar(node, bar)])
        return lines

    def _look(self) -> None:
        now = self.run.clock.monotonic()
        counts = {node.name: _handled(node) for node in self.run.nodes.values()}
        self._samples.append((now, counts))
        while len(self._samples) > 2 and self._samples[1][0] <= now - RECENT:
            self._samples.popleft()
        for node in self.run.inputs:
            if node.progress is not None:
                self._first.setdefault(node.name, node.progress)

    def _elapsed(self) -> float:
        return self.run.clock.monotonic() - self.started

    def _rate(self, *names: str) -> float:
        (before, then), (now, counts) = self._samples[0], self._samples[-1]
        done = sum(counts[name] - then[name] for name in names)
        return done / (now - before) if now > before else 0.0

    def _sum(self) -> str:
        run = self.run
        written = sum(node.sent for node in run.outputs)
        failed = sum(node.failed for node in run.nodes.values())
        parts = [f"{number(run.read)} read", f"{number(written)} written"]
        if failed:
            parts.append(f"{number(failed)} failed")
        parts.append(f"{number(self._rate(*(node.name for node in run.inputs)))}/s")
        if run.stopping is not None:
            parts.append("stopping")
        return f"{clean(run.pipeline)}: {', '.join(parts)}"

    def _row(self, node: NodeRun, waiting: Mapping[str, int]) -> list[Span]:
        arrived = "" if node.role == "input" else number(node.received)
        queue = [Span(number(waiting[node.name]))] if waiting else []
        return [
            Span(f"  {node.name}"),
            Span(arrived),
            Span(number(node.sent)),
            Span(number(node.failed), "red" if node.failed else ""),
            *queue,
            Span(number(self._rate(node.name))),
        ]

    def _bar(self, node: NodeRun, width: int) -> list[Span]:
        """How far an input is, where it knows."""
        if node.progress is None:
            return []
        share = 1.0 if node.ended else min(1.0, max(0.0, node.progress))
        full = round(share * width)
        percent = f"  {int(share * 100):3} %"
        bar = [Span("  "), Span("█" * full, "green"), Span("░" * (width - full), "dim")]
        return [*bar, Span(percent + self._left(node.name, share))]

    def _left(self, name: str, share: float) -> str:
        """The time that the rest will take if it goes on as it did since the start."""
        elapsed, done = self._elapsed(), share - self._first[name]
        if share >= 1.0 or done <= 0 or elapsed < _LEFT_FROM:
            return ""
        return f"  {duration(elapsed * (1 - share) / done)} left"


def _handled(node: NodeRun) -> int:
    return node.sent + node.failed if node.role == "input" else node.received


def _grown(rows: list[list[Span]], before: list[int]) -> list[int]:
    """The widths of the columns, or those before: numbers grow, and a column that keeps its width
    does not make the others jump."""
    widths = [max(width_of(span.text) for span in column) for column in zip(*rows)]
    return [max(pair) for pair in zip(widths, before)] if len(before) == len(widths) else widths
