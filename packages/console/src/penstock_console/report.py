"""The report of a run for people: the rows and notes of the kernel's, aligned, cut, coloured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .observations import observed
from .text import Line, Span, clean, columns

if TYPE_CHECKING:
    from penstock.journal import Report

__all__ = ["report_lines"]

_NOTES = {"imbalance": "red", "failure": "yellow", "warning": "yellow", "error": "red"}
_STATUS = {"ok": "green", "letters": "yellow", "interrupted": "yellow", "failed": "red"}
_ABOVE_OBSERVATIONS = ("balance", "imbalance", "failure")


def report_lines(report: Report, width: int | None) -> Iterator[Line]:
    """The lines of a report; tables are cut to `width`, sentences never."""
    head, *rows = report.rows()
    failed = head.index("failed")
    table = [[Span(cell, "dim") for cell in head]]
    for row in rows:
        table.append([Span(cell) for cell in row])
        if row[failed] != "0":
            table[-1][failed] = Span(row[failed], "red")
    yield from columns(table, left=2, width=width)
    yield []
    notes = list(report.notes())
    above = [note for note in notes if note[0] in _ABOVE_OBSERVATIONS]
    yield from _sentences(report, above)
    for node in report.nodes:
        if node.observations:
            yield [Span(clean(node.name), "bold")]
            yield from observed(node.observations, width)
    yield from _sentences(report, [note for note in notes if note not in above])


def _sentences(report: Report, notes: list[tuple[str, str]]) -> Iterator[Line]:
    for kind, sentence in notes:
        style = _STATUS.get(report.status, "") if kind == "status" else _NOTES.get(kind, "")
        for line in sentence.split("\n") if kind == "error" else [sentence]:
            yield [Span(clean(line), style)]
