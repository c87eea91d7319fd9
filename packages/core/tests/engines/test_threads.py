"""What only the threads engine promises: bounded queues, back-pressure, a clean end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from penstock import Batch, Failure, Input, MemoryStore, Output, RecordInput, Transformer
from penstock.build import pipeline_of
from penstock.engines.threads import ThreadsEngine
from penstock.plugins import Plugins
from penstock.runs import Run
from penstock.testing import ListInput, ListOutput


def start(*components: Any, engine: ThreadsEngine) -> Run:
    pipeline = pipeline_of([list(components)], Plugins(discover=False))
    pipeline.engine = engine
    return pipeline.start()


class Counting(Input):
    """Counts the batches it has handed out."""

    def __init__(self, batches: int, records: list[Any]) -> None:
        self.batches, self.values, self.given = batches, records, 0

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        for number in range(1, self.batches + 1):
            self.given = number
            yield Batch(list(self.values), "", None, number)


class Gate(Output):
    """Writes nothing until the input has stopped, and remembers how far ahead it was by then."""

    def __init__(self, source: Counting) -> None:
        self.source, self.most_ahead, self.written = source, 0, 0

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        last = -1
        while not self.written and self.source.given != last:
            last = self.source.given
            time.sleep(0.1)
        self.written += 1
        self.most_ahead = max(self.most_ahead, self.source.given - self.written)
        return None


@pytest.mark.parametrize(
    ("engine", "records", "most"),
    [
        # what can be on its way: a full queue before each of the two nodes, a batch in each hand
        (ThreadsEngine(queue_batches=2), [1], 2 + 2 + 4),
        (ThreadsEngine(queue_batches=10_000, queue_bytes=1), [1], 1 + 1 + 4),
        (ThreadsEngine(queue_batches=10_000, queue_bytes=4096), ["x" * 5000], 1 + 1 + 4),
    ],
)
def test_a_slow_output_stops_the_reader(
    engine: ThreadsEngine, records: list[Any], most: int
) -> None:
    source = Counting(500, records)
    gate = Gate(source)
    report = start(source, gate, engine=engine).execute()

    assert report.status == "ok"
    assert gate.written == 500
    assert gate.most_ahead <= most


def test_without_bounds_the_reader_would_run_ahead() -> None:
    source = Counting(500, [1])
    gate = Gate(source)
    start(source, gate, engine=ThreadsEngine(queue_batches=10_000)).execute()

    assert gate.most_ahead > 400


def test_every_thread_is_gone_when_a_run_has_ended_well_or_not() -> None:
    class Fails(Transformer):
        def process(self, batch: Batch) -> Any:
            raise RuntimeError("torn")

    before = set(threading.enumerate())
    engine = ThreadsEngine(queue_batches=1)
    good = start(ListInput(values=list(range(5000))), ListOutput(), engine=engine).execute()
    bad = start(
        ListInput(values=list(range(5000)), batch_size=1), Fails(), ListOutput(), engine=engine
    ).execute()

    assert good.status == "ok"
    assert bad.error == "fails at list:1: RuntimeError: torn"
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("inputs", [1, 2])
def test_a_run_is_drained_while_every_reader_is_blocked(inputs: int) -> None:
    class Blocked(Input):
        def __init__(self, free: threading.Event) -> None:
            self.free = free

        def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
            yield Batch([1], "", None, 1)
            self.free.wait(60)

    class StopsLater(ListOutput):
        def write(self, batch: Batch) -> Sequence[Failure] | None:
            written = super().write(batch)
            if len(self.values) == inputs:
                threading.Timer(0.2, run.stop, ["interrupted"]).start()  # a signal, but elsewhere
            return written

    free, out = threading.Event(), StopsLater()
    pipes = [[Blocked(free), out] for _ in range(inputs)]
    run = pipeline_of(pipes, Plugins(discover=False), engine="threads").start()
    begun = time.monotonic()
    report = run.execute()
    took = time.monotonic() - begun
    free.set()

    assert report.status == "interrupted"
    assert report.error is None
    assert out.values == [1] * inputs
    assert report.epochs == 1
    assert took < 30  # the readers are blocked for 60


class Waiting(RecordInput):
    """Gives some records, then waits for more; half of a batch is in its hands by then."""

    batch_size = 4

    def __init__(self, records: Sequence[int], capability: str) -> None:
        self.values, self.capability = records, capability
        self.waits, self.free = threading.Event(), threading.Event()

    def records(self, skip: int) -> Iterator[int]:
        yield from self.values[skip:]
        self.waits.set()
        self.free.wait(60)


def interrupted(source: Waiting, out: Output, store: MemoryStore) -> Run:
    """A run that is stopped while its input waits for more."""
    pipeline = pipeline_of([[source, out]], Plugins(discover=False), engine="threads")
    run = pipeline.start(store=store)

    def stop() -> None:
        source.waits.wait(30)
        run.stop("interrupted")

    threading.Thread(target=stop).start()
    assert run.execute().status == "interrupted"
    source.free.set()
    return run


def test_what_an_input_has_in_its_hands_is_delivered_when_it_cannot_be_read_again() -> None:
    for count in range(12):
        out = ListOutput()
        run = interrupted(Waiting(range(1, count + 1), "ephemeral"), out, MemoryStore())
        assert run.error is None
        assert out.values == list(range(1, count + 1))
        assert run.ordinals.get("waiting", 0) == count


def test_what_an_input_has_in_its_hands_is_left_unread_when_it_can_be_read_again() -> None:
    for count in range(6):
        store, out = MemoryStore(), ListOutput()
        interrupted(Waiting(range(1, count + 1), "replayable"), out, store)
        first = list(out.values)
        again = Waiting(range(1, count + 1), "replayable")
        again.free.set()
        pipeline = pipeline_of([[again, out]], Plugins(discover=False), engine="threads")
        assert pipeline.start(store=store).execute().error is None
        assert first + out.values == list(range(1, count + 1))


def test_what_waits_for_a_slow_output_is_delivered_when_it_cannot_be_read_again() -> None:
    class Slow(ListOutput):
        def write(self, batch: Batch) -> Sequence[Failure] | None:
            time.sleep(0.01)
            return super().write(batch)

    out = Slow()
    interrupted(Waiting(range(1, 42), "ephemeral"), out, MemoryStore())
    assert out.values == list(range(1, 42))


def test_what_an_input_has_no_room_for_is_delivered_when_it_cannot_be_read_again() -> None:
    class Burst(Input):
        """Has many batches at once, as of one block of a file, and then waits."""

        capability = "ephemeral"

        def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
            for number in range(1, 61):
                yield Batch([number], "", [number], number)
            free.wait(60)

    class Slow(ListOutput):
        def write(self, batch: Batch) -> Sequence[Failure] | None:
            run.stopping = "interrupted"  # a signal with the first record
            time.sleep(0.005)
            return super().write(batch)

    free, out = threading.Event(), Slow()
    run = pipeline_of([[Burst(), out]], Plugins(discover=False), engine="threads").start()
    assert run.execute().status == "interrupted"
    free.set()
    assert out.values == list(range(1, 61))


@pytest.mark.parametrize("option", ["queue_batches", "queue_bytes"])
def test_bounds_must_let_something_through(option: str) -> None:
    with pytest.raises(Exception, match=f"{option}: must be at least 1, got 0"):
        ThreadsEngine(**{option: 0})
