"""The yardsticks do the work that the workload describes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import gen
import pytest
from measure import FUNCTIONS

YARDSTICKS = Path(__file__).resolve().parent.parent / "yardsticks"


def run(script: str, *arguments: object, folder: Path | None = None) -> str:
    command = [sys.executable, str(YARDSTICKS / script), *map(str, arguments)]
    environment = {"PYTHONPATH": str(FUNCTIONS), "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, cwd=folder
    )
    return done.stdout


@pytest.mark.parametrize("script", ["w1a_loop.py", "w1b_loop.py"])
def test_w1_renames_casts_keeps_and_adds(tmp_path: Path, script: str) -> None:
    rows = [
        '1,2024-01-01T00:00:00Z,a.b1,Łódź,2.50,50,paid,"x, y"',
        "2,2024-01-01T00:00:01Z,a.b2,Lima,9.99,49,open,z",
    ]
    (tmp_path / "w1.csv").write_text("\n".join([gen.COLUMNS, *rows, ""]), encoding="utf-8")
    run(script, tmp_path / "w1.csv", tmp_path / "out.jsonl")
    (line,) = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "order_id": "1",
        "created_at": "2024-01-01T00:00:00Z",
        "customer": "a.b1",
        "city": "Łódź",
        "amount": 2.5,
        "qty": 50,
        "status": "paid",
        "note": "x, y",
        "total": 125.0,
    }


@pytest.mark.parametrize("script", ["w2_nested.py", "w2_generators.py"])
def test_w2_counts_every_record(script: str) -> None:
    told = json.loads(run(script, 1_000, 3))
    assert told["records"] == 1_000
    assert told["seconds"] > 0


@pytest.mark.parametrize("script", ["w3_merge.py", "w3_unique.py"])
def test_w3_joins_and_sums_by_window(tmp_path: Path, script: str, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    from w3_streams import WINDOW, streams

    told = json.loads(run(script, 4_000))
    assert told["records"] == 4_000
    left, right = streams(4_000)
    limits = {one["t"]: one["limit"] for one in right}
    both = [{**one, "limit": limits[one["t"]]} for one in left if one["t"] in limits]
    assert len(both) == 1_000
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    for window in written:
        assert window["end"] == window["start"] + WINDOW
        inside = [one for one in both if window["start"] <= one["t"] < window["end"]]
        assert window["n"] == len(inside)
        assert window["total"] == sum(one["value"] for one in inside)
        assert window["most"] == max(one["limit"] for one in inside)
    assert sum(window["n"] for window in written) == 1_000


@pytest.mark.parametrize("script", ["yardsticks/d1_loop.py", "penstock/d1.py"])
@pytest.mark.parametrize("kind", ["ask", "compute"])
def test_d1_leaves_a_row_of_each_order(tmp_path: Path, script: str, kind: str) -> None:
    told = json.loads(run(f"../{script}", 200, kind, folder=tmp_path))
    assert told["records"] == 200
    with closing(sqlite3.connect(tmp_path / "out.db")) as database:
        rows = database.execute('SELECT "order", total FROM rows ORDER BY id').fetchall()
        amounts = database.execute("SELECT amount FROM django_shop_order ORDER BY id").fetchall()
    assert rows == [(n + 1, n % 97 * 2) for n in range(200)]
    assert amounts == [(n % 97 + (kind == "ask"),) for n in range(200)]


@pytest.mark.parametrize("script", ["yardsticks/d2_bulk.py", "penstock/d2.py"])
def test_d2_loads_every_record(tmp_path: Path, script: str) -> None:
    told = json.loads(run(f"../{script}", 1_200, folder=tmp_path))
    assert told["records"] == 1_200
    with closing(sqlite3.connect(tmp_path / "out.db")) as database:
        rows = database.execute('SELECT "order", total, paid FROM rows ORDER BY id').fetchall()
    assert rows == [(n, n % 97, n % 3 == 0) for n in range(1_200)]
