"""Faults that a case injects: into the very calls that fail when something real is wrong.

Each strikes at a record, counted as it reaches the node, or when the component is opened or
finished. What has struck stays counted when the run starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import isgeneratorfunction
from typing import Any

from penstock import (
    Batch,
    Failure,
    Input,
    Inspector,
    RecordError,
    RunError,
    Transformer,
    TransientError,
)
from penstock.graph import Graph

from .cases import FaultOptions

__all__ = ["Fault", "inject"]


_KINDS: Mapping[str, Callable[[str], Exception]] = {
    "transient": TransientError,
    "data": RecordError,
    "fatal": RunError,
}


class Fault:
    """One fault in one run and its restarts."""

    def __init__(self, options: FaultOptions) -> None:
        self.options = options
        self.left = options.times
        self.passed = 0
        self._struck: Any = None

    @property
    def struck(self) -> bool:
        return self.left < self.options.times

    def error(self) -> Exception:
        return _KINDS[self.options.error](self.options.message)

    def at(self, moment: str) -> None:
        """Strike if this is the moment."""
        if self.options.at == moment and self.left:
            self.left -= 1
            raise self.error()

    def strikes(self, record: Any) -> bool:
        """Whether it strikes now. A record that is tried again is the same record."""
        if self._struck is not None and self._struck[0] is record and self.left:
            self.left -= 1
            return True
        if self._struck is not None and self._struck[0] is record:
            return False
        self.passed += 1
        if self.passed != self.options.at or not self.left:
            return False
        self._struck = (record,)
        self.left -= 1
        return True

    def index(self, count: int) -> int | None:
        """Which of the next `count` records it strikes. A batch that is tried again comes again,
        so records are counted once they are let through."""
        at, before = self.options.at, self.passed
        strikes = isinstance(at, int) and before < at <= before + count and self.left > 0
        if strikes:
            self.left -= 1
        if not strikes or self.options.error == "data":
            self.passed += count
        return at - before - 1 if strikes and isinstance(at, int) else None


def inject(graph: Graph, faults: Sequence[tuple[Fault, list[str]]]) -> None:
    """Put faults into the components of these nodes."""
    for fault, nodes in faults:
        for name in nodes:
            if name in graph.nodes:
                _break(graph.nodes[name].component, fault)


def _break(component: Any, fault: Fault) -> None:
    opens = component.open

    def opened(context: Any) -> None:
        opens(context)
        fault.at("open")
        _rig(component, fault)  # now: some components get their functions when they are opened

    component.open = opened


def _rig(component: Any, fault: Fault) -> None:
    if hasattr(component, "finish"):
        component.finish = _finishing(component.finish, fault)
    if isinstance(component, Input):
        reading: Any = component  # its own class says that this is no attribute
        reading.read = _reading(component.read, fault)
    elif hasattr(component, "write"):
        component.write = _writing(component.write, fault)
    elif fault.options.error != "fatal" and _is_plain(component, Transformer):
        component.transform = _calling(component.transform, fault)
    elif fault.options.error != "fatal" and _is_plain(component, Inspector):
        component.inspect = _calling(component.inspect, fault)
    else:
        _take_batches(component)
        component.process = _processing(component.process, fault)


def _take_batches(component: Any) -> None:
    """Have the run hand over whole batches: what leaves `process` ends a run, while an error of a
    single record is that record's own."""
    cls = type(component)

    def process(self: Any, batch: Batch) -> Any:
        return cls.process(self, batch)

    component.__class__ = type(cls.__name__, (cls,), {"process": process})


def _is_plain(component: Any, role: Any) -> bool:
    """Whether the run calls the component record by record."""
    return isinstance(component, role) and type(component).process is role.process


def _finishing(finish: Callable[[], Any], fault: Fault) -> Callable[[], Any]:
    def finished() -> Any:
        fault.at("finish")
        return finish()

    return finished


def _calling(function: Callable[[Any], Any], fault: Fault) -> Callable[[Any], Any]:
    if isgeneratorfunction(function):

        def expanded(record: Any) -> Iterator[Any]:
            if fault.strikes(record):
                raise fault.error()
            yield from function(record)

        return expanded

    def called(record: Any) -> Any:
        if fault.strikes(record):
            raise fault.error()
        return function(record)

    return called


def _processing(process: Callable[[Batch], Any], fault: Fault) -> Callable[[Batch], Any]:
    def processed(batch: Batch) -> Iterator[Batch]:
        rest, failures = _struck(batch, fault)
        yield from process(rest)
        if failures:
            yield Batch([], batch.source, [], failures=failures)

    return processed


def _writing(write: Callable[[Batch], Any], fault: Fault) -> Callable[[Batch], Any]:
    def written(batch: Batch) -> list[Failure]:
        rest, failures = _struck(batch, fault)
        return [*(write(rest) or ()), *failures]

    return written


def _struck(batch: Batch, fault: Fault) -> tuple[Batch, list[Failure]]:
    """The batch without the record that is struck, or the error that strikes all of it."""
    index = fault.index(len(batch.records))
    if index is None:
        return batch, []
    if fault.options.error != "data":
        raise fault.error()
    return _without(batch, index, fault)


def _without(batch: Batch, index: int, fault: Fault) -> tuple[Batch, list[Failure]]:
    failure = Failure(batch.records[index], batch.ordinals[index], fault.error())
    kept = [one for one in range(len(batch.records)) if one != index]
    records = [batch.records[one] for one in kept]
    ordinals = [batch.ordinals[one] for one in kept]
    return Batch(records, batch.source, ordinals, batch.resume), [failure]


def _reading(
    read: Callable[[Mapping[str, Any]], Iterator[Batch | None]], fault: Fault
) -> Callable[[Mapping[str, Any]], Iterator[Batch | None]]:
    def reads(positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        for batch in read(positions):
            index = None if batch is None else fault.index(len(batch.records))
            if batch is None or index is None:
                yield batch
            elif fault.options.error == "data":
                rest, failures = _without(batch, index, fault)
                rest.failures = [*batch.failures, *failures]
                yield rest
            else:
                if index:
                    yield Batch(batch.records[:index], batch.source, batch.ordinals[:index], None)
                raise fault.error()

    return reads
