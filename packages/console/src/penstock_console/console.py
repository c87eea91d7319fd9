"""Shows one run on standard error: watches it from a thread, and shows the report at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING

from .progress import Progress
from .report import report_lines
from .terminal import Block, Terminal
from .text import Span

if TYPE_CHECKING:
    from penstock.journal import Report
    from penstock.runs import Run

__all__ = ["Live", "Log", "Watcher", "finish", "watch"]

REDRAW_EVERY = 0.125
LINE_EVERY = 10.0
_STASH = "penstock-console"


def watch(run: Run) -> None:
    """Begin to show a run; `finish` ends it."""
    terminal = _terminal(run)
    if not terminal.works:
        return
    progress = Progress(run)
    show: Live | Log
    if terminal.can_redraw and not _prints_records_on_a_terminal(run):
        show, every = Live(run, progress, terminal), REDRAW_EVERY
    else:
        show, every = Log(progress, terminal), LINE_EVERY
    run.stash[_STASH] = watcher = Watcher(show.update, show.end, every)
    watcher.start()


def finish(run: Run, report: Report) -> None:
    """Stop showing the run, if that has begun, and show its report."""
    watcher: Watcher | None = run.stash.pop(_STASH, None)
    if watcher is not None:
        watcher.stop()
    terminal = _terminal(run)
    terminal.show(report_lines(report, terminal.size.columns if terminal.is_terminal else None))
    if run.display is not None:
        # Also when standard error is closed: the command line would write to the same place.
        run.display.report_shown = True


class Watcher:
    """Calls `update` again and again on a thread of its own, and `end` when that is over.

    A thread, because a run that shows itself batch by batch seems dead when one takes long, waits
    for a terminal that somebody has stopped, and pays with every batch.
    """

    def __init__(self, update: Callable[[], None], end: Callable[[], None], every: float) -> None:
        self._update, self._end, self._every = update, end, every
        self._over = Event()
        self._thread = Thread(target=self._watch, name="penstock-console", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._end()

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            self._update()


class Live:
    """The block on a terminal."""

    def __init__(self, run: Run, progress: Progress, terminal: Terminal) -> None:
        self.run, self.progress, self.terminal = run, progress, terminal
        self.block = Block(terminal)
        self._stopping = False

    def update(self) -> None:
        if self.run.stopping == "interrupted" and not self._stopping:
            self._stopping = True
            self.block.leave()  # the command line has said so, on the line below ours
        self.block.draw(self.progress.block(self.terminal.size.columns - 1))

    def end(self) -> None:
        self.block.erase()


class Log:
    """Plain lines where nothing can be drawn in place."""

    def __init__(self, progress: Progress, terminal: Terminal) -> None:
        self.progress, self.terminal = progress, terminal

    def update(self) -> None:
        self.terminal.show([[Span(self.progress.line())]])

    def end(self) -> None:
        """Lines stay where they are."""


def _terminal(run: Run) -> Terminal:
    color = run.display is not None and run.display.color
    return Terminal(sys.stderr, color=color, environ=os.environ)


def _prints_records_on_a_terminal(run: Run) -> bool:
    """Whether records come to the same screen; what is drawn in place would be torn by them."""
    if not Terminal(sys.stdout, color=False, environ=os.environ).is_terminal:
        return False
    return any(
        node.node.use == "print" or str(getattr(node.component, "path", "")) == "-"
        for node in run.outputs
    )
