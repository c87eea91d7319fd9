"""What a pipeline makes of one record today, node by node, with nothing written: `penstock why`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from penstock import Batch, PenstockError, UsageError, load_pipeline
from penstock.tracing import Read, Trace, follow, input_of, keeps, watch

from .runs import file_of, open_store, sentence

__all__ = ["Replayed", "Step", "replay"]

PATIENCE = 10.0
"""A page waits so many seconds for what is read before the record."""


@dataclass(frozen=True)
class Step:
    """What became of the record at a node: the records that were passed on, as JSON, and more than
    that if there is more to say."""

    node: str
    what: str
    records: list[str]


@dataclass(frozen=True)
class Replayed:
    steps: list[Step]
    error: str = ""


def replay(pipeline: str, source: str, ordinal: int) -> Replayed:
    """Read a record again, and what stands before it where a stage keeps something."""
    try:
        return _replay(pipeline, source, ordinal)
    except PenstockError as error:
        return Replayed([], sentence(error))


def _replay(name: str, source: str, ordinal: int) -> Replayed:
    store = open_store()
    try:
        file = file_of(store, name)
    finally:
        store.close()
    pipeline = load_pipeline(file)
    graph = pipeline.graph()
    alone = not keeps(graph, input_of(graph, source))
    for node in graph.of_role("input"):
        component: Any = node.component
        component.read = partial(_patient, component.read, file.name, f"{source}:{ordinal}")
    graph = follow(graph, (source, ordinal), alone=alone)
    trace = Trace((source, ordinal))
    run = watch(pipeline, graph, trace)
    run.execute()
    found = ((node, trace.outcome(graph, (source, ordinal), node)) for node in graph.nodes)
    steps = [Step(node, *outcome) for node, outcome in found if outcome is not None]
    return Replayed(steps, "" if run.error is None else sentence(run.error))


def _patient(
    read: Read, file: str, record: str, positions: Mapping[str, Any]
) -> Iterator[Batch | None]:
    end = monotonic() + PATIENCE
    for batch in read(positions):
        if monotonic() > end:
            raise UsageError(
                f"{PATIENCE:.0f} s were not enough to read as far",
                where=record,
                hint=f"manage.py penstock why {file} --record {record}",
            )
        yield batch
