"""`penstock check`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import common_arguments
from .loading import load

HELP = "say what is wrong with a pipeline without running it"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument(
        "--connect", action="store_true", help="also open every component, as a run does first"
    )


def run(options: Any) -> int:
    pipeline = load(options)
    graph = pipeline.graph()
    opened = []
    if options.connect:
        one = pipeline.start(graph=graph)
        one.try_open()
        opened = list(graph.nodes)
    if options.json:
        found = {
            "pipeline": pipeline.name,
            "nodes": list(graph.nodes),
            "opened": opened,
            "warnings": pipeline.warnings,
        }
        print(json.dumps(found, indent=2))
        return 0
    for warning in pipeline.warnings:
        print(f"warning: {warning}")
    print(f"{pipeline.name}: {len(graph.nodes)} nodes, nothing wrong")
    return 0
