"""How much memory something takes, and how quick it is."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["FEW", "MANY", "ROOM", "grows", "peak", "rate"]

FEW, MANY = 1_000, 5_000
"""Records of a short and of a long stream, which must need about the same memory."""
ROOM = 500_000
"""Bytes that a long stream may need above a short one. Records kept would need several times it."""
_JUMP = 30_000
_NAMES = 100_000


def peak(work: Callable[[], object]) -> int:
    """The most bytes that were in use while it worked, above those at its beginning."""
    with _eager_collector():
        _make_room_for_names()
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@contextmanager
def _eager_collector() -> Iterator[None]:
    """Nothing waits long for the collector of cycles, as failures with their tracebacks are: what
    waits is not kept, and how long it does differs with the version of Python."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is here already needs not be looked at each time
    gc.set_threshold(500, 2, 2)
    gc.collect()
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _make_room_for_names() -> None:
    """Python's table of names, in which pathlib notes each part of a path, grows by half a megabyte
    or more at once when many names have come and gone. Let it grow now, so that it has room for
    those of the work."""
    tracemalloc.start()
    try:
        for number in range(_NAMES):
            sys.intern(f"nothing is named {number}")
            if number % 100 == 0 and tracemalloc.get_traced_memory()[0] > _JUMP:
                break
    finally:
        tracemalloc.stop()


def grows(few: Callable[[], object], many: Callable[[], object]) -> tuple[int, int]:
    """The peaks of a short and of a long stream. The short one is worked on twice, since what is
    imported and cached at the first time is no part of it."""
    few()
    return peak(few), peak(many)


def rate(work: Callable[[], int]) -> float:
    """Records per second; `work` says how many there were."""
    start = time.perf_counter()
    count = work()
    return count / max(time.perf_counter() - start, 1e-9)
