"""Start a run again when what ended it may be over soon: a busy server, a lost connection.

Components try single records and batches again by themselves; this is for what outlasts them. Each
start has fresh components and goes on from the last checkpoint.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from .claims import claim
from .errors import ConnectError, TransientError
from .schedule import Clock, SystemClock
from .steps import pause

if TYPE_CHECKING:
    from .build import Pipeline
    from .journal import Report
    from .runs import Display, Run
    from .store import Checkpoint, Store

__all__ = ["RESTARTS", "passing", "supervise"]

RESTARTS = 5
"""How often in a row a run is started again without coming any further."""

_FIRST_PAUSE = 1.0
_NAP = 0.2


def passing(error: BaseException | None, store: Store, *, progressed: bool) -> bool:
    """Whether what ended a run may be over soon. A connection that fails before anything was done
    is a mistake that somebody has to mend; later, it is an accident."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may be its own cause
        seen.add(id(error))
        if isinstance(error, TransientError):
            return True
        if isinstance(error, ConnectError) and progressed:
            return error.where != str(getattr(store, "path", ""))
        error = error.__cause__
    return False


def supervise(
    pipeline: Pipeline,
    store: Store,
    *,
    clock: Clock | None = None,
    fresh: bool = False,
    reparse: bool = False,
    max_records: int | None = None,
    max_seconds: float | None = None,
    display: Display | None = None,
    restarts: int = RESTARTS,
    begins: Callable[[Run], None] = lambda run: None,
    pauses: Callable[[str], None] = lambda sentence: None,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Run, Report]:
    """Run until it ends well, or for good: the last run and its report. UsageError when the state
    is that of another pipeline of the same name.

    `begins` is told of each run before it starts, `pauses` of each pause, in a sentence; `stopped`
    says that somebody wants no more starts.
    """
    clock = clock or SystemClock()
    document = pipeline.spec.document
    if document is not None and document.path is not None:
        claim(store, pipeline.name, document.path)
    begun = clock.monotonic()
    chance = random.Random().random
    failed = 0
    progressed = False
    notes: list[str] = []
    while True:
        seconds = None if max_seconds is None else max_seconds - (clock.monotonic() - begun)
        if display is not None:
            display.report_shown = False
        run = pipeline.start(
            store=store,
            clock=clock,
            display=display,
            fresh=fresh,
            reparse=reparse,
            max_records=max_records,
            max_seconds=seconds,
        )
        run.warnings.extend(notes)
        begins(run)
        report = run.execute()
        made = _made(run, store)
        if made is not None:
            progressed, failed, fresh, reparse = True, 0, False, False
            if max_records is not None:
                max_records -= _read(run, made)
        failed += 1
        if failed > restarts or stopped() or not passing(run.error, store, progressed=progressed):
            return run, report
        delay = pause(failed, _FIRST_PAUSE, chance)
        notes.append(f"started again after: {report.error}")
        pauses(
            f"{report.error}; starting again from the last checkpoint in {delay:.1f} s "
            f"({failed} of {restarts})"
        )
        if not _wait(clock, delay, stopped):
            return run, report


def _made(run: Run, store: Store) -> Checkpoint | None:
    """The last checkpoint, if this run has made it."""
    checkpoint = store.checkpoint(run.pipeline)
    return checkpoint if checkpoint is not None and checkpoint.run_id == run.run_id else None


def _read(run: Run, made: Checkpoint) -> int:
    counts = [made.counts.get(node.name, {}) for node in run.inputs]
    read: int = sum(one.get("sent", 0) + one.get("failed", 0) for one in counts)
    return read - run.resumed_at


def _wait(clock: Clock, seconds: float, stopped: Callable[[], bool]) -> bool:
    """Wait, unless somebody wants no more; whether it was waited to the end."""
    until = clock.monotonic() + seconds
    while not stopped():
        left = until - clock.monotonic()
        if left <= 0:
            return True
        clock.sleep(min(_NAP, left))
    return False
