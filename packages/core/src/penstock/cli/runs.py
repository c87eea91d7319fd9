"""`penstock runs`: the journal of a pipeline."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..holder import alive
from ..journal import Report
from . import common_arguments
from .loading import Past, at_least_one, past_arguments, past_of
from .showing import print_json, table, when

HELP = "show earlier runs"

_ALL = 1_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    past_arguments(parser)
    parser.add_argument(
        "run", nargs="?", help="a run's id or its beginning, or `last`: show its report"
    )
    parser.add_argument("--key", metavar="VALUE", help="say which runs read a record with this key")
    parser.add_argument(
        "--limit",
        type=at_least_one("--limit"),
        default=20,
        metavar="N",
        help="show so many runs (default: 20)",
    )
    common_arguments(parser, pipeline=False)


def run(options: Any) -> int:
    _sort_out(options)
    past = past_of(options)
    try:
        if options.key is not None:
            return _find(past, options)
        if options.run is not None:
            return _one(past, options)
        return _list(past, options)
    finally:
        past.store.close()


def _as_they_ended(past: Past, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reports, those of runs that were killed with what is known of them."""
    newest: dict[str, str] = {}
    for one in reports:
        newest.setdefault(one["pipeline"], one["run_id"])
        if one["status"] != "running":
            continue
        name = one["pipeline"]
        if newest[name] != one["run_id"] or not _is_under_way(past, name):
            one["status"] = "cut off"
        checkpoint = past.store.checkpoint(name)
        if checkpoint is not None and checkpoint.run_id == one["run_id"]:
            _add_counts(one, checkpoint.counts)
    return reports


def _is_under_way(past: Past, name: str) -> bool:
    holder = past.store.holder(name)
    if holder is None:
        return False
    lives = alive(holder[0])
    return holder[1] > time.time() if lives is None else lives


def _add_counts(report: dict[str, Any], counts: Mapping[str, Mapping[str, int]]) -> None:
    """What a run had done by its last checkpoint."""
    for node in report["nodes"]:
        node.update({key: n for key, n in counts.get(node["name"], {}).items() if key in node})
    nodes = Report.from_dict(report).nodes
    balance = report["balance"]
    balance["read"] = sum(node.handled for node in nodes if node.role == "input")
    balance["written"] = sum(node.sent for node in nodes if node.role == "output")
    for name in ("filtered", "added", "merged", "dead", "skipped"):
        balance[name] = sum(getattr(node, name) for node in nodes)


def _sort_out(options: Any) -> None:
    """`penstock runs last` names a run, not a pipeline."""
    given = options.pipeline
    if given and options.run is None and not Path(given).suffix and not Path(given).exists():
        options.pipeline, options.run = None, given


def _list(past: Past, options: Any) -> int:
    reports = _as_they_ended(past, past.store.reports(past.name, min(options.limit, _ALL)))
    if options.json:
        print_json(reports)
        return 0
    if not reports:
        print("no runs")
        return 0
    rows = []
    for made in reports:
        balance = made["balance"]
        rows.append(
            [
                made["run_id"],
                made["pipeline"],
                when(made["started"]),
                made["status"],
                f"{made['seconds']:.2f}",
                *(str(balance[name]) for name in ("read", "written", "filtered", "dead")),
            ]
        )
    head = [
        "run",
        "pipeline",
        "started",
        "status",
        "seconds",
        "read",
        "written",
        "filtered",
        "dead",
    ]
    print(table(head, rows, right=range(4, 9)))
    return 0


def _one(past: Past, options: Any) -> int:
    reports = _as_they_ended(past, past.store.reports(past.name, _ALL))
    found = [one for one in reports if one["run_id"].startswith(options.run)]
    if options.run == "last":
        found = reports[:1]
    if len(found) != 1:
        what = (
            f"no run {options.run!r}"
            if not found
            else f"{len(found)} runs begin with {options.run!r}"
        )
        raise UsageError(what, where="penstock runs", hint="`penstock runs` lists them")
    if options.json:
        print_json(found[0])
    else:
        print(Report.from_dict(found[0]).table())
    return 0


def _find(past: Past, options: Any) -> int:
    found = [
        one
        for one in past.store.find_key(options.key, past.name)
        if options.run is None or one.run_id.startswith(options.run)
    ]
    if options.json:
        print_json(
            [
                {
                    "run_id": one.run_id,
                    "pipeline": one.pipeline,
                    "source": one.source,
                    "ordinal": one.ordinal,
                }
                for one in found
            ]
        )
    elif found:
        rows = [[one.run_id, one.pipeline, f"{one.source}:{one.ordinal}"] for one in found]
        print(table(["run", "pipeline", "record"], rows))
    else:
        print(f"no record with the key {options.key!r}; `key:` on an input says what to index by")
    return 0
