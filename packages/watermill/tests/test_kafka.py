"""A program of the old document, on a real Kafka: from its import line to what is in the topics."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, List  # noqa: UP035

import pytest

from penstock import run
from penstock.testing import ListInput, ListOutput
from penstock_broker_kafka import KafkaBroker
from penstock_watermill import (
    EndOfStream,
    JoinWith,
    KafkaMessageBroker,
    WaterMill,
    get_field,
    join_streams,
)

NUMBERS = itertools.count(1)

LOCATIONS = [{"time": t, "x": t * t} for t in range(0, 60, 10)]


@dataclass(frozen=True)
class RobotLocation:
    time: int
    x: int


@dataclass(frozen=True)
class RobotLocationNextStep:
    time: int
    x: int


@dataclass
class RobotSpeed:
    time: int
    speed: float


def calculate_robot_speed(
    prev_location: RobotLocation,
    next_locations: Mapping[RobotLocation, List[RobotLocationNextStep]],  # noqa: UP006
) -> RobotSpeed:
    (after,) = next_locations[prev_location]
    return RobotSpeed(prev_location.time, (after.x - prev_location.x) / 10)


SPEEDS = [{"time": t, "speed": 2.0 * t + 10} for t in range(0, 50, 10)]


class Topics:
    """Topics that no other test has."""

    def __init__(self, url: str, folder: Any) -> None:
        self.url, self.folder = url, folder
        self.name = f"mill{os.getpid()}x{next(NUMBERS)}"
        self.kafka = KafkaBroker(bootstrap=url, create_topics=True)

    def send(self, records: list[dict[str, Any]], *, end: bool = True) -> None:
        output = self.kafka.output(f"{self.name}.locations", end_of_stream=end)
        run(ListInput(values=records), output, name=f"{self.name}-send")

    def received(self) -> list[Any]:
        out = ListOutput()
        run(self.kafka.input(f"{self.name}.speed"), out, name=f"{self.name}-received")
        return out.values

    def mill(self, function: Any = calculate_robot_speed, **options: Any) -> WaterMill:
        locations = f"{self.name}.locations"
        broker = KafkaMessageBroker(
            topic_names={
                RobotLocation: locations,
                RobotLocationNextStep: locations,
                RobotSpeed: f"{self.name}.speed",
            },
            kafka_url=self.url,
            consumer_group_name=self.name,
            data_timeout=60_000,
        )
        return WaterMill(broker, function, state=self.folder, **options)


JOINED = join_streams(
    RobotLocation,
    JoinWith(
        with_type=RobotLocationNextStep,
        left_expression=get_field("time") + 10,
        right_expression=get_field("time"),
    ),
)


@pytest.fixture
def topics(kafka_server, tmp_path):
    return Topics(kafka_server.url(), tmp_path / "state")


def test_the_speeds_of_the_document_are_in_their_topic_with_a_mark_at_its_end(topics):
    topics.send(LOCATIONS)
    report = topics.mill(join_tree=JOINED).run()
    assert report.ok
    assert topics.received() == SPEEDS  # which ends at the mark that the mill has put there


def test_a_mill_that_is_started_again_goes_on_where_it_was(topics):
    """And nothing is calculated twice."""
    called: list[int] = []

    def fails_once(location: RobotLocation) -> RobotSpeed:
        called.append(location.time)
        if called == [0, 10, 20]:
            raise OSError("the service crashes")
        return RobotSpeed(location.time, 0.0)

    topics.send(LOCATIONS)
    with pytest.raises(OSError, match="the service crashes"):
        topics.mill(fails_once, stream_cls=RobotLocation).run()
    topics.mill(fails_once, stream_cls=RobotLocation).run()
    assert [one["time"] for one in topics.received()] == [0, 10, 20, 30, 40, 50]


def test_the_function_may_end_the_stream(topics):
    def until_ten(location: RobotLocation) -> RobotSpeed | EndOfStream:
        return EndOfStream() if location.time > 10 else RobotSpeed(location.time, 1.0)

    topics.send(LOCATIONS)
    topics.mill(until_ten, stream_cls=RobotLocation).run()
    assert [one["time"] for one in topics.received()] == [0, 10]
