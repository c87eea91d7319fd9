"""What counts as kept."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque

from penstock_testkit.measuring import FEW, MANY, ROOM, grows, peak


def cycles() -> None:
    """Some that are held for a while, as the failures of a batch are, and then wait."""
    held = deque(maxlen=500)
    for _ in range(20_000):
        one = [None] * 100
        one[0] = one
        held.append(one)


def test_what_only_waits_for_the_collector_is_not_counted():
    most = 4_500_000  # 500 of them are 0.4 MB, all are 17
    gc.collect()
    gc.disable()
    tracemalloc.start()
    cycles()
    waiting = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.enable()
    assert waiting > most, "without the collector it would be far more"
    assert peak(cycles) < most


def test_what_is_kept_is_counted():
    small, large = grows(lambda: [b"." * 1000] * FEW, lambda: [b"." * n for n in range(MANY)])
    assert large - small > ROOM


def names_that_come_and_go() -> None:
    """As pathlib notes the parts of a path."""
    for number in range(MANY):
        sys.intern(f"a name {number}")


def test_the_table_of_names_is_not_counted():
    tracemalloc.start()
    for _ in range(30):
        names_that_come_and_go()
    jumps = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert jumps > 100_000, "it has grown at least once in that time"
    assert [most for _ in range(20) if (most := peak(names_that_come_and_go)) > 100_000] == []


def test_the_collector_is_as_it_was_after_it():
    before = gc.get_threshold()
    peak(list)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
