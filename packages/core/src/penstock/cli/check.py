"""`penstock check`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..build import Pipeline
from ..errors import ConnectError, RunError
from ..graph import Graph
from ..promises import promise
from . import common_arguments
from .loading import load
from .showing import print_json

HELP = "say what is wrong with a pipeline without running it"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument("--engine", help="check with this engine instead of the file's")
    parser.add_argument(
        "--connect", action="store_true", help="also open every component, as a run does first"
    )


def run(options: Any) -> int:
    pipeline = load(options)
    graph = pipeline.graph()
    opened = []
    if options.connect:
        _try_open(pipeline, graph)
        opened = list(graph.nodes)
    printed = _printed(graph, pipeline.spec.components)
    if options.json:
        print_json(
            {
                "pipeline": pipeline.name,
                "nodes": list(graph.nodes),
                "opened": opened,
                "warnings": pipeline.warnings,
                "printed": printed,
                "deliveries": list(_deliveries(graph)),
            }
        )
        return 0
    for warning in pipeline.warnings:
        print(f"warning: {warning}")
    if printed:
        print(f"no output follows {' and '.join(printed)}: the records are printed")
    for one in _deliveries(graph):
        print(
            f"{one['input']} -> {one['output']}: {one['capability']} input, "
            f"{one['delivery']} output"
        )
        print(f"  after a kill: {one['kill']}")
        if one["power_cut"] != one["kill"]:
            print(f"  after a power cut: {one['power_cut']}")
    print(
        f"{pipeline.name}: {len(graph.nodes)} nodes, nothing wrong"
        + (", everything opens" if opened else "")
    )
    return 0


def _try_open(pipeline: Pipeline, graph: Graph) -> None:
    try:
        pipeline.start(graph=graph).try_open()
    except RunError as error:
        raise ConnectError(error.what, where=error.where, hint=error.hint) from error


def _printed(graph: Graph, declared: Any) -> list[str]:
    """The nodes whose records are printed because no output was declared for them."""
    added = [node.name for node in graph.of_role("output") if node.name not in declared]
    return [before for name in added for before in graph.predecessors[name]]


def _deliveries(graph: Graph) -> Iterator[dict[str, str]]:
    """What may be promised for each input and output that a record passes between."""
    kinds = [getattr(node.component, "delivery", "append") for node in graph.of_role("output")]
    several = kinds.count("transactional") > 1
    for start in graph.of_role("input"):
        for end in graph.of_role("output"):
            if end.name in _reached(graph, start.name):
                capability = getattr(start.component, "capability", "replayable")
                delivery = getattr(end.component, "delivery", "append")
                yield {
                    "input": start.name,
                    "output": end.name,
                    "capability": capability,
                    "delivery": delivery,
                    **asdict(promise(capability, delivery, several=several)),
                }


def _reached(graph: Graph, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for after in graph.successors[waiting.pop()]:
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found
