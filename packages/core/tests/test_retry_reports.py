"""What a retry tells: its report, its checkpoint, and what the run before had counted."""

from __future__ import annotations

from typing import Any

from penstock import Checkpoint, MemoryStore, Transformer
from penstock.build import pipeline_of
from penstock.hookspecs import hookimpl
from penstock.plugins import Plugins
from penstock.retries import RetryRun, choose, retry
from penstock.testing import FakeClock, ListInput, ListOutput

RECORDS = list(range(1, 31))


class Picky(Transformer):
    """Refuses what ends in these digits, until it is mended."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused

    def transform(self, record: int) -> int:
        if record % 10 in self.refused:
            raise ValueError(f"{record % 10}")
        return record


def retried(store: MemoryStore, *refused: int, clock: Any = None, **plugins: Any) -> RetryRun:
    """A run in which 3, 13 and 23 fail, and a retry of them, ready to execute."""
    pipeline = pipeline_of(
        [[ListInput(values=RECORDS), Picky(3), ListOutput()]], Plugins(discover=False)
    )
    run = pipeline.start(store=store, clock=clock)
    run.failures.breaker = False
    run.execute()
    mended = pipeline_of(
        [[ListInput(values=RECORDS), Picky(*refused), ListOutput()]], Plugins(discover=False)
    )
    for name, plugin in plugins.items():
        mended.plugins.register(plugin, name)
    graph = mended.graph()
    chosen = choose(store.letters(), graph, store.checkpoint("pipeline"))
    found = retry(mended, chosen.letters, store, graph=graph)
    found.clock = clock or found.clock
    return found


def test_plugins_are_told_of_the_checkpoint_of_a_retry() -> None:
    told = []

    class Hears:
        @hookimpl
        def penstock_checkpoint_saved(self, run: Any, checkpoint: Checkpoint) -> None:
            told.append((checkpoint.run_id == run.run_id, checkpoint.epoch))

    store = MemoryStore()
    run = retried(store, hears=Hears())
    report = run.execute()
    assert told[-1] == (True, report.epochs)


def test_the_report_of_a_retry_has_the_positions_of_the_run_before() -> None:
    store = MemoryStore()
    report = retried(store).execute()
    assert report.positions == {"list": 30}
    assert store.checkpoint("pipeline").positions == {"list": 30}  # type: ignore[union-attr]


def test_a_retry_can_be_limited_as_any_run() -> None:
    run = retried(MemoryStore())
    run.max_seconds = 3600
    assert run.execute().error is None
    assert run.mended == 3


def test_letters_of_the_very_moment_in_which_a_run_began_are_those_of_that_run() -> None:
    """A clock may stand still for as long: what the run has counted is taken back all the same."""
    store = MemoryStore()
    run = retried(store, clock=FakeClock())
    assert run.execute().error is None
    counts = store.checkpoint("pipeline").counts["picky"]  # type: ignore[union-attr]
    assert (counts["received"], counts["failed"], counts["dead"]) == (30, 0, 0)
    assert counts.get("added", 0) == 0


def test_counts_of_a_node_that_had_none_begin_at_nothing() -> None:
    """The stage may be new: the run before has counted nothing there."""
    store = MemoryStore()
    run = retried(store)
    counts = store._checkpoints["pipeline"].counts  # type: ignore[attr-defined]
    counts["picky"].clear()
    assert run.execute().error is None
    kept = store.checkpoint("pipeline").counts["picky"]  # type: ignore[union-attr]
    assert (kept["failed"], kept["dead"]) == (-3, -3)
