"""`penstock preview`: the first records after each node, with nothing written anywhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ..batch import Batch
from ..errors import EXIT_OK, UsageError, nearest
from ..graph import Graph
from ..tracing import Read, Trace, cut, harmless, watch
from . import common_arguments
from .loading import load
from .showing import print_json, show_error
from .signals import Draining
from .traces import as_json, as_text, became

HELP = "show the first records after each node"


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
    graph = harmless(pipeline.graph(), lambda _, read: partial(_first, read, options.records))
    shown = _nodes(graph, options.node)
    one = watch(pipeline, graph, trace)
    with Draining(one) as signals:
        one.execute()
    if options.json:
        for key in trace.keys:
            nodes = as_json(became(trace, graph, key, shown))
            print_json({"source": key[0], "ordinal": key[1], "nodes": nodes}, indent=None)
    else:
        print(as_text(trace, graph, shown) or "no records")
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


def _first(read: Read, count: int, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
    for batch in read(positions):
        if batch is not None:
            ordinals = sorted([*batch.ordinals, *(failure.ordinal for failure in batch.failures)])
            if len(ordinals) > count:
                batch = cut(batch, ordinals[count - 1])
            count -= len(batch.records) + len(batch.failures)
        yield batch
        if count <= 0:
            return
