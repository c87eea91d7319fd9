"""A consumer group from one topic to another, under kills, restarts of the broker and a storm of
members that come and go: what goes in comes out, once and in order, for all who wait for commits."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.certificates import Wrong
from faults.members import Fleet, compared
from faults.oracle import Verdict

from penstock_testkit.servers import Kafka

KILL, LEAVE = signal.SIGKILL, signal.SIGTERM


@pytest.fixture
def fleet(kafka_server: Kafka, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    made: list[Fleet] = []

    def make(name: str, **options: object) -> Fleet:
        name = f"{name}.{time.time_ns()}"
        one = Fleet(kafka_server.url(), name, tmp_path, seed=len(made), **options)  # type: ignore[arg-type]
        made.append(one)
        return one

    try:
        yield make
    finally:
        for one in made:
            one.stop()


@pytest.mark.holds("replayable", "transactional")
@pytest.mark.timeout(300)
# The client library leaves a socket open each time it finds no broker.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_goes_in_comes_out_once_when_members_are_killed(
    fleet: Callable[..., Fleet], kafka_server: Kafka, certify: Callable[..., None], long: bool
) -> None:
    """And without transactions, something comes again: the kills are as good as what they find."""
    one = fleet("kills", transactions=True)
    kills = 60 if long else 10

    def restart(strikes: int) -> None:
        if long and strikes % 20 == 0:
            kafka_server.own()
            kafka_server.stop(kafka_server.crashed_by)
            kafka_server.start()

    feeding = one.feed(1000, 100_000 if long else None)
    seen, watching = one.watch()
    kills = one.harass(
        3,
        lambda n: n >= kills and not (long and feeding.is_alive()),
        pause=(0.3, 1.5),
        how=(KILL,),
        between=restart,
    )
    feeding.join()
    came = one.settle(seen, 240 if long else 90)
    one.stop()
    watching.join()
    found = compared(one.sent, seen)
    print(f"{kills} kills, {one.sent.count} messages: {found}")
    assert came, one.messages()
    assert found == Verdict()
    caught = without_transactions(fleet("naive", transactions=False))
    what = f"a topic of Kafka to another, a group of three, {'brokers killed, ' if long else ''}"
    certify("kill -9", f"{what}{one.sent.count:,} messages", kills, found, wrong=caught)


def without_transactions(one: Fleet) -> Wrong:
    """Nothing is lost, and something is repeated."""
    feeding = one.feed(1000)
    seen, watching = one.watch()
    end = time.monotonic() + 90
    kills = one.harass(
        3,
        lambda n: compared(one.sent, seen).repeated > 0 or time.monotonic() > end,
        pause=(0.3, 1.5),
        how=(KILL,),
    )
    feeding.join()
    came = one.settle(seen, 60)
    time.sleep(1.0)
    one.stop()
    watching.join()
    found = compared(one.sent, seen)
    assert came
    assert found.lost == 0
    assert found.repeated > 0
    return Wrong("no transactions", kills, found)


@pytest.mark.timeout(300)
def test_a_storm_of_members_loses_and_repeats_nothing(
    fleet: Callable[..., Fleet], long: bool
) -> None:
    one = fleet("storm", transactions=True)
    end = time.monotonic() + (120 if long else 15)
    feeding = one.feed(1000)
    seen, watching = one.watch()
    strikes = one.harass(
        4, lambda _: time.monotonic() > end, pause=(0.1, 1.0), how=(KILL, LEAVE, LEAVE)
    )
    feeding.join()
    came = one.settle(seen, 90)
    one.stop()
    watching.join()
    found = compared(one.sent, seen)
    print(f"{strikes} members have gone, {one.sent.count} messages: {found}")
    assert came, one.messages()
    assert found == Verdict()
