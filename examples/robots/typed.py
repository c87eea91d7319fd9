"""The same as the pipeline files, as a function: its signature says what is joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock import Broker, Output, run
from penstock_streams import Window, With, alias, field, join, pipe


@dataclass(frozen=True)
class Position:
    robot: str
    time: int
    x: int
    y: int


Later = alias(Position, "Later")


@dataclass
class Minute:
    robot: str
    start: int
    end: int
    steps: int
    metres: float
    fastest: float


def minute(positions: list[Position], later: Mapping[Position, list[Later]]) -> Minute:
    first = positions[0]
    ways = [metres(one, after) for one in positions for after in later[one]]
    start = first.time // 60 * 60
    return Minute(first.robot, start, start + 60, len(ways), sum(ways), max(ways) / 10)


def metres(one: Position, after: Position) -> float:
    return float(((after.x - one.x) ** 2 + (after.y - one.y) ** 2) ** 0.5)


def run_typed(broker: Broker, stream: str, output: Output) -> None:
    """Read the positions of one robot, and write its minutes."""
    positions = {kind: broker.input(stream) for kind in (Position, Later)}
    steps = join(Position, With(Later, left=field("time") + 10, right=field("time")))
    window = Window(kind="change", key=field("time") // 60)
    run(*pipe(minute, positions, join=steps, window=window), output, name=f"typed-{stream}")
