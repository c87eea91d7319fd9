"""A checkpoint that a person has put into the store."""

from __future__ import annotations

from typing import Any

from penstock import Batch, Checkpoint, MemoryStore, TransactionalOutput
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.testing import ListInput


class Log(ListInput):
    finite = False


class Table(TransactionalOutput):
    """Keeps its rows and its checkpoint in `place`."""

    def __init__(self, place: dict[str, Any]) -> None:
        self.place = place
        self.waiting: list[int] = []

    def write(self, batch: Batch) -> None:
        self.waiting.extend(batch.records)

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.place["checkpoint"]

    def commit(self, checkpoint: Checkpoint) -> None:
        before = self.place["checkpoint"]
        assert before is None or before.epoch == checkpoint.epoch - 1
        self.place["rows"] += self.waiting
        self.place["checkpoint"] = checkpoint
        self.waiting = []


def rows_after(store: MemoryStore, place: dict[str, Any]) -> list[int]:
    pipeline = pipeline_of([[Log(values=[1, 2]), Table(place)]], Plugins(discover=False))
    assert pipeline.start(store=store).execute().error is None
    rows: list[int] = place["rows"]
    return rows


def test_it_outweighs_that_of_an_output_until_something_is_committed_there() -> None:
    place: dict[str, Any] = {"rows": [], "checkpoint": None}
    store = MemoryStore()
    rows_after(store, place)
    assert rows_after(store, place) == [1, 2]  # the log has nothing new

    generation = store.lease("pipeline", "me", 0.0, 0.0, lambda _: False)
    by_hand = Checkpoint("pipeline", "", 1, generation, ended=True, finished=True, by_hand=True)
    store.save(by_hand)
    assert rows_after(store, place) == [1, 2, 1, 2]

    # The run has died before the store heard of what the output has.
    store._checkpoints["pipeline"] = by_hand
    assert rows_after(store, place) == [1, 2, 1, 2]


def test_it_counts_where_an_output_knows_nothing() -> None:
    place: dict[str, Any] = {"rows": [], "checkpoint": None}
    store = MemoryStore()
    generation = store.lease("pipeline", "me", 0.0, 0.0, lambda _: False)
    store.save(
        Checkpoint(
            "pipeline", "", 0, generation, {"log": 1}, {"log": 1}, finished=True, by_hand=True
        )
    )
    assert rows_after(store, place) == [2]
