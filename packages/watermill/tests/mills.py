"""What the tests of mills share: elements, streams that are lists, and one function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, List  # noqa: UP035

from penstock.testing import ListInput, ListOutput
from penstock_watermill import (
    JoinWith,
    MessageBroker,
    WaterMill,
    get_field,
    join_streams,
    type_alias,
)


@dataclass(frozen=True)
class Location:
    time: int
    x: int


@dataclass(frozen=True)
class Next:
    time: int
    x: int


@dataclass
class Speed:
    time: int
    speed: float


@dataclass
class Odd:
    time: int


Also = type_alias(Location, "Also")


@dataclass(frozen=True)
class Mid:
    time: int
    leaf: int


@dataclass
class Leaf:
    id: int


ROBOTS = [{"time": t, "x": t * t} for t in range(0, 60, 10)]


class Lists(MessageBroker):
    """Streams that are lists, read and written by Penstock's own fakes."""

    def __init__(self, streams: Mapping[Any, list[Any]]) -> None:
        self.streams = streams
        self.outputs: dict[Any, ListOutput] = {}

    def input(self, element_type: Any) -> Any:
        return ListInput(values=self.streams[element_type], batch_size=4)

    def output(self, element_type: Any) -> Any:
        return self.outputs.setdefault(element_type, ListOutput())

    def sent(self, element_type: Any) -> list[Any]:
        return self.outputs[element_type].values


def run(function: Any, streams: Any, sent: Any = None, **options: Any) -> Any:
    """What a mill sends: the elements of the type `sent`, or of each type in a list."""
    broker = Lists(streams)
    WaterMill(broker, function, **options).run()
    if isinstance(sent, list):
        return [broker.sent(kind) for kind in sent]
    return None if sent is None else broker.sent(sent)


def speed(now: Location, later: Mapping[Location, List[Next]]) -> Speed:  # noqa: UP006
    return Speed(now.time, (later[now][0].x - now.x) / 10)


TEN_LATER = join_streams(
    Location,
    JoinWith(
        with_type=Next,
        left_expression=get_field("time") + 10,
        right_expression=get_field("time"),
    ),
)
SPEEDS = [{"time": t, "speed": float(s)} for t, s in zip(range(0, 50, 10), (10, 30, 50, 70, 90))]
