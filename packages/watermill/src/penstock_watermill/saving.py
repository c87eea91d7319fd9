"""Results that are saved by hand, from any thread, when they are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Condition
from typing import Any, NamedTuple
from uuid import uuid4

from penstock import Batch, Context, Failure, RecordError, Stage
from penstock.store import decode_record, encode_record
from penstock_streams import EndOfStream
from penstock_streams.calls import Call

from .brokers import DataKey

__all__ = ["Saved", "SavedCall"]


class Saved:
    """What was saved, in the order in which it came; any thread may put something in."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.results: list[tuple[DataKey, Any]] = []

    def put(self, data_key: DataKey, results: Any) -> None:
        with self.changed:
            self.results.append((data_key, results))
            self.changed.notify_all()

    def take(self, *, wait: bool = False) -> list[tuple[DataKey, Any]]:
        with self.changed:
            while wait and not self.results:
                self.changed.wait(0.5)  # a signal may have to be seen to
            taken, self.results = self.results, []
            return taken


class _Pending(NamedTuple):
    """A record that the function has taken and nothing was saved for yet."""

    source: str
    ordinal: int
    record: Any


class SavedCall(Stage):
    """Calls a function that takes a `DataKey`, and answers for a record when its results are saved.

    What is pending is in the checkpoint, and given to the function again by a run that is resumed.
    """

    def __init__(self, call: Call, saved: Saved) -> None:
        self.call = call
        self.saved = saved

    def open(self, context: Context) -> None:
        super().open(context)
        self.satisfied = False
        self._pending: dict[DataKey, _Pending] = {}
        self.call.provide = {**self.call.provide, DataKey: DataKey(uuid4())}
        self.call.open(context)

    def close(self) -> None:
        self.call.close()

    def process(self, batch: Batch) -> Iterable[Batch]:
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            error = self._begin(_Pending(batch.source, ordinal, record))
            if error is not None:
                yield Batch([], batch.source, [], failures=[Failure(record, ordinal, error)])
        yield from self._answers(self.saved.take())

    def idle(self, now: float) -> Iterable[Batch]:
        yield from self._answers(self.saved.take())

    def finish(self) -> Iterable[Batch]:
        while self._pending:
            yield from self._answers(self.saved.take(wait=True))

    def snapshot(self) -> Any:
        if not self._pending:
            return None
        return [
            [one.source, one.ordinal, encode_record(one.record)] for one in self._pending.values()
        ]

    def restore(self, state: Any) -> None:
        for source, ordinal, text in state:
            self._begin(_Pending(source, ordinal, decode_record(text)))

    def _begin(self, pending: _Pending) -> Exception | None:
        """Give a record to the function; what it raised."""
        key = DataKey(uuid4())
        if self.satisfied:
            self._pending[key] = pending
            self.saved.put(key, None)
            return None
        self.call.give(DataKey, key)
        self._pending[key] = pending
        try:
            for result in self.call.transform(pending.record):
                raise RecordError(
                    f"a function that takes a DataKey returns nothing, got {result!r}; save it"
                )
        except Exception as error:
            del self._pending[key]
            return error
        return None

    def _answers(self, saved: Iterable[tuple[DataKey, Any]]) -> Iterator[Batch]:
        for key, results in saved:
            pending = self._pending.pop(key, None)
            if pending is None:
                continue  # saved twice, or by a run before
            given = results if isinstance(results, list) else [results]
            if any(isinstance(one, EndOfStream) for one in given):
                self.satisfied = True
            kept = [one for one in given if one is not None and not isinstance(one, EndOfStream)]
            records = [self.call.encoded(one) for one in kept]
            ordinals = [pending.ordinal] * len(records)
            yield Batch(records, pending.source, ordinals, consumed=1)
