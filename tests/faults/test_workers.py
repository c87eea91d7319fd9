"""What workers make together, under kills: what one process makes, whoever had the partition when,
and with whatever the stages held when it moved."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from faults.certificates import Wrong
from faults.oracle import Verdict
from faults.windows import KEYED, Herd, InFolder, OnKafka

from penstock_testkit.servers import Kafka

REAL = pytest.mark.needs_real_kafka("say in what the guarantees claim")
KILL, LEAVE = signal.SIGKILL, signal.SIGTERM
LEAVES_BEHIND = "leaves the states behind"
WHERE = {InFolder: "a stream in a folder", OnKafka: "a topic of Kafka"}
LONG = os.environ.get("PENSTOCK_FAULTS") == "long"


@pytest.fixture
def herd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Herd]]:
    made: list[Herd] = []

    def make(kind: type[Herd], name: str, **options: Any) -> Herd:
        options["seed"] = len(made)
        if kind is OnKafka:
            options["url"] = request.getfixturevalue("kafka_server").url()
            name = f"{name}.{time.time_ns()}"
        made.append(kind(tmp_path, name, **options))
        return made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.stop()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        (InFolder, "inline"),
        (InFolder, "threads"),
        pytest.param(OnKafka, "inline", marks=REAL),
    ],
)
def test_a_state_goes_where_its_partition_goes_when_workers_are_killed(
    herd: Callable[..., Herd],
    certify: Callable[..., None],
    long: bool,
    kind: type[Herd],
    engine: str,
) -> None:
    one = herd(kind, "shop", engine=engine)
    kills, right = harassed(one, 60 if long else 6)
    assert right == Verdict(), one.messages()
    naive = herd(kind, "naive", engine=engine, variant=LEAVES_BEHIND)
    tried, wrong = harassed(naive, 3)
    assert wrong.lost
    assert wrong.repeated
    print(f"{one.fed:,} records")
    certify(
        "workers killed",
        f"windows of {WHERE[kind]}, a group of three to four",
        kills,
        right,
        engine=engine,
        wrong=Wrong(LEAVES_BEHIND, tried, wrong),
    )


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", [InFolder, OnKafka] if LONG else [InFolder])
def test_every_state_of_a_partition_goes_where_it_goes(
    herd: Callable[..., Herd], certify: Callable[..., None], long: bool, kind: type[Herd]
) -> None:
    """Groups, keys, samples and packs at once, in four branches that end in one stream. Checkpoints
    hold every key there was, so there are fewer where many kills take long."""
    rate = {InFolder: 1000, OnKafka: 200}[kind]
    one = herd(kind, "keyed", work=KEYED)
    kills, right = harassed(one, 60 if long else 4, rate)
    assert right == Verdict(), one.messages()
    naive = herd(kind, "naive", work=KEYED, variant=LEAVES_BEHIND)
    tried, wrong = harassed(naive, 2, rate)
    assert wrong.lost
    assert wrong.repeated
    print(f"{one.fed:,} records")
    certify(
        "workers killed",
        f"groups, keys, samples and packs of {WHERE[kind]}, a group of three to four",
        kills,
        right,
        wrong=Wrong(LEAVES_BEHIND, tried, wrong),
    )


def harassed(one: Herd, kills: int, rate: int = 2000) -> tuple[int, Verdict]:
    """How often workers were killed, while others came and left, or slept for so long that Kafka
    gives their partitions away, and what they have made of it."""

    def come_and_go(_: int) -> None:
        if 4 in one.processes:
            one.stall(4, 2.5)
            one.strike(4, LEAVE)
        else:
            one.start(4)

    feeding = one.feed(rate)
    done = one.harass(
        3,
        lambda n: n >= kills,
        pause=(0.1, 1.0),
        how=(KILL,),
        between=come_and_go,
        count=lambda: one.made,
    )
    feeding.join()
    assert set(one.finish(120)) == {0}, one.messages()
    return done, one.verdict()


@pytest.mark.timeout(300)
def test_workers_outlive_a_cluster_that_is_away_for_a_while(
    herd: Callable[..., Herd], kafka_server: Kafka
) -> None:
    """The one that is at work tries again by itself, the one that is killed meanwhile is started
    again by the command."""
    kafka_server.own()
    one = cast(OnKafka, herd(OnKafka, "away"))
    one.click(2000)
    command = one.command(2)
    one.wait_for(lambda: one.made)
    one.disconnect()
    kafka_server.stop(kafka_server.crashed_by)
    os.kill(children(command.pid)[0], KILL)
    one.wait_for(lambda: "found no connection; starting it again" in one.messages())
    kafka_server.start()
    one.connect()
    one.click(2000)
    one.end()
    assert one.finish(200) == [0], one.messages()
    assert one.verdict() == Verdict()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
