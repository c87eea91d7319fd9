"""A run that stopped after any record goes on with the next one."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.killing import Launcher

ROWS = 530  # more than two batches
RECORDS = [{"n": str(n), "text": "x" * (n % 50)} for n in range(1, ROWS + 1)]
PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def csv_text() -> str:
    return "n,text\n" + "".join(f"{one['n']},{one['text']}\n" for one in RECORDS)


def lines() -> str:
    return "".join(f"{json.dumps(one)}\n" for one in RECORDS)


def array() -> str:
    return json.dumps(RECORDS)


FILES = {
    "in.csv": csv_text,
    "in.csv.gz": csv_text,
    "in.csv.bz2": csv_text,
    "in.csv.xz": csv_text,
    "in.jsonl": lines,
    "in.jsonl.gz": lines,
    "in.json": array,
    "in.json.gz": array,
}


def make(folder: Path, name: str) -> str:
    """Put the records where an input finds them; how it is declared."""
    if name == "in.db":
        with contextlib.closing(sqlite3.connect(folder / name)) as database, database:
            database.execute("CREATE TABLE rows (at INTEGER PRIMARY KEY, n TEXT, text TEXT)")
            database.executemany("INSERT INTO rows (n, text) VALUES (:n, :text)", RECORDS)
        return (
            "{use: sql, url: 'sqlite:///in.db', query: 'SELECT * FROM rows', order_by: [at], "
            "batch_size: 256}"
        )
    content = FILES[name]().encode()
    suffix = Path(name).suffix
    (folder / name).write_bytes(PACKED[suffix](content) if suffix in PACKED else content)
    return f"{{use: {'csv' if '.csv' in name else 'json'}, path: {name}}}"


@pytest.mark.parametrize("name", [*FILES, "in.db"])
def test_it_goes_on_after_record_k(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None], name: str
) -> None:
    (tmp_path / "pipeline.yaml").write_text(
        f"inputs:\n  rows: {make(tmp_path, name)}\n"
        "transformers:\n  plain: {use: fields, select: [n, text]}\n"
        "outputs:\n  out: {use: json, path: out.jsonl}\n"
        "pipes:\n  rows: [rows, plain, out]\n"
    )
    some = [1, 255, 256, 257, 511, 512, 513, ROWS - 1]
    tried = range(1, ROWS) if long else some
    for k in tried:
        first = launcher.run(tmp_path, "run", "pipeline.yaml", "-q", "--max-records", str(k))
        assert first.code == 0, first.messages
        part = (tmp_path / ".out.jsonl.part").read_text().splitlines()
        assert [json.loads(line) for line in part] == RECORDS[:k]
        second = launcher.run(tmp_path)
        assert second.code == 0, second.messages
        whole = (tmp_path / "out.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in whole] == RECORDS, f"after record {k}"
    certify("stop after record k", f"{name[3:]} to json lines", len(tried))
