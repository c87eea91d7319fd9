"""What `penstock check` promises of each pair, tried at every durable step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from parties import KINDS, Disk, Fate, Killed, MortalStore

from penstock import Batch, Input
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.runs import Run
from penstock_shape.dedupe import Dedupe

ALL = [(n,) for n in range(1, 31)]
PLUGINS = Plugins(discover=False)
SIZE, EPOCH = 3, 6


class Queue(Input):
    """A broker: gives what was not confirmed, again and in order, numbered from one."""

    capability = "redelivering"
    finite = False

    def __init__(self, messages: list[Any], fate: Fate) -> None:
        self.messages, self.fate = messages, fate

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        given = list(self.messages)
        for start in range(0, len(given), SIZE):
            part = given[start : start + SIZE]
            yield Batch(part, "", range(start + 1, start + 1 + len(part)), part[-1][0])

    def commit(self, positions: Mapping[str, Any]) -> None:
        for last in positions.values():
            self.fate()
            while self.messages and self.messages[0][0] <= last:
                self.messages.pop(0)
            self.fate()


class Live(Queue):
    """A stream: what it has given is gone."""

    capability = "ephemeral"

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        while self.messages:
            part = [self.messages.pop(0) for _ in range(min(SIZE, len(self.messages)))]
            yield Batch(part, "", range(part[0][0], part[0][0] + len(part)), part[-1][0])

    def commit(self, positions: Mapping[str, Any]) -> None:
        pass


def lives(
    kind: type[Queue], delivery: str, step: int | None, folder: Path, *, within: int | None = None
) -> tuple[Any, int, int]:
    """Die at a step, if there is one, and go on: what was written, what had been read when it died,
    and how many steps there were. With `within`, messages are compared with so many before."""
    disk, store, messages = Disk(), MortalStore(folder), list(ALL)
    fate = Fate(step)
    read = len(ALL)

    def life(fate: Fate) -> Run:
        store.fate = fate
        output = KINDS[delivery](disk, "out", fate)
        inbox = [] if within is None else [Dedupe(within=within)]
        pipeline = pipeline_of([[kind(messages, fate), *inbox, output]], PLUGINS)
        pipeline.spec.epoch = {"records": EPOCH}
        run = pipeline.start(store=store)
        run.execute()
        assert run.error is None, run.error
        return run

    try:
        life(fate)
    except Killed:
        read -= len(messages)
        store.let_go()
        last = store.checkpoint("pipeline")
        if last is None or not last.finished:  # the next one would be another run
            life(Fate())
    written = {
        "rewindable": disk.finished.get("out", []),
        "transactional": disk.tables.get("out", ([], None))[0],
        "keyed": list(disk.maps.get("out", {}).values()),
        "append": disk.logs.get("out", []),
    }[delivery]
    return written, read, fate.steps


@pytest.mark.holds("redelivering", "transactional")
@pytest.mark.holds("redelivering", "rewindable")
@pytest.mark.holds("redelivering", "keyed")
@pytest.mark.holds("redelivering", "append")
@pytest.mark.parametrize("delivery", sorted(KINDS))
def test_of_a_broker_nothing_is_lost_and_what_was_not_confirmed_may_come_again(
    delivery: str, tmp_path: Path
) -> None:
    whole, _, steps = lives(Queue, delivery, None, tmp_path)
    assert whole == ALL
    repeated = 0
    for step in range(1, steps + 1):
        written, _, _ = lives(Queue, delivery, step, tmp_path)
        assert set(written) == set(ALL)
        assert len(written) - len(ALL) <= EPOCH
        repeated += len(written) - len(ALL)
    assert (repeated == 0) == (delivery == "keyed")  # the others do repeat: it is no mere caution


@pytest.mark.parametrize("delivery", ["rewindable", "transactional"])
def test_a_message_that_is_delivered_again_is_dropped_by_its_id(
    delivery: str, tmp_path: Path
) -> None:
    """What `dedupe` has seen is in the checkpoint, and so in the transaction of the output."""
    _, _, steps = lives(Queue, delivery, None, tmp_path, within=EPOCH)
    short = 0
    for step in range(1, steps + 1):
        written, _, _ = lives(Queue, delivery, step, tmp_path, within=EPOCH)
        assert written == ALL
        written, _, _ = lives(Queue, delivery, step, tmp_path, within=1)
        short += len(written) - len(ALL)
    assert short > 0  # it has to remember as many as can come again


@pytest.mark.holds("ephemeral", "transactional")
@pytest.mark.holds("ephemeral", "rewindable")
@pytest.mark.holds("ephemeral", "keyed")
@pytest.mark.holds("ephemeral", "append")
@pytest.mark.parametrize("delivery", sorted(KINDS))
def test_of_a_stream_what_was_read_and_not_yet_written_is_lost(
    delivery: str, tmp_path: Path
) -> None:
    _, _, steps = lives(Live, delivery, None, tmp_path)
    lost = 0
    for step in range(1, steps + 1):
        written, read, _ = lives(Live, delivery, step, tmp_path)
        assert len(set(written)) == len(written)
        missing = set(ALL) - set(written)
        lost += len(missing)
        if delivery == "rewindable":
            assert missing == set(ALL[:read]) or not missing  # it begins anew
        else:
            assert missing <= set(ALL[max(0, read - EPOCH - SIZE) : read])
    assert lost
