"""`penstock preview`: the first records after each node, with nothing written anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from textwrap import wrap
from typing import Any

from ..batch import Batch, Failure
from ..build import Pipeline
from ..components import Input, Output
from ..engines.inline import InlineEngine
from ..errors import EXIT_OK, UsageError, nearest
from ..failures import describe
from ..graph import Graph
from ..hookspecs import hookimpl
from ..options import mask
from ..runs import NodeRun, Run
from ..store import MemoryStore, decode_record, encode_record
from . import common_arguments
from .loading import load
from .showing import fields_of, plain, print_json, show_error, shown, width
from .signals import Draining

HELP = "show the first records after each node"

_WIDEST_VALUE = 40
_BETWEEN = " │ "


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument(
        "-n",
        "--records",
        type=_count,
        default=5,
        metavar="N",
        help="read this many records of each input (default: 5)",
    )
    parser.add_argument("--node", metavar="NAME", help="show only what enters and leaves this node")


def run(options: Any) -> int:
    pipeline = load(options)
    trace = Trace()
    pipeline.plugins.register(trace, "preview")
    graph = harmless(pipeline.graph(), options.records)
    shown = _nodes(graph, options.node)
    one = _start(pipeline, graph)
    with Draining(one) as signals:
        one.execute()
    if options.json:
        for line in trace.as_json(graph, shown):
            print_json(line, indent=None)
    else:
        print(_as_text(trace, graph, shown) or "no records")
    if one.error is not None:
        return show_error(one.error)
    return EXIT_OK if signals.received is None else 128 + signals.received


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return number


def _nodes(graph: Graph, name: str | None) -> list[str]:
    if name is None:
        return list(graph.nodes)
    if name not in graph.nodes:
        near = nearest(name, graph.nodes)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(graph.nodes)}"
        raise UsageError(f"no node named {name!r}", where="penstock preview", hint=hint)
    return [*graph.predecessors[name], name]


def _start(pipeline: Pipeline, graph: Graph) -> Run:
    # On one thread, so that what is seen after each node is seen in order.
    inline = replace(pipeline, engine=InlineEngine(), engine_name="inline")
    return inline.start(graph=graph, store=MemoryStore())


class _Nowhere(Output):
    """Takes the place of every output."""

    def write(self, batch: Batch) -> None: ...


def harmless(graph: Graph, count: int) -> Graph:
    """The same graph, whose outputs do nothing and whose inputs give `count` records and are not
    told that these were dealt with."""
    for node in graph.nodes.values():
        if node.role == "output":
            node.component = _Nowhere()
        elif isinstance(node.component, Input):
            # On the instance: its options, and so its secrets, must stay known to the run.
            node.component.read = partial(_first, node.component.read, count)  # type: ignore[method-assign]
            node.component.commit = _tell_nobody  # type: ignore[method-assign]
    return graph


def _tell_nobody(positions: Mapping[str, Any]) -> None: ...


def _first(
    read: Callable[[Mapping[str, Any]], Iterator[Batch | None]],
    count: int,
    positions: Mapping[str, Any],
) -> Iterator[Batch | None]:
    for batch in read(positions):
        if batch is not None:
            batch = _cut(batch, count)
            count -= len(batch.records) + len(batch.failures)
        yield batch
        if count <= 0:
            return


def _cut(batch: Batch, count: int) -> Batch:
    """The first `count` of a batch's records and failures together."""
    ordinals = sorted([*batch.ordinals, *(failure.ordinal for failure in batch.failures)])
    if len(ordinals) <= count:
        return batch
    last = ordinals[count - 1]
    kept = [(r, n) for r, n in zip(batch.records, batch.ordinals, strict=True) if n <= last]
    return Batch(
        [record for record, _ in kept],
        batch.source,
        [ordinal for _, ordinal in kept],
        batch.resume,
        failures=[failure for failure in batch.failures if failure.ordinal <= last],
    )


Key = tuple[str, int]


class Trace:
    """Notes what every node passed on, by the source record it came from: as text, since a later
    node may change a record in place."""

    def __init__(self) -> None:
        self.keys: dict[Key, None] = {}
        self.passed: dict[Key, dict[str, list[str]]] = {}
        self.failed: dict[Key, dict[str, str]] = {}
        self.nodes: dict[str, NodeRun] = {}

    @hookimpl
    def penstock_batch_done(self, node: NodeRun, batch: Batch) -> None:
        self.nodes[node.name] = node
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self._note(self.passed, (batch.source, ordinal)).setdefault(node.name, []).append(
                encode_record(record)
            )
        if node.role == "output":
            return  # the failures of the batch are those of the node before
        for failure in batch.failures:
            self._note(self.failed, (batch.source, failure.ordinal))[node.name] = _why(
                node, failure
            )

    def _note(self, where: dict[Key, Any], key: Key) -> dict[str, Any]:
        self.keys.setdefault(key)
        found: dict[str, Any] = where.setdefault(key, {})
        return found

    def outcome(self, graph: Graph, key: Key, name: str) -> tuple[str, list[str]] | None:
        """What became of a source record at a node, and the texts of what was passed on; None
        when it never got there."""
        texts = self.passed.get(key, {}).get(name, [])
        why = self.failed.get(key, {}).get(name)
        if why is not None:
            return f"failed: {why}", texts
        if texts:
            return ("would be written" if graph.nodes[name].role == "output" else ""), texts
        before = self.passed.get(key, {})
        if not any(previous in before for previous in graph.predecessors[name]):
            return None
        node = self.nodes.get(name)
        return ("merged into another record" if node and node.merged else "dropped"), []

    def as_json(self, graph: Graph, shown: list[str]) -> Iterator[dict[str, Any]]:
        for key in self.keys:
            nodes: dict[str, Any] = {}
            for name in shown:
                found = self.outcome(graph, key, name)
                if found is not None:
                    outcome, texts = found
                    word, _, why = outcome.partition(": ")
                    nodes[name] = {
                        "outcome": _WORDS.get(word, word),
                        "records": [plain(decode_record(text)) for text in texts],
                        **({"error": why} if why else {}),
                    }
            yield {"source": key[0], "ordinal": key[1], "nodes": nodes}


_WORDS = {"": "passed", "would be written": "written", "merged into another record": "merged"}


def _why(node: NodeRun, failure: Failure) -> str:
    return mask(describe(failure.error), node.secrets)


Became = dict[str, tuple[str, list[str]]]


def _as_text(trace: Trace, graph: Graph, shown: list[str]) -> str:
    """Every source record: in columns if all of them fit, otherwise a line or more per node."""
    found = {
        key: {
            name: became
            for name in shown
            if (became := trace.outcome(graph, key, name)) is not None
        }
        for key in trace.keys
    }
    tables = {key: _columns(graph, became) for key, became in found.items() if became}
    fits = all(max(map(len, lines)) <= width() for lines in tables.values())
    return "\n\n".join(
        "\n".join([f"{key[0]}:{key[1]}", *(tables[key] if fits else _stack(graph, found[key]))])
        for key in tables
    )


def _stack(graph: Graph, found: Became) -> Iterator[str]:
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
