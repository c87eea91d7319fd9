"""Ctrl-C and SIGTERM during a run: the first one drains it, the second one ends it at once."""

from __future__ import annotations

import os
import signal
from typing import Any

from ..runs import Run

__all__ = ["Draining"]


class Draining:
    """While entered, a signal stops `run` after what it has read; `received` says which one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Draining:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: object) -> None:
        if self.received is not None:
            # Threads may hang in a client; nothing but leaving at once keeps the promise.
            os.write(2, b"penstock: stopped at once\n")
            os._exit(128 + number)
        self.received = number
        os.write(2, b"penstock: finishing what was read; once more to stop at once\n")
        self.run.stop("interrupted")
