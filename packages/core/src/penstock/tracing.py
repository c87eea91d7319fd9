"""Watch what becomes of records without writing any: runs whose outputs do nothing, and a plugin
that notes what every node passed on.

Nothing is kept while a pipeline really runs: a record is followed by replaying it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .batch import Batch, Failure
from .components import Input, Output, Stage
from .engines.inline import InlineEngine
from .errors import UsageError
from .failures import describe
from .hookspecs import hookimpl
from .options import mask
from .store import MemoryStore, encode_record

if TYPE_CHECKING:
    from .build import Pipeline
    from .graph import Graph
    from .nodes import NodeRun
    from .runs import Run

__all__ = [
    "Finder",
    "Key",
    "Read",
    "Trace",
    "cut",
    "follow",
    "harmless",
    "input_of",
    "keeps",
    "ready",
    "watch",
]

Key = tuple[str, int]
"""The source and the ordinal of a record that was read."""

Read = Callable[[Mapping[str, Any]], Iterator["Batch | None"]]


class _Nowhere(Output):
    """Takes the place of every output."""

    def write(self, batch: Batch) -> None: ...


def harmless(graph: Graph, reading: Callable[[str, Read], Read]) -> Graph:
    """The same graph, whose outputs do nothing and whose inputs are not told that their records
    were dealt with. `reading(name, read)` gives the function to read each input with."""
    for node in graph.nodes.values():
        if node.role == "output":
            node.component = _Nowhere()
        elif isinstance(node.component, Input):
            # On the instance: its options, and so its secrets, must stay known to the run.
            read = reading(node.name, node.component.read)
            node.component.read = read  # type: ignore[method-assign, assignment]
            node.component.commit = _tell_nobody  # type: ignore[method-assign]
    return graph


def watch(pipeline: Pipeline, graph: Graph, watcher: object) -> Run:
    """A run of `graph` that `watcher`, a plugin, is told of; on one thread, so that everything is
    seen in order."""
    pipeline.plugins.register(watcher, type(watcher).__name__.lower())
    inline = replace(pipeline, engine=InlineEngine(), engine_name="inline")
    return inline.start(graph=graph, store=MemoryStore())


def _tell_nobody(positions: Mapping[str, Any]) -> None: ...


def cut(batch: Batch, last: int, first: int = 0) -> Batch:
    """The records and failures of a batch from ordinal `first` to ordinal `last`."""
    kept = [
        (record, number)
        for record, number in zip(batch.records, batch.ordinals, strict=True)
        if first <= number <= last
    ]
    return Batch(
        [record for record, _ in kept],
        batch.source,
        [number for _, number in kept],
        batch.resume,
        failures=[failure for failure in batch.failures if first <= failure.ordinal <= last],
    )


# ---- following one record -----------------------------------------------------------------------


def input_of(graph: Graph, source: str) -> str:
    """The name of the input that a source, as "clicks/3", belongs to."""
    name = next((one for one in (source, source.rpartition("/")[0]) if one in graph.nodes), "")
    if not name or graph.nodes[name].role != "input":
        inputs = ", ".join(node.name for node in graph.of_role("input"))
        raise UsageError(f"no input named {source!r}", where="record", hint=f"there are {inputs}")
    return name


def keeps(graph: Graph, start: str) -> list[str]:
    """The stages after a node that keep something from one record to the next."""
    reached: dict[str, None] = {}
    waiting = [start]
    while waiting:
        for name in graph.successors[waiting.pop()]:
            if name not in reached:
                reached[name] = None
                waiting.append(name)
    return [name for name in graph.nodes if name in reached and _keeps(graph.nodes[name].component)]


def _keeps(component: Any) -> bool:
    cls = type(component)
    return isinstance(component, Stage) and (
        cls.snapshot is not Stage.snapshot or cls.finish is not Stage.finish
    )


def follow(graph: Graph, key: Key, *, alone: bool) -> Graph:
    """`graph`, harmless, reading only the record `key` if it is to be `alone`, otherwise everything
    up to it."""
    source, ordinal = key
    name = input_of(graph, source)

    def reading(one: str, read: Read) -> Read:
        if one == name:
            return partial(_up_to, read, name, source, ordinal, alone)
        if alone:
            return _nothing
        return read if graph.nodes[one].component.finite else partial(ready, read)  # type: ignore[attr-defined]

    return harmless(graph, reading)


def _nothing(positions: Mapping[str, Any]) -> Iterator[Batch | None]:
    return iter(())


def ready(read: Read, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
    """What a log has at this moment."""
    for batch in read(positions):
        if batch is None:
            return
        yield batch


def _up_to(
    read: Read, name: str, source: str, ordinal: int, alone: bool, positions: Mapping[str, Any]
) -> Iterator[Batch | None]:
    seen = 0
    for batch in read(positions):
        if batch is None:  # a log: what is not there now is not there
            break
        ours = (batch.source or name) == source
        if ours:
            seen = max([seen, *batch.ordinals[-1:], *(one.ordinal for one in batch.failures)])
        if ours and seen >= ordinal:
            yield cut(batch, ordinal, ordinal if alone else 0)
            return
        if not alone:
            yield batch
    hint = f"the last one is {source}:{seen}" if seen else f"there is none of {source}"
    raise UsageError(f"no record {source}:{ordinal}", where=name, hint=hint)


# ---- watching -----------------------------------------------------------------------------------


class Trace:
    """Notes what every node passed on, by the source record it came from: as text, since a later
    node may change a record in place. With `only`, of that one record."""

    def __init__(self, only: Key | None = None) -> None:
        self.only = only
        self.keys: dict[Key, None] = {}
        self.passed: dict[Key, dict[str, list[str]]] = {}
        self.failed: dict[Key, dict[str, str]] = {}
        self.nodes: dict[str, NodeRun] = {}

    @hookimpl
    def penstock_batch_done(self, node: NodeRun, batch: Batch) -> None:
        self.nodes[node.name] = node
        if self.only is not None:
            if batch.source != self.only[0]:
                return
            batch = cut(batch, self.only[1], self.only[1])
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


def _why(node: NodeRun, failure: Failure) -> str:
    return mask(describe(failure.error), node.secrets)


class Finder:
    """Stops a run at the first record with a value that comes to an output; `found` says which
    source record is behind it."""

    def __init__(self, field: str, value: str) -> None:
        self.field, self.value = field, value
        self.found: Key | None = None

    @hookimpl
    def penstock_batch_done(self, run: Run, node: NodeRun, batch: Batch) -> None:
        if node.role != "output" or self.found is not None:
            return
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            if self._matches(record):
                self.found = (batch.source, ordinal)
                run.stop("found")
                return

    def _matches(self, record: Any) -> bool:
        if isinstance(record, Mapping):
            return self.field in record and str(record[self.field]) == self.value
        return str(getattr(record, self.field, None)) == self.value
