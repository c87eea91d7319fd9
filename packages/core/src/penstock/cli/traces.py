"""How a trace is shown: every source record with what each node made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from ..graph import Graph
from ..store import decode_record
from ..tracing import Key, Trace
from .showing import fields_of, plain, shown, width

__all__ = ["as_json", "as_text"]

_WIDEST_VALUE = 40
_BETWEEN = " │ "

Became = dict[str, tuple[str, list[str]]]


def became(trace: Trace, graph: Graph, key: Key, nodes: Sequence[str]) -> Became:
    """What became of a record at these nodes; those that it never came to are left out."""
    found = {}
    for name in nodes:
        outcome = trace.outcome(graph, key, name)
        if outcome is not None:
            found[name] = outcome
    return found


def as_json(found: Became) -> dict[str, Any]:
    """The nodes that a record came to, as JSON."""
    nodes: dict[str, Any] = {}
    for name, (outcome, texts) in found.items():
        word, _, why = outcome.partition(": ")
        nodes[name] = {
            "outcome": _WORDS.get(word, word),
            "records": [plain(decode_record(text)) for text in texts],
            **({"error": why} if why else {}),
        }
    return nodes


_WORDS = {"": "passed", "would be written": "written", "merged into another record": "merged"}


def as_text(trace: Trace, graph: Graph, nodes: Sequence[str]) -> str:
    """Every source record: in columns if all of them fit, otherwise a line or more per node."""
    found = {key: became(trace, graph, key, nodes) for key in trace.keys}
    tables = {key: _columns(graph, one) for key, one in found.items() if one}
    fits = all(max(map(len, lines)) <= width() for lines in tables.values())
    return "\n\n".join(
        "\n".join([f"{key[0]}:{key[1]}", *(tables[key] if fits else stacked(graph, found[key]))])
        for key in tables
    )


def stacked(graph: Graph, found: Became) -> Iterator[str]:
    """A line or more for each node."""
    size = max(map(len, found))
    before: dict[str, list[str]] = {}
    for name, (outcome, texts) in found.items():
        told = _told(graph, name, outcome, texts, before)
        for label, text in zip([name, *[""] * len(told)], told, strict=False):
            yield f"  {label.ljust(size)}  {text}"


def _told(
    graph: Graph, name: str, outcome: str, texts: list[str], before: dict[str, list[str]]
) -> list[str]:
    """What to say about one node; a record that is as it was is not shown again."""
    before[name] = texts
    if graph.nodes[name].role == "output" and texts:
        return [outcome]
    same = any(before.get(previous) == texts for previous in graph.predecessors[name])
    if same and texts and not outcome:
        return ["unchanged"]
    return [*map(_shown, texts), *([outcome] if outcome else [])]


def _shown(text: str) -> str:
    return shown(decode_record(text))


def _columns(graph: Graph, found: Became) -> list[str]:
    """A head with the nodes, and below it one line per field."""
    before: dict[str, list[str]] = {}
    columns = []
    for name, (outcome, texts) in found.items():
        lines = [name]
        told = _told(graph, name, outcome, texts, before)
        for text in texts if told[: len(texts)] == list(map(_shown, texts)) else ():
            lines.extend(map(_short, fields_of(decode_record(text))))
            told = told[1:]
        for text in told:
            lines.extend(wrap(text, _WIDEST_VALUE))
        columns.append(lines)
    height = max(map(len, columns))
    widths = [max(map(len, lines)) for lines in columns]
    return [
        _BETWEEN.join(
            (lines[row] if row < len(lines) else "").ljust(size)
            for lines, size in zip(columns, widths, strict=True)
        ).rstrip()
        for row in range(height)
    ]


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_VALUE else f"{text[: _WIDEST_VALUE - 1]}…"
