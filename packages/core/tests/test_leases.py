"""A pipeline has one run at a time: its lease, how long it is good, and who gives it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import pytest

from penstock import MemoryStore, RunError
from penstock.build import pipeline_of
from penstock.delivery import LEASE_SECONDS, Delivery
from penstock.holder import this_process
from penstock.plugins import Plugins
from penstock.runs import Run
from penstock.store import FencedError, LeaseTakenError
from penstock.testing import FakeClock, ListInput, ListOutput, Raise


class Told(MemoryStore):
    """Says what is done to leases and attempts."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def renew(self, pipeline: str, generation: int, until: float) -> None:
        super().renew(pipeline, generation, until)
        self.told.append(f"renew until {until:g}")

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        places = list(places)
        super().withdraw(pipeline, generation, places)
        self.told.append(f"withdraw {places}")

    def release(self, pipeline: str, generation: int) -> None:
        super().release(pipeline, generation)
        self.told.append(f"release {generation}")


def delivery(store: MemoryStore, clock: FakeClock) -> Delivery:
    made = Delivery("p", "r", store, clock, {})
    made.lease()
    return made


def run(store: MemoryStore, *values: Any, **options: Any) -> Run:
    pipes = [[ListInput(values=list(values)), ListOutput()]]
    return pipeline_of(pipes, Plugins(discover=False)).start(store=store, **options)


def test_a_lease_is_good_for_a_minute_and_renewed_every_quarter_of_it() -> None:
    store, clock = Told(), FakeClock(1000.0)
    made = delivery(store, clock)
    assert (LEASE_SECONDS, made.generation) == (60.0, 1)
    assert store.holder("p") == (this_process(), 1060.0)
    for moment in (1001.0, 1015.9, 1016.0, 1030.9, 1031.0, 1032.0):
        clock.time = moment
        made.renew()
    assert store.told == ["renew until 1061", "renew until 1076", "renew until 1091"]


def test_who_was_overtaken_learns_it_with_the_next_renewal() -> None:
    store, clock = MemoryStore(), FakeClock(1000.0)
    made = delivery(store, clock)
    made.renew()
    store.lease("p", "another", 2000.0, 2060.0, lambda _: False)
    clock.time += 14
    made.renew()
    clock.time += 1
    with pytest.raises(FencedError):
        made.renew()


def test_what_was_tried_is_taken_back_before_the_lease_is_given_back() -> None:
    store = Told()
    made = delivery(store, FakeClock())
    made.attempt("epoch after 0")
    assert store.attempts("p") == {"epoch after 0": 1}
    made.release()
    assert store.told == ["withdraw ['epoch after 0']", "release 1"]
    assert store.attempts("p") == {}
    assert store.holder("p") is None


def test_a_run_that_ends_gives_its_lease_back_however_it_ends() -> None:
    for values in ([1, 2], [1, Raise(OSError("gone"))]):
        store = MemoryStore()
        report = run(store, *values).execute()
        assert report.warnings == []
        assert store.holder("pipeline") is None
        assert store.attempts("pipeline") == {}


def test_a_run_that_gets_no_lease_leaves_that_of_the_other() -> None:
    store = Told()
    store.lease("pipeline", this_process(), 1.0, 2.0, lambda _: False)
    refused = run(store, 1)
    report = refused.execute()
    assert isinstance(refused.error, LeaseTakenError)
    assert report.warnings == []
    assert (store.told, store.holder("pipeline")) == ([], (this_process(), 2.0))


def test_a_run_that_was_overtaken_while_it_opened_cuts_nothing_back() -> None:
    """It may have waited long for its components: what is there belongs to who came meanwhile."""

    class Slow(ListOutput):
        delivery = "rewindable"
        cut: ClassVar[list[Any]] = []
        overtaken = False

        def open(self, context: Any) -> None:
            super().open(context)
            if self.overtaken:
                store.lease("pipeline", "another", 1e12, 2e12, lambda _: False)

        def resume(self, mark: Any, epoch: int) -> None:
            self.cut.append(mark)

    store = MemoryStore()
    for overtaken in (False, True):
        out = Slow()
        out.overtaken = overtaken
        pipes = [[ListInput(values=[1]), out]]
        late = pipeline_of(pipes, Plugins(discover=False)).start(store=store)
        late.execute()
        assert isinstance(late.error, FencedError) is overtaken
        assert out.values == [1] * (not overtaken)
        assert Slow.cut == [None]


def test_several_tables_without_a_folder_are_told() -> None:
    made = delivery(MemoryStore(), FakeClock())
    with pytest.raises(RunError) as caught:
        made._make_spool()
    assert str(caught.value) == (
        "p: several transactional outputs need a state folder to agree; give the run a store with "
        "a folder"
    )
