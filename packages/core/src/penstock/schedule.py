"""When runs happen: the clock that everything asks, ticks, and the schedulers that make them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple, Protocol, runtime_checkable

from .options import component

__all__ = ["Clock", "Once", "Scheduler", "SystemClock", "Tick"]


class Clock(Protocol):
    """The only place a pipeline asks for time, so that a test can give its own."""

    def now(self) -> float:
        """Seconds since the epoch, for people and for data."""

    def monotonic(self) -> float:
        """Seconds that never go back, for intervals."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Tick(NamedTuple):
    """One moment at which a run is due: its number from 1 and the time it was planned for."""

    number: int
    due: float


@runtime_checkable
class Scheduler(Protocol):
    """Decides when the runs of a pipeline start."""

    def ticks(self, clock: Clock) -> Iterator[Tick]:
        """Yield each time a run is due, sleeping on `clock` in between; return to end."""


@component
class Once:
    """Run now, once."""

    def ticks(self, clock: Clock) -> Iterator[Tick]:
        yield Tick(1, clock.now())
