"""What this package listens to. A run without a display, as in a program, is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.hookspecs import hookimpl

if TYPE_CHECKING:
    from penstock.journal import Report
    from penstock.runs import Run


@hookimpl
def penstock_run_started(run: Run) -> None:
    if run.display is not None and run.display.progress:
        from .console import watch

        watch(run)


@hookimpl
def penstock_run_finished(run: Run, report: Report) -> None:
    if run.display is not None and run.display.progress:
        from .console import finish

        finish(run, report)
