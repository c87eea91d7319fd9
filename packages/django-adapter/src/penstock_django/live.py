"""Runs that are under way: each says every second how far it is, and the admin shows it.

It is said on a connection of its own, as the run's own transaction shows nothing until it ends.
SQLite has one writer at a time: there it is said in a file beside the project, which is on the same
machine anyway.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, connections

from penstock.holder import alive, this_process
from penstock.journal import Report, balance_of

from .batches import CHUNKS, settle

if TYPE_CHECKING:
    from penstock.runs import Run

__all__ = ["LIVES", "is_alive", "shown_live", "state_folder", "status_of", "under_way"]

EVERY = 1.0
"""Seconds between two times that a run says how far it is."""

LIVES = 60.0
"""A run on another machine that has said nothing for so many seconds is taken for dead."""

Items = Callable[[], Mapping[str, int]]
"""How many items are `done`, and how many there are in `total`; nothing where no items are run."""


def state_folder() -> Path:
    """Where what no database keeps stands: PENSTOCK_STATE, or .penstock in BASE_DIR."""
    base = Path(getattr(settings, "BASE_DIR", "."))
    return Path(getattr(settings, "PENSTOCK_STATE", base / ".penstock"))


# ---- the side of the run ------------------------------------------------------------------------


@contextmanager
def shown_live(run: Run, using: str = "default", items: Items = dict) -> Iterator[None]:
    """Say how far a run is, every second until the block ends; nothing of one that is shorter."""
    over = Event()
    teller = Thread(target=_tell, args=(run, using, items, over), name="penstock live", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(run: Run, using: str, items: Items, over: Event) -> None:
    """On a thread of its own, and so on a connection of its own."""
    begun = monotonic()
    if over.wait(EVERY):
        return
    file = _file_of(run.run_id) if connections[using].vendor == "sqlite" else None
    try:
        # Showing is a courtesy: where it fails, the run goes on without.
        while True:
            with suppress(DatabaseError, OSError):
                _say({**_report_of(run, monotonic() - begun), **items()}, using, file)
            if over.wait(EVERY):
                break
        with suppress(DatabaseError, OSError):
            _leave(run.run_id, using, file)
    finally:
        connections[using].close()


def _report_of(run: Run, seconds: float) -> dict[str, Any]:
    """The report of a run that goes on meanwhile."""
    nodes = [node.report() for node in list(run.nodes.values())]
    return Report(
        pipeline=run.pipeline,
        run_id=run.run_id,
        status="running",
        engine=run.engine_name,
        started=run.started,
        seconds=seconds,
        epochs=run.epochs,
        nodes=nodes,
        balance=balance_of(nodes, run.graph.edges, ended=False),
        letters=run.failures.letters,
        config_hash=run.config_hash,
    ).to_dict()


def _say(report: Mapping[str, Any], using: str, file: Path | None) -> None:
    if file is None:
        _say_in_table(report, using)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    whole = file.with_suffix(".new")
    said = {"report": report, "holder": this_process(), "told": time()}
    whole.write_text(json.dumps(said, default=str), encoding="utf-8")
    os.replace(whole, file)  # whoever reads sees one or the other, never a half


def _say_in_table(report: Mapping[str, Any], using: str) -> None:
    """A report that was kept because the run has just ended is not overwritten."""
    from .models import RunReport
    from .store import row_of

    objects, values = RunReport.objects.using(using), row_of(report)
    run_id = report["run_id"]
    if not objects.filter(run_id=run_id, status="running").update(**values):
        objects.get_or_create(run_id=run_id, defaults=values)


def _leave(run_id: str, using: str, file: Path | None) -> None:
    """Nobody says anything of this run any more; its last report is kept by whoever runs it."""
    if file is not None:
        file.unlink(missing_ok=True)
        return
    from .models import RunReport

    RunReport.objects.using(using).filter(run_id=run_id, status="running").update(holder="")


def _file_of(run_id: str) -> Path:
    name = hashlib.sha256(run_id.encode()).hexdigest()[:32]
    return state_folder() / "live" / f"{name}.json"


# ---- the side of the page -----------------------------------------------------------------------


def under_way() -> list[dict[str, Any]]:
    """The reports of the runs that are under way, newest first, as far as they have said."""
    from .models import RunReport

    settle()
    running = RunReport.objects.filter(status="running")
    found = {
        row.run_id: json.loads(row.report) for row in running if is_alive(row.holder, row.told)
    }
    for file in state_folder().glob("live/*.json"):
        with suppress(OSError, ValueError, KeyError):  # it may just have ended
            said = json.loads(file.read_text(encoding="utf-8"))
            run_id = said["report"]["run_id"]
            ended = RunReport.objects.filter(run_id=run_id).exclude(status="running").exists()
            if is_alive(said["holder"], said["told"]) and not ended:
                found[run_id] = said["report"]
    return sorted(found.values(), key=lambda one: float(one["started"]), reverse=True)


def status_of(run: Any) -> str:
    """The status in a row of a run; one that died could not say so itself."""
    dead = run.status == "running" and not is_alive(run.holder, run.told)
    return "cut off" if dead else str(run.status)


def is_alive(holder: str, told: float) -> bool:
    """Whether a run that has said so last is still under way. One in chunks waits for workers."""
    if holder == CHUNKS:
        return True
    lives = alive(holder)
    return told > time() - LIVES if lives is None else lives
