"""A broker in memory, for tests: streams that are lists, read by groups that keep their places."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock import Batch, Broker, Failure, Input, Output, TransientError, component, option

__all__ = ["MemoryBroker"]


@component
class MemoryBroker(Broker):
    """Named streams in memory; what it makes shares them. A reader can go on at any position.

    `fails` is how many of the next writes fail as a busy broker does.
    """

    streams: dict[str, Any] = option(help="What the streams hold, by name.", default={})
    fails: int = option(help="How many of the next writes fail.", default=0)

    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        return _StreamInput(self.streams.setdefault(stream, []))

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        return _StreamOutput(self, self.streams.setdefault(stream, []))


class _StreamInput(Input):
    finite = False
    batch_size = 100

    def __init__(self, stream: list[Any]) -> None:
        self.stream = stream

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = next(iter(positions.values()), None) or 0
        while True:
            part = self.stream[done : done + self.batch_size]
            if not part:
                yield None
                continue
            first, done = done + 1, done + len(part)
            yield Batch(copy.deepcopy(part), "", range(first, done + 1), done)


class _StreamOutput(Output):
    def __init__(self, broker: MemoryBroker, stream: list[Any]) -> None:
        self.broker = broker
        self.stream = stream
        self.waiting: list[Any] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if self.broker.fails:
            self.broker.fails -= 1
            raise TransientError("the broker is busy")
        self.waiting.extend(copy.deepcopy(list(batch.records)))
        return None

    def flush(self) -> None:
        self.stream.extend(self.waiting)
        self.waiting.clear()
