"""A run that stopped after any record goes on with the next one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from faults.killing import Launcher

ROWS = 1100  # more than two batches
RECORDS = [{"n": str(n), "text": "x" * (n % 50)} for n in range(1, ROWS + 1)]


def csv_text() -> str:
    return "n,text\n" + "".join(f"{one['n']},{one['text']}\n" for one in RECORDS)


def lines() -> str:
    return "".join(f"{json.dumps(one)}\n" for one in RECORDS)


INPUTS = {
    "in.csv": csv_text,
    "in.csv.gz": csv_text,
    "in.jsonl": lines,
    "in.jsonl.gz": lines,
    "in.json": lambda: json.dumps(RECORDS),
}


@pytest.mark.parametrize("name", INPUTS)
def test_it_goes_on_after_record_k(
    launcher: Launcher, tmp_path: Path, long: bool, name: str
) -> None:
    content = INPUTS[name]().encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    use = "csv" if ".csv" in name else "json"
    (tmp_path / "pipeline.yaml").write_text(
        f"inputs:\n  rows: {{use: {use}, path: {name}}}\n"
        "outputs:\n  out: {use: json, path: out.jsonl}\n"
        "pipes:\n  rows: [rows, out]\n"
    )
    some = [1, 255, 256, 257, 511, 512, 513, ROWS - 1]
    for k in range(1, ROWS) if long else some:
        first = launcher.run(tmp_path, "run", "pipeline.yaml", "-q", "--max-records", str(k))
        assert first.code == 0, first.messages
        part = (tmp_path / ".out.jsonl.part").read_text().splitlines()
        assert [json.loads(line) for line in part] == RECORDS[:k]
        second = launcher.run(tmp_path)
        assert second.code == 0, second.messages
        whole = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in whole] == RECORDS, f"after record {k}"
