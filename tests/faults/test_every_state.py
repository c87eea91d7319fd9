"""A stage with a memory has the same one after it was written down and read back, after any record.

Each is run to record k, its state kept in the store as JSON, and restored by the next run; what is
written and set aside in the end is what one whole run gives.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from faults.killing import Launcher

from penstock import Stage
from penstock.plugins import Plugins

ROWS = 60
STAGES = {
    "transformers": {
        "batch": "size: 7",
        "dedupe": "key: team, keep: last",
        "group": "by: team, aggregate: {many: count(), all: sum(value), most: max(value)}",
        "limit": "count: 30, offset: 10",
        "sample": "every: 3",
        "sort": "by: '-value'",
        "window": "kind: count, size: 7, by: team, aggregate: {n: count(), most: max(value)}",
    },
    "inspectors": {
        "count": "max: 100",
        "freshness": "field: at, max_age: 36500d",
        "statistics": "",
        "unique": "key: value",
    },
}
CASES = [(role, name) for role, stages in STAGES.items() for name in stages]


def make(folder: Path, role: str, name: str) -> None:
    folder.mkdir()
    rows = [
        {
            "id": n,
            "team": "abc"[n * n % 3] + str(n % 4),
            "value": n * 7 % 31,
            "at": f"2026-01-01T00:00:{n % 60:02}+00:00",
        }
        for n in range(1, ROWS + 1)
    ]
    (folder / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = ", ".join(filter(None, [f"use: {name}", STAGES[role][name]]))
    (folder / "pipeline.yaml").write_text(
        "inputs:\n  rows: {use: json, path: in.jsonl}\n"
        "transformers:\n  typed: {use: fields, cast: {at: datetime}}\n"
        f"{f'{role}:' if role != 'transformers' else ''}\n  stage: {{{options}}}\n"
        "outputs:\n  out: {use: json, path: out.jsonl}\n"
        "pipes:\n  rows: [rows, typed, stage, out]\n"
    )


def end(launcher: Launcher, folder: Path) -> tuple[Any, ...]:
    """Run to the end; everything that came of it."""
    outcome = launcher.run(folder)
    assert outcome.code in (0, 1, 6), outcome.messages
    with closing(sqlite3.connect(folder / ".penstock" / "state.db")) as store:
        letters = store.execute("SELECT ordinal, message FROM letters ORDER BY 1").fetchall()
        (report,) = store.execute(
            "SELECT report FROM reports ORDER BY started DESC LIMIT 1"
        ).fetchone()
    (observed,) = (
        node["observations"] for node in json.loads(report)["nodes"] if node["name"] == "stage"
    )
    observed.pop("age", None)  # which goes on
    return outcome.code, (folder / "out.jsonl").read_text(), letters, observed


@pytest.mark.parametrize(("role", "name"), CASES)
def test_a_stage_goes_on_with_what_it_held_after_record_k(
    launcher: Launcher,
    tmp_path: Path,
    long: bool,
    certify: Callable[..., None],
    role: str,
    name: str,
) -> None:
    make(tmp_path / "whole", role, name)
    whole = end(launcher, tmp_path / "whole")
    tried = range(1, ROWS) if long else (1, 4, 7, 23, ROWS - 1)
    held = 0
    for k in tried:
        here = tmp_path / f"after{k}"
        make(here, role, name)
        first = launcher.run(here, "run", "pipeline.yaml", "-q", "--max-records", str(k))
        assert first.code in (0, 6), first.messages
        with closing(sqlite3.connect(here / ".penstock" / "state.db")) as store:
            (kept,) = store.execute("SELECT checkpoint FROM checkpoints").fetchone()
        held += bool(json.loads(kept)["states"])
        assert end(launcher, here) == whole, f"after record {k}"
    assert held
    certify("snapshot and restore after record k", f"{role[:-1]} {name}", len(tried))


def test_every_stage_with_a_memory_is_tried() -> None:
    plugins = Plugins()
    with_memory = {
        (role, name)
        for role in STAGES
        for name in plugins.names(role[:-1])
        if plugins.find(role[:-1], name).load().snapshot is not Stage.snapshot
    }
    assert with_memory == set(CASES)
