"""A consumer group from one topic to another, under kills, restarts of the broker and a storm of
members that come and go: what goes in comes out, once and in order, for all who wait for commits."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.certificates import Wrong
from faults.documents import Documents
from faults.members import NO_TRANSACTIONS, Fleet, compared
from faults.oracle import Verdict

from penstock_testkit.servers import Kafka, MongoDB, Server, running
from penstock_testkit.servers.mongodb import Standalone

pytestmark = pytest.mark.needs_real_kafka("say in what the guarantees claim")

KILL, LEAVE = signal.SIGKILL, signal.SIGTERM
NAIVE = "inserts documents"


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
@pytest.mark.timeout(480)
def test_what_goes_in_comes_out_once_when_members_are_killed(
    fleet: Callable[..., Fleet], kafka_server: Kafka, certify: Callable[..., None], long: bool
) -> None:
    """And without transactions, something comes again: the kills are as good as what they find."""
    one = fleet("kills")
    kills = 60 if long else 10

    feeding = one.feed(1000, 100_000 if long else None)
    seen, watching = one.watch()
    kills = one.harass(
        3,
        lambda n: n >= kills and not (long and feeding.is_alive()),
        pause=(0.3, 1.5),
        how=(KILL,),
        between=lambda n: restart(kafka_server, n) if long else None,
    )
    feeding.join()
    came = one.settle(lambda: seen.count, 240 if long else 150)
    one.stop()
    watching.join()
    found = compared(one.sent, seen)
    print(f"{kills} kills, {one.sent.count} messages: {found}")
    assert came, one.messages()
    assert found == Verdict()
    caught = without_transactions(fleet("naive", output=NO_TRANSACTIONS))
    what = f"a topic of Kafka to another, a group of three, {'brokers killed, ' if long else ''}"
    certify("members killed", f"{what}{one.sent.count:,} messages", kills, found, wrong=caught)


def restart(server: Server, strikes: int) -> None:
    if strikes % 20 == 0:
        server.own()
        server.stop(server.crashed_by)
        server.start()


def without_transactions(one: Fleet) -> Wrong:
    """Killed while they work until something is repeated; nothing is lost."""
    feeding = one.feed(1000)
    seen, watching = one.watch()
    kills = one.harass(
        3,
        lambda n: compared(one.sent, seen).repeated > 0 or n >= 120,
        pause=(0.1, 0.4),
        how=(KILL,),
        count=lambda: seen.count,
    )
    feeding.join()
    # What is repeated counts once here: it must not stand for what has yet to come.
    came = one.settle(lambda: one.sent.count - compared(one.sent, seen).lost, 120)
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
    fleet: Callable[..., Fleet], certify: Callable[..., None], long: bool
) -> None:
    one = fleet("storm")
    end = time.monotonic() + (120 if long else 15)
    feeding = one.feed(1000)
    seen, watching = one.watch()
    strikes = one.harass(
        4, lambda _: time.monotonic() > end, pause=(0.1, 1.0), how=(KILL, LEAVE, LEAVE)
    )
    feeding.join()
    came = one.settle(lambda: seen.count, 90)
    one.stop()
    watching.join()
    found = compared(one.sent, seen)
    print(f"{strikes} members have gone, {one.sent.count} messages: {found}")
    assert came, one.messages()
    assert found == Verdict()
    caught = without_transactions(fleet("naive", output=NO_TRANSACTIONS)) if long else None
    what = f"a topic of Kafka to another, a group of four, {'two minutes' if long else 'a while'}"
    certify("members come and go", what, strikes, found, wrong=caught)


# ---- to MongoDB ----------------------------------------------------------------------------------


def under_kills(
    one: Fleet, documents: Documents, enough: Callable[[int], bool], **how: Any
) -> tuple[int, Verdict]:
    """How often members were killed, and what is in the collection when nothing more comes."""
    feeding = one.feed(500)
    done = one.harass(
        3, enough, pause=(0.1, 0.6), how=(KILL,), count=lambda: count(documents), **how
    )
    feeding.join()
    one.settle(lambda: count(documents), 300)
    time.sleep(2.0)  # whatever else may come
    one.stop()
    return done, judged(one, documents)


def count(documents: Documents) -> int:
    with documents.server.client() as client:
        there: int = client[documents.database][documents.name].count_documents({})
    return there


def records(documents: Documents) -> list[dict[str, Any]]:
    with documents.server.client() as client:
        return list(client[documents.database][documents.name].find())


def judged(one: Fleet, documents: Documents) -> Verdict:
    found = Counter(record["n"] for record in records(documents))
    wanted = {n for numbers in one.sent.partitions.values() for n in numbers}
    return Verdict(
        lost=len(wanted - set(found)),
        repeated=found.total() - len(found),
        torn=len(set(found) - wanted),
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [MongoDB, Standalone])
def test_there_is_one_document_for_each_message_when_members_are_killed(
    fleet: Callable[..., Fleet],
    kafka_server: Kafka,
    certify: Callable[..., None],
    long: bool,
    kind: type[MongoDB],
) -> None:
    """Whoever is given the records of one that died writes the same documents."""
    with running(kind) as server:
        server.own()
        documents = Documents(server, "faults")
        output = f'{{{{use: mongodb, uri: "{server.url()}", database: faults, collection: %s}}}}'
        one = fleet("documents", output=output % "c")

        def between(strikes: int) -> None:
            if long:
                restart(kafka_server, strikes)
                restart(server, strikes + 10)

        most = 60 if long else 5
        kills, right = under_kills(one, documents, lambda n: n >= most, between=between)
        assert right == Verdict(), one.messages()
        naive, now = fleet("inserts", output=output % "w", variant=NAIVE), documents.named("w")
        caught_or_late = lambda n: n >= 60 or judged(naive, now).repeated > 0  # noqa: E731
        tried, wrong = under_kills(naive, now, caught_or_late)
        assert wrong.repeated, naive.messages()
    caught = Wrong(NAIVE, tried, wrong)
    set_of = "replica set" if server.replica_set else "standalone"
    what = f"a topic of Kafka to MongoDB's double, {set_of}, a group of three, servers killed"
    certify("members killed", what, kills, right, wrong=caught)
