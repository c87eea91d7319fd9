"""The rules for schedulers."""

from __future__ import annotations

import itertools

import pytest

from penstock import Scheduler
from penstock.testing import FakeClock

from ..rules import Suite

__all__ = ["SchedulerSuite"]


class SchedulerSuite(Suite):
    """An author gives the fixture `scheduler`: the scheduler."""

    few = 20

    @pytest.fixture
    def scheduler(self) -> Scheduler:
        raise NotImplementedError("give the fixture `scheduler`")

    def test_ticks_are_numbered_from_one(self, scheduler: Scheduler) -> None:
        """The ticks are numbered 1, 2, 3 …"""
        ticks = list(itertools.islice(scheduler.ticks(FakeClock()), self.few))
        numbers = [tick.number for tick in ticks]
        assert numbers, "there was no tick"
        assert numbers == list(range(1, len(numbers) + 1)), f"they were numbered {numbers}"

    def test_a_tick_comes_when_it_is_due(self, scheduler: Scheduler) -> None:
        """No tick is given before it is due, and none is due before the one that came first. The
        given clock is the only one that is asked and slept on."""
        clock = FakeClock()
        last = 0.0
        for tick in itertools.islice(scheduler.ticks(clock), self.few):
            assert tick.due <= clock.now(), (
                f"tick {tick.number} came {tick.due - clock.now()} s early"
            )
            assert tick.due >= last, f"tick {tick.number} was due before the one before it"
            last = tick.due

    def test_asked_again_it_begins_anew(self, scheduler: Scheduler) -> None:
        """Each call of `ticks` begins at its clock's time, whatever an earlier one has given."""
        first = [t[:] for t in itertools.islice(scheduler.ticks(FakeClock(5e8)), self.few)]
        again = [t[:] for t in itertools.islice(scheduler.ticks(FakeClock(5e8)), self.few)]
        assert again == first, f"first it gave {first[:3]} …, then {again[:3]} …"
