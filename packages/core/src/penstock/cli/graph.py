"""`penstock graph`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..build import Pipeline
from ..graph import Graph, Node
from . import common_arguments
from .loading import load
from .showing import print_json

HELP = "draw a pipeline"


def arguments(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tree", action="store_true", help="as a tree of text (the default)")
    how.add_argument("--mermaid", action="store_true", help="as a Mermaid flowchart")


def run(options: Any) -> int:
    pipeline = load(options)
    graph = pipeline.graph()
    if options.json:
        print_json(_as_json(pipeline, graph))
    elif options.mermaid:
        print("\n".join(mermaid(graph)))
    else:
        print("\n".join(tree(graph)))
    return 0


def order_of(graph: Graph, name: str) -> tuple[str, list[str]]:
    """How an input stands to the others: "after" these, "in turn with" these, or alone ("")."""
    after = graph.after.get(name, set())
    if after:
        return "after", [one for one in graph.nodes if one in after]
    waiting = {one for one, others in graph.after.items() if name in others}
    others = [
        node.name
        for node in graph.of_role("input")
        if node.name != name and node.name not in waiting and not graph.after.get(node.name)
    ]
    return ("in turn with", others) if others else ("", [])


# ---- a tree -------------------------------------------------------------------------------------


def tree(graph: Graph) -> Iterator[str]:
    """Each input with what follows it; a node that several lead to is drawn once."""
    copied = graph.copied_edges()
    drawn: set[str] = set()

    def below(name: str, indent: str) -> Iterator[str]:
        successors = graph.successors[name]
        for index, after in enumerate(successors):
            last = index == len(successors) - 1
            branch, deeper = ("└─ ", "   ") if last else ("├─ ", "│  ")
            copies = ["gets copies"] if (name, after) in copied else []
            if after in drawn:
                yield f"{indent}{branch}{'; '.join([f'{after} (drawn above)', *copies])}"
                continue
            drawn.add(after)
            yield f"{indent}{branch}{_line(graph.nodes[after], copies)}"
            yield from below(after, indent + deeper)

    for node in graph.of_role("input"):
        word, others = order_of(graph, node.name)
        yield _line(node, [f"{word} {', '.join(others)}"] if word else [])
        yield from below(node.name, "")


def _line(node: Node, notes: list[str]) -> str:
    told = "; ".join([*notes, *_settings(node)])
    about = f"  {node.description}" if node.description else ""
    return f"{node.name}: {node.role} {node.use}{f' ({told})' if told else ''}{about}"


def _settings(node: Node) -> Iterator[str]:
    settings = node.settings
    if node.parts:
        yield f"of {', '.join(_part(*part) for part in node.parts.items())}"
    if settings.on_error != "collect":
        yield f"on_error: {settings.on_error}"
    if settings.retry:
        yield f"retry: {settings.retry}"
    if settings.timeout is not None:
        yield f"timeout: {settings.timeout:g} s"
    if settings.optional:
        yield "optional"
    if settings.key is not None:
        yield f"key: {settings.key}"


def _part(name: str, what: str) -> str:
    return name if name == what else f"{name}: {what}"


# ---- Mermaid ------------------------------------------------------------------------------------

_SHAPES = {
    "input": ("([", "])"),
    "inspector": ("{{", "}}"),
    "transformer": ("[", "]"),
    "output": ("[(", ")]"),
}


def mermaid(graph: Graph) -> Iterator[str]:
    """The graph as text that Mermaid draws; the shape tells the role."""
    copied = graph.copied_edges()
    ids = {name: f"n{number}" for number, name in enumerate(graph.nodes, 1)}
    yield "flowchart LR"
    for node in graph.nodes.values():
        opening, closing = _SHAPES[node.role]
        label = "<br/>".join(
            [_quoted(node.name), _quoted(node.use), *map(_quoted, _settings(node))]
        )
        yield f'    {ids[node.name]}{opening}"{label}"{closing}:::{node.role}'
    for left, right in graph.edges:
        arrow = "-->|copies|" if (left, right) in copied else "-->"
        yield f"    {ids[left]} {arrow} {ids[right]}"
    for node in graph.of_role("input"):
        word, others = order_of(graph, node.name)
        if word == "after":
            yield from (f"    {ids[other]} -. then .-> {ids[node.name]}" for other in others)
    for role in _SHAPES:
        if graph.of_role(role):
            yield f"    classDef {role} stroke-width:2px"


def _quoted(text: str) -> str:
    for character, code in (
        ("#", "#35;"),
        ("&", "#amp;"),
        ('"', "#quot;"),
        ("<", "#lt;"),
        (">", "#gt;"),
    ):
        text = text.replace(character, code)
    return text


# ---- JSON ---------------------------------------------------------------------------------------


def _as_json(pipeline: Pipeline, graph: Graph) -> dict[str, Any]:
    copied = graph.copied_edges()
    return {
        "pipeline": pipeline.name,
        "engine": pipeline.engine_name,
        "nodes": [_node_as_json(graph, node) for node in graph.nodes.values()],
        "edges": [
            {"from": left, "to": right, "copies": (left, right) in copied}
            for left, right in graph.edges
        ],
    }


def _node_as_json(graph: Graph, node: Node) -> dict[str, Any]:
    made = {
        "name": node.name,
        "role": node.role,
        "use": node.use,
        "plugin": node.plugin,
        "version": node.version,
        "description": node.description,
        "on_error": node.settings.on_error,
        "retry": node.settings.retry,
        "optional": node.settings.optional,
    }
    if node.role == "input":
        word, others = order_of(graph, node.name)
        made["key"] = node.settings.key
        made["after"] = others if word == "after" else []
        made["in_turn_with"] = others if word == "in turn with" else []
        made["parts"] = dict(node.parts)
    return made
