"""Reading an input again from its start, as after the code has changed: who can, and what follows.

Outputs either replace all that they wrote, or take back the results that did not come again. The
results of a record that failed in the reparse stay: it keeps what it had until it is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .components import Retraction
from .errors import UsageError

if TYPE_CHECKING:
    from .nodes import NodeRun
    from .store import Checkpoint, DeadLetter, Store

__all__ = ["Plan", "plan_of", "retraction", "retraction_of_mended"]


class _Node(Protocol):
    name: str
    role: str
    component: Any


@dataclass(frozen=True)
class Plan:
    """What a reparse of a pipeline would do. `again` are the inputs that are read from their start,
    `onward` those that go on where they stood; `outputs` says what each output does: "replaces" or
    "retracts". `refused` is why there can be none."""

    again: Sequence[str]
    onward: Sequence[str]
    outputs: Mapping[str, str]
    refused: UsageError | None = None


def plan_of(nodes: Iterable[_Node]) -> Plan:
    """What a reparse would do with these nodes of a pipeline."""
    inputs = []
    outputs = {}
    refused = None
    for node in nodes:
        if node.role == "input":
            inputs.append(node)
            capability = getattr(node.component, "capability", "replayable")
            if capability != "replayable":
                refused = refused or _cannot_be_read(node.name, capability)
        elif node.role == "output":
            does = _does(node.component)
            if does is None:
                refused = refused or _cannot_take_back(node.name)
            outputs[node.name] = does or "keeps"
    again = [node.name for node in inputs if getattr(node.component, "finite", True)]
    onward = [node.name for node in inputs if node.name not in again]
    if not again:
        refused = refused or _only_logs(onward)
    return Plan(again, onward, outputs, refused)


def _does(output: Any) -> str | None:
    if getattr(output, "replaces", False):
        return "replaces"
    return "retracts" if getattr(output, "retracts", False) else None


def _cannot_be_read(name: str, capability: str) -> UsageError:
    return UsageError(
        f"cannot be read again from its start: it is {capability}",
        where=name,
        hint="a reparse needs inputs that can be, as files and tables",
    )


def _cannot_take_back(name: str) -> UsageError:
    return UsageError(
        "cannot take back what it wrote: results that no longer arise would stay beside the new "
        "ones",
        where=name,
        hint="let it replace (mode: replace), or keep the lineage of its rows (lineage: true)",
    )


def _only_logs(names: Sequence[str]) -> UsageError:
    return UsageError(
        "there is nothing to read again: a log goes on where it stood",
        where=" and ".join(names) or "inputs",
        hint="a reparse needs an input with an end, as a file or a table",
    )


def retraction(
    node: NodeRun, checkpoint: Checkpoint, store: Store, logs: Sequence[str]
) -> Retraction:
    """What an output takes back when a reparse has read everything."""
    assert checkpoint.reparse is not None
    before = {node.name, *_leading_to(node)}
    failed = store.failed(checkpoint.pipeline, checkpoint.started)
    keep = {(source, ordinal) for source, ordinal, name in failed if name in before}
    return Retraction(checkpoint.reparse, keep, logs)


def retraction_of_mended(checkpoint: Checkpoint, letters: Iterable[DeadLetter]) -> Retraction:
    """What every output takes back when letters of a reparse are answered: what their records had
    kept from before it."""
    assert checkpoint.reparse is not None
    return Retraction(checkpoint.reparse, only={(one.source, one.ordinal) for one in letters})


def _leading_to(node: NodeRun) -> set[str]:
    found: set[str] = set()
    waiting = [node]
    while waiting:
        for before in waiting.pop().predecessors:
            if before.name not in found:
                found.add(before.name)
                waiting.append(before)
    return found
