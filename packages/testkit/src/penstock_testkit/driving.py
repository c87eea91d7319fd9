"""Inputs, stages and outputs driven as a run drives them, one call at a time."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from penstock import (
    Batch,
    Checkpoint,
    Clock,
    Context,
    Failure,
    Input,
    Output,
    Stage,
)
from penstock.testing import FakeClock

__all__ = [
    "Driven",
    "Row",
    "Writer",
    "checkpoint",
    "cut",
    "fresh",
    "opened",
    "positions_after",
    "read",
    "rows_of",
    "through_json",
]

NAME = "component"
PIPELINE = "conformance"
PATIENCE = 40.0
"""Seconds to wait for a record of an input without an end."""
_QUIET = 3  # so often nothing, and there is nothing more

C = TypeVar("C")


class Row(NamedTuple):
    """A record with where it came from."""

    source: str
    ordinal: int
    record: Any


def fresh(component: C) -> C:
    """Another component with the same options, which nobody has opened."""
    return copy.copy(component)


def through_json(value: Any) -> Any:
    """What becomes of a value that is kept in a checkpoint."""
    return json.loads(json.dumps(value, allow_nan=False))


@contextmanager
def opened(component: C, clock: Clock | None = None) -> Iterator[C]:
    """A copy of the component, opened, and closed at the end whatever happened."""
    made: Any = fresh(component)
    try:
        made.open(Context(NAME, pipeline=PIPELINE, run_id="run", clock=clock))
        yield made
    finally:
        made.close()


def read(
    component: Input,
    positions: Mapping[str, Any] | None = None,
    *,
    enough: int | None = None,
    size: int | None = None,
) -> list[Batch]:
    """Open a copy of an input and read it from these positions to its end.

    One without an end is read until it has given `enough` records and then nothing for a while.
    `size` is how many records a batch shall have, where the input lets that be said.
    """
    with opened(component) as made:
        if size is not None and hasattr(made, "batch_size"):
            made.batch_size = size
        return list(batches_of(made, positions, enough=enough))


def batches_of(
    made: Input, positions: Mapping[str, Any] | None = None, *, enough: int | None = None
) -> Iterator[Batch]:
    """The batches of an open input; see `read`."""
    batches = made.read(through_json(dict(positions or {})))
    seen = quiet = 0
    end = time.monotonic() + PATIENCE
    try:
        for batch in batches:
            if batch is None:
                quiet += 1
                done = not made.finite and seen >= (enough or 0) and quiet >= _QUIET
                if done or time.monotonic() > end:
                    return
                time.sleep(0.01)
                continue
            quiet = 0
            batch.source = batch.source or NAME
            seen += len(batch.records) + len(batch.failures)
            yield batch
    finally:
        close = getattr(batches, "close", None)
        if close is not None:
            close()


def rows_of(batches: Iterable[Batch]) -> list[Row]:
    return [
        Row(batch.source, ordinal, record)
        for batch in batches
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True)
    ]


def positions_after(batches: Iterable[Batch]) -> dict[str, Any]:
    """Where reading stands after these batches."""
    return {batch.source: batch.resume for batch in batches}


def cut(records: Sequence[Any], size: int, first: int = 1, source: str = "input") -> list[Batch]:
    """The records in batches of at most `size`, with ordinals from `first`."""
    return [
        Batch(
            list(records[start : start + size]),
            source,
            range(first + start, first + min(start + size, len(records))),
        )
        for start in range(0, len(records), size)
    ]


class Driven:
    """A stage between batches in and batches out; every answer is kept."""

    def __init__(self, stage: Stage, state: Any = None) -> None:
        self.stage = fresh(stage)
        self.clock = FakeClock()
        self.batches: list[Batch] = []
        self.received = 0
        self.stage.open(Context("stage", pipeline=PIPELINE, run_id="run", clock=self.clock))
        if state is not None:
            self.stage.restore(through_json(state))

    def push(self, batches: Iterable[Batch]) -> Driven:
        for batch in batches:
            self.received += len(batch.records)
            self.batches.extend(self.stage.process(batch))
        return self

    def idle(self, seconds: float) -> Driven:
        self.clock.sleep(seconds)
        self.batches.extend(self.stage.idle(self.clock.now()))
        return self

    def finish(self) -> Driven:
        self.batches.extend(self.stage.finish())
        return self

    def close(self) -> Driven:
        self.stage.close()
        return self

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.batches)

    @property
    def records(self) -> list[Any]:
        return [row.record for row in self.rows]

    @property
    def failures(self) -> list[tuple[int, str]]:
        """The ordinal of every record that failed, and what was said of it."""
        return [(one.ordinal, str(one.error)) for batch in self.batches for one in batch.failures]

    @property
    def answered(self) -> int:
        return sum(batch.consumed for batch in self.batches)


def checkpoint(epoch: int, generation: int = 1, pipeline: str = PIPELINE) -> dict[str, Any]:
    """The fields of the checkpoint of an epoch."""
    return {
        "pipeline": pipeline,
        "run_id": "run",
        "epoch": epoch,
        "generation": generation,
        "positions": {"list": epoch},
        "started": 1.5,
    }


class Writer:
    """An output of a pipeline, opened, and asked to go on from a mark."""

    def __init__(
        self, output: Output, mark: Any = None, epoch: int = 0, pipeline: str = PIPELINE
    ) -> None:
        self.output = fresh(output)
        self.pipeline = pipeline
        self.count = 0
        self.output.open(Context(NAME, pipeline=pipeline, run_id="run"))
        self.output.resume(through_json(mark), epoch)

    def write(self, records: Sequence[Any], size: int = 3) -> list[Failure]:
        """Write copies of the records in batches; what was refused."""
        refused: list[Failure] = []
        for batch in cut(copy.deepcopy(list(records)), size, self.count + 1):
            refused.extend(self.output.write(batch) or ())
        self.count += len(records)
        return refused

    def end_epoch(self, epoch: int) -> None:
        """Make what was written durable, and visible."""
        self.output.prepare(epoch)
        if self.output.delivery == "transactional":
            made = Checkpoint(**checkpoint(epoch, pipeline=self.pipeline))
            self.output.commit(made)  # type: ignore[attr-defined]

    def close(self) -> None:
        self.output.close()
