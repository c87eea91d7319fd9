"""`penstock check`: what is wrong with pipelines, and what may be promised of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from .. import certificates
from ..build import Pipeline
from ..errors import EXIT_OK, ConnectError, PenstockError, RunError
from ..graph import Graph
from ..promises import TAKEN_OVER, promise
from ..reparse import Plan, plan_of
from . import common_arguments, error_as_json
from .loading import load
from .showing import print_json, show_error

HELP = "say what is wrong with a pipeline without running it"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser, several=True)
    parser.add_argument("--engine", help="check with this engine instead of the file's")
    parser.add_argument(
        "--connect", action="store_true", help="also open every component, as a run does first"
    )


def run(options: Any) -> int:
    """Every file is checked, whatever is wrong with the others; the code is that of the first."""
    files = options.pipeline or [None]
    reports: list[dict[str, Any]] = []
    codes: list[int] = []
    for file in files:
        options.pipeline = file
        try:
            found = _checked(options)
        except PenstockError as error:
            if len(files) == 1:
                raise
            reports.append({"pipeline": file, **error_as_json(error)})
            codes.append(error.exit_code if options.json else show_error(error))
        else:
            reports.append(found)
            if not options.json:
                print("\n".join(_text(found)), flush=True)
    if options.json:
        print_json(reports if len(files) > 1 else reports[0])
    return next(iter(codes), EXIT_OK)


def _checked(options: Any) -> dict[str, Any]:
    pipeline = load(options)
    graph = pipeline.graph()
    opened = []
    if options.connect:
        _try_open(pipeline, graph)
        opened = list(graph.nodes)
    return {
        "pipeline": pipeline.name,
        "nodes": list(graph.nodes),
        "opened": opened,
        "warnings": pipeline.warnings,
        "printed": _printed(graph, pipeline.spec.components),
        "deliveries": [
            one | {"certificates": _certificates(pipeline, graph, one)}
            for one in _deliveries(graph)
        ],
        "reparse": _reparse(plan_of(graph.nodes.values())),
    }


def _text(found: dict[str, Any]) -> Iterator[str]:
    yield from (f"warning: {warning}" for warning in found["warnings"])
    if found["printed"]:
        yield f"no output follows {' and '.join(found['printed'])}: the records are printed"
    for one in found["deliveries"]:
        capability, delivery = one["capability"], one["delivery"]
        yield f"{one['input']} -> {one['output']}: {capability} input, {delivery} output"
        yield f"  after a kill: {one['kill']}"
        if one["power_cut"] != one["kill"]:
            yield f"  after a power cut: {one['power_cut']}"
        if one["taken_over"]:
            yield f"  when a member of the group dies and others go on: {one['taken_over']}"
        for name, said in one["certificates"].items():
            yield f"  {name}: {said}"
    yield f"--reparse: {_told(found['reparse'])}"
    opens = ", everything opens" if found["opened"] else ""
    yield f"{found['pipeline']}: {len(found['nodes'])} nodes, nothing wrong{opens}"


def _told(reparse: dict[str, Any]) -> str:
    """What a reparse would do, in a sentence."""
    if reparse["refused"] is not None:
        return f"refused, as {reparse['refused']}"
    parts = [f"{' and '.join(reparse['again'])} would be read again"]
    if reparse["onward"]:
        parts.append(f"{' and '.join(reparse['onward'])} would go on")
    does = {"replaces": "replaced as a whole", "retracts": "rid of what no longer arises"}
    parts += [f"{name} {does[how]}" for name, how in reparse["outputs"].items()]
    return ", ".join(parts)


def _reparse(plan: Plan) -> dict[str, Any]:
    refused = plan.refused
    return {
        "again": list(plan.again),
        "onward": list(plan.onward),
        "outputs": dict(plan.outputs),
        "refused": f"{refused.where} {refused.what}" if refused is not None else None,
    }


def _certificates(pipeline: Pipeline, graph: Graph, pair: dict[str, Any]) -> dict[str, str]:
    """What is known by certificate of the plugins of a pair, by name; of most, nothing."""
    names = {graph.nodes[pair[role]].plugin for role in ("input", "output")}
    return {
        one.name: str(found)
        for one in pipeline.plugins.distributions()
        if one.name in names
        and (found := certificates.read(one.name, one.version, one.module)) is not None
    }


def _try_open(pipeline: Pipeline, graph: Graph) -> None:
    try:
        pipeline.start(graph=graph).try_open()
    except RunError as error:
        raise ConnectError(error.what, where=error.where, hint=error.hint) from error


def _printed(graph: Graph, declared: Any) -> list[str]:
    """The nodes whose records are printed because no output was declared for them."""
    added = [node.name for node in graph.of_role("output") if node.name not in declared]
    return [before for name in added for before in graph.predecessors[name]]


def _deliveries(graph: Graph) -> Iterator[dict[str, Any]]:
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
                    "taken_over": _taken_over(start.component, end.component),
                }


def _taken_over(source: Any, output: Any) -> str | None:
    """What to say of a member's death, where it is not what is said of every kill."""
    if not source.shared or output.delivery == "append" or output.settles(source):
        return None
    return TAKEN_OVER


def _reached(graph: Graph, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for after in graph.successors[waiting.pop()]:
            if after not in found:
                found.add(after)
                waiting.append(after)
    return found
