"""Items in chunks elsewhere, shown as one run: each chunk adds what it did to the report of all.

It adds in the transaction that saves what came of its items, so the sums are those of the rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from time import time
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from penstock import Report
from penstock.journal import FailureGroup

__all__ = ["CHUNKS", "add", "begin", "name_it", "settle"]

CHUNKS = "chunks"
"""Holds a run whose chunks are elsewhere: no one process is it."""

_OWN = ("batch", "chunks", "chunks_done", "done", "total")
"""What such a report says besides: the name that the ledger has for it, its chunks, its items."""

States = Mapping[str, tuple[int, str | None]]
"""How many chunks are in a state, and the error of one of them."""


def begin(pipeline: str, items: int, chunks: int, using: str) -> str:
    """Keep a run that is under way; its id."""
    from .models import RunReport
    from .store import row_of

    run_id = f"batch-{uuid4().hex[:16]}"
    report = Report(pipeline, run_id, "running", "celery", started=time()).to_dict()
    report |= {"batch": "", "chunks": chunks, "chunks_done": 0, "done": 0, "total": items}
    row = {**row_of(report), "holder": CHUNKS}
    RunReport.objects.using(using).create(run_id=run_id, **row)
    return run_id


def name_it(run_id: str, batch: str, using: str) -> None:
    """Note what the ledger calls a run."""
    _change(run_id, using, lambda report: report.update(batch=batch))


def add(run_id: str, reports: list[Report], using: str) -> None:
    """Add what a chunk did: the last report of the run's own pipeline is that of its items, others
    are of pipelines that it depends on or triggers."""
    from .models import RunReport

    objects = RunReport.objects.using(using)
    pipeline = objects.filter(run_id=run_id).values_list("pipeline", flat=True).first()
    for report in reports:
        if report.pipeline != pipeline:
            _add_other(run_id, report, using)
    own = [report for report in reports if report.pipeline == pipeline]

    def done(kept: dict[str, Any]) -> None:
        for report in own:
            _merge(kept, report)
            kept["done"] += report.balance.read
        kept["chunks_done"] += 1
        if kept["chunks_done"] >= kept["chunks"]:
            kept["status"] = _status(kept)

    if pipeline is not None:
        _change(run_id, using, done)


def settle() -> None:
    """End the runs of which the ledger has no chunk left to do: some were given up, or their items
    are gone, and these never say so themselves."""
    from .models import RunReport

    open_ = list(RunReport.objects.filter(status="running", holder=CHUNKS))
    states_of = _ledger() if open_ else None
    for row in open_:
        batch = json.loads(row.report)["batch"]
        states = states_of(batch) if states_of is not None and batch else {}
        if states and not {"waiting", "running"} & states.keys():
            _change(row.run_id, row._state.db or "default", partial(_end, states=states))


def _end(report: dict[str, Any], states: States) -> None:
    failed, error = states.get("failed", (0, None))
    report["status"] = "failed" if failed else _status(report)
    if failed:
        chunks = "1 chunk" if failed == 1 else f"{failed} chunks"
        report["error"] = f"{chunks} of {report['chunks']} failed: {error}"


def _ledger() -> Callable[[str], States] | None:
    """What tells the states of chunks: `states_of` beside the function that runs items."""
    place = getattr(settings, "PENSTOCK_RUN_IN_CELERY", "penstock_celery.django.run_in_celery")
    try:
        found: Callable[[str], States] = import_string(f"{place.rpartition('.')[0]}.states_of")
    except ImportError:
        return None
    return found


def _status(report: Mapping[str, Any]) -> str:
    return "failed" if report["error"] else "ok"


def _change(run_id: str, using: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a report that others change, too: whoever comes second waits for the first."""
    from .models import RunReport
    from .store import row_of

    rows = RunReport.objects.using(using)
    with transaction.atomic(using):
        row = rows.select_for_update().filter(run_id=run_id).first()
        if row is None or row.status != "running":
            return
        report = json.loads(row.report)
        change(report)
        report["seconds"] = time() - report["started"]
        holder = CHUNKS if report["status"] == "running" else ""
        rows.filter(run_id=run_id).update(**{**row_of(report), "holder": holder})


def _add_other(run_id: str, report: Report, using: str) -> None:
    """One row for each other pipeline, whatever the number of chunks."""
    from .models import RunReport
    from .store import row_of

    rows = RunReport.objects.using(using)
    name = f"{run_id}.{report.pipeline}"[:200]
    made = Report(report.pipeline, name, report.status, "celery", started=report.started)
    rows.get_or_create(run_id=name, defaults=row_of(made.to_dict()))
    kept = json.loads(rows.select_for_update().get(run_id=name).report)
    _merge(kept, report)
    kept["seconds"] = time() - kept["started"]
    rows.filter(run_id=name).update(**row_of(kept))


def _merge(kept: dict[str, Any], report: Report) -> None:
    """Add the figures of a report to one that is kept."""
    own = {name: kept.pop(name) for name in _OWN if name in kept}
    whole = Report.from_dict(kept)
    by_name = {node.name: node for node in whole.nodes}
    for node in report.nodes:
        there = by_name.get(node.name)
        if there is None:
            whole.nodes.append(node)
        else:
            _sum(there, node)
    _sum(whole.balance, report.balance)
    _group(whole.failures, report.failures)
    whole.epochs += report.epochs
    whole.letters += report.letters
    whole.warnings = list(dict.fromkeys([*whole.warnings, *report.warnings]))
    whole.error = whole.error or report.error
    kept.update(whole.to_dict())
    kept.update(own)


def _sum(whole: Any, part: Any) -> None:
    """Add the numbers of a node, or of a balance."""
    for one in fields(whole):
        value = getattr(whole, one.name)
        if isinstance(value, (int, float)):
            setattr(whole, one.name, value + getattr(part, one.name))


def _group(whole: list[FailureGroup], part: list[FailureGroup]) -> None:
    there = {(group.node, group.error): group for group in whole}
    for group in part:
        same = there.get((group.node, group.error))
        if same is None:
            whole.append(group)
        else:
            same.count += group.count
