"""The graph of a pipeline: named nodes and the edges between them, made from its pipes.

Inputs are roots and outputs are leaves. An output in mid-pipe is a branch beside the rest of its
pipe; an input in mid-pipe joins the stream at that point, after the inputs before it or in turn
with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, Problem
from .spec import PipeStep, Settings

if TYPE_CHECKING:
    from .components import Component

__all__ = ["Graph", "Node", "plan"]


@dataclass
class Node:
    """A component with its place in the graph. `parts` are the inputs that an input is made of:
    their names, and the declared input or kind of input that each of them is."""

    name: str
    role: str
    component: Component
    settings: Settings = field(default_factory=Settings)
    use: str = ""
    plugin: str = ""
    version: str = ""
    description: str = ""
    config_hash: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Plan:
    """The shape of a graph before its components exist.

    `instances` maps each node to the component it is made from: a stage in the middle of several
    pipes becomes a node of its own in each, so that the pipes do not mix.
    """

    instances: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    after: dict[str, set[str]] = field(default_factory=dict)


class Graph:
    """Nodes in an order in which each comes after all that feed it."""

    def __init__(
        self,
        nodes: Sequence[Node],
        edges: Sequence[tuple[str, str]],
        after: Mapping[str, set[str]] | None = None,
    ) -> None:
        by_name = {node.name: node for node in nodes}
        order = _topological([node.name for node in nodes], edges)
        self.nodes: dict[str, Node] = {name: by_name[name] for name in order}
        self.edges = list(dict.fromkeys(edges))
        self.after: dict[str, set[str]] = dict(after or {})
        self.successors: dict[str, list[str]] = {name: [] for name in order}
        self.predecessors: dict[str, list[str]] = {name: [] for name in order}
        for left, right in self.edges:
            self.successors[left].append(right)
            self.predecessors[right].append(left)

    def of_role(self, role: str) -> list[Node]:
        return [node for node in self.nodes.values() if node.role == role]

    @property
    def stages(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.role in ("inspector", "transformer")]

    def changes(self, name: str) -> bool:
        """Whether a record handed to `name` may be changed in place there or further on."""
        node = self.nodes[name]
        if node.role in ("transformer", "inspector") and getattr(node.component, "mutates", True):
            return True
        return any(self.changes(successor) for successor in self.successors[name])

    def copied_edges(self) -> set[tuple[str, str]]:
        """The edges on which records are copied so that branches cannot see each other's changes.

        The last branch may have the originals when every other one got copies.
        """
        copied: set[tuple[str, str]] = set()
        for name, successors in self.successors.items():
            changing = [successor for successor in successors if self.changes(successor)]
            if len(changing) == len(successors):
                changing = changing[:-1]
            copied.update((name, successor) for successor in changing)
        return copied


def plan(pipes: Mapping[str, Sequence[PipeStep]], roles: Mapping[str, str]) -> Plan:
    """Turn pipes into nodes and edges; `roles` gives the role of each component."""
    made = Plan()
    crowded = _shared_stages(pipes, roles)
    for pipe, steps in pipes.items():
        names = [_instance(pipe, index, steps, crowded) for index in range(len(steps))]
        feeding: list[str] = []  # the nodes whose records the next step receives
        inputs: set[str] = set()
        for index, (step, name) in enumerate(zip(steps, names, strict=True)):
            role = roles[step.name]
            made.instances.setdefault(name, step.name)
            if role == "input":
                if index and not step.mix:
                    made.after.setdefault(name, set()).update(inputs - {name})
                inputs.add(name)
                feeding.append(name)
                continue
            made.edges.extend((left, name) for left in feeding)
            if role != "output" or index == 0:
                feeding = [name]
    _check_cycles(made, pipes)
    return made


def _shared_stages(
    pipes: Mapping[str, Sequence[PipeStep]], roles: Mapping[str, str]
) -> dict[str, list[str]]:
    """Stages that stand in the middle of more than one pipe, with those pipes."""
    found: dict[str, list[str]] = {}
    for pipe, steps in pipes.items():
        for name in dict.fromkeys(step.name for step in steps[1:-1]):
            if roles[name] in ("inspector", "transformer"):
                found.setdefault(name, []).append(pipe)
    return {name: where for name, where in found.items() if len(where) > 1}


def _instance(
    pipe: str, index: int, steps: Sequence[PipeStep], crowded: Mapping[str, list[str]]
) -> str:
    step = steps[index]
    if step.name not in crowded:
        return step.name
    if 0 < index < len(steps) - 1:
        return f"{step.name}@{pipe}"
    where = " and ".join(crowded[step.name])
    raise ConfigError(
        [
            Problem(
                f"a branch cannot begin or end at {step.name!r}, which stands in pipes {where}",
                f"pipes.{pipe}.{index}",
                hint="declare it twice, under two names",
            )
        ]
    )


def _check_cycles(made: Plan, pipes: Mapping[str, Sequence[PipeStep]]) -> None:
    try:
        _topological(list(made.instances), made.edges)
    except _CycleError as cycle:
        around = " -> ".join(cycle.path)
        last = next(
            (
                pipe
                for pipe, steps in pipes.items()
                if cycle.path[0] in {step.name for step in steps}
            ),
            "",
        )
        raise ConfigError(
            [
                Problem(
                    f"records would go round in a circle: {around}",
                    f"pipes.{last}" if last else "pipes",
                    hint="a component can feed only what comes after it",
                )
            ]
        ) from None


class _CycleError(Exception):
    def __init__(self, path: list[str]) -> None:
        super().__init__(path)
        self.path = path


def _topological(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[str]:
    """`names` so that each comes after all that lead to it, otherwise in the order given."""
    successors: dict[str, list[str]] = {name: [] for name in names}
    for left, right in edges:
        successors[left].append(right)
    state: dict[str, int] = {}  # 1 while its successors are visited, 2 when done
    order: list[str] = []
    for start in reversed(names):
        trail: list[tuple[str, Any]] = [(start, iter(reversed(successors[start])))]
        if state.setdefault(start, 1) == 2:
            continue
        while trail:
            name, rest = trail[-1]
            following = next(rest, None)
            if following is None:
                state[name] = 2
                order.append(name)
                trail.pop()
            elif state.get(following) == 1:
                path = [one for one, _ in trail]
                raise _CycleError([*path[path.index(following) :], following])
            elif following not in state:
                state[following] = 1
                trail.append((following, iter(reversed(successors[following]))))
    return order[::-1]
