"""Ctrl-C and SIGTERM during a run: the first one drains it, the second one ends it at once. An
epoch that cannot be finished within the grace is given up."""

from __future__ import annotations

import os
import signal
from typing import Any

from ..runs import Run

__all__ = ["GRACE", "Draining"]

GRACE = 30.0
"""Seconds in which a run that was asked to stop may finish its epoch."""

_AGAIN = 1.0  # an exception raised inside a destructor is swallowed, so it is raised again


class Draining:
    """While entered, a signal stops `run` after what it has read; `received` says which one."""

    def __init__(self, run: Run | None = None, grace: float = GRACE) -> None:
        self.run = run
        self.grace = grace
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def attend(self, run: Run) -> None:
        """From now on it is this run that is drained."""
        self.run = run
        if self.received is not None:
            run.stop("interrupted")

    def __enter__(self) -> Draining:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        if hasattr(signal, "setitimer"):  # not on Windows, where an epoch is always finished
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        if self.received is not None:
            # Threads may hang in a client; nothing but leaving at once keeps the promise.
            os.write(2, b"penstock: stopped at once\n")
            os._exit(128 + number)
        self.received = number
        os.write(2, b"penstock: finishing what was read; once more to stop at once\n")
        if hasattr(signal, "setitimer"):
            # Never 0, which would switch the timer off.
            signal.setitimer(signal.ITIMER_REAL, max(self.grace, 0.001), _AGAIN)
        if self.run is not None:
            self.run.stop("interrupted")

    def _give_up(self, number: int, _: object) -> None:
        if self.run is not None:
            self.run.abort(f"it was not finished within {self.grace:g} s")
