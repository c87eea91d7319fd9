"""Fakes for tests of pipelines and plugins: lists as inputs and outputs, and a clock that obeys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .batch import Batch, Failure
from .components import Context, Input, Output, RecordInput
from .options import component, option

__all__ = ["FakeClock", "Idle", "ListInput", "ListOutput", "Raise", "run_stage"]


class Raise:
    """In a `ListInput`: raise this error when the reading comes to it."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Idle:
    """In a `ListInput` read in batches: nothing is ready at this point."""


@component
class ListInput(Input):
    """Reads the values of a list, in batches; resumes at any record.

    `Raise(error)` among the values raises when it is met, `Idle()` yields None.
    """

    values: list[Any] = option(help="The records.", default=[])
    batch_size: int = option(help="Records in a batch.", default=RecordInput.batch_size)

    def open(self, context: Context) -> None:
        super().open(context)
        self.commits: list[dict[str, Any]] = []
        self.closed = 0

    def close(self) -> None:
        self.closed = getattr(self, "closed", 0) + 1  # it may never have been opened

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        skip = done = positions.get(self.context.name, 0)
        batch: list[Any] = []
        for value in self.values:
            if isinstance(value, (Raise, Idle)) or len(batch) == self.batch_size:
                if batch:
                    yield self._batch(batch, done)
                    done, batch = done + len(batch), []
                if isinstance(value, Raise):
                    raise value.error
                if isinstance(value, Idle):
                    yield None
                    continue
            if skip:
                skip -= 1
                continue
            batch.append(value)
        if batch:
            yield self._batch(batch, done)

    def _batch(self, records: list[Any], done: int) -> Batch:
        last = done + len(records)
        return Batch(records, "", range(done + 1, last + 1), last)

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.commits.append(dict(positions))


@component
class ListOutput(Output):
    """Keeps what is written in `values`, with the batches themselves in `batches`.

    Records that are in `refuse` are set aside; `fail` is raised by every write.
    """

    refuse: list[Any] = option(help="Records to refuse.", default=[])
    fail: Any = option(
        help="An error to raise, or errors to raise one after the other.", default=None
    )

    def open(self, context: Context) -> None:
        super().open(context)
        self.values: list[Any] = []
        self.batches: list[Batch] = []
        self.flushed = 0
        self.finished = False
        self.closed = 0

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if isinstance(self.fail, list):
            if self.fail:
                raise self.fail.pop(0)
        elif self.fail is not None:
            raise self.fail
        failures = [
            Failure(record, ordinal, ValueError("refused"))
            for record, ordinal in zip(batch.records, batch.ordinals, strict=True)
            if record in self.refuse
        ]
        self.values.extend(record for record in batch.records if record not in self.refuse)
        self.batches.append(batch)
        return failures

    def flush(self) -> None:
        self.flushed = len(self.values)

    def reopen(self, mark: Any, epoch: int) -> None:
        """Nothing to do: what is written is added to the list."""

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = getattr(self, "closed", 0) + 1  # it may never have been opened


class FakeClock:
    """A clock that moves only when it is told to, or when somebody sleeps on it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def run_stage(
    stage: Any, records: Iterable[Any], *, batch_size: int = 256, context: Context | None = None
) -> list[Batch]:
    """Every batch that a stage gives for these records, the ones of `finish` included."""
    values = list(records)
    stage.open(context or Context("stage"))
    made: list[Batch] = []
    try:
        for start in range(0, len(values), batch_size):
            part = values[start : start + batch_size]
            ordinals = range(start + 1, start + len(part) + 1)
            made.extend(stage.process(Batch(part, "input", ordinals)))
        made.extend(stage.finish())
    finally:
        stage.close()
    return made
