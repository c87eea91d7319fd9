"""Records that were set aside and are tried again are added to the table of the finished run."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from penstock.cli import main

PARTS = """
from pathlib import Path

def rows():
    for n in range(20):
        yield {"id": n, "text": f"row {n}"}

def strict(record):
    if record["id"] % 7 == 3 and not Path(__file__).with_name("mended").exists():
        raise ValueError("not yet")
    return record
"""


@pytest.mark.parametrize(("mode", "key"), [("append", ""), ("upsert", ", key: [id]")])
def test_mended_records_are_added_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, key: str
) -> None:
    monkeypatch.delitem(sys.modules, "sql_parts", raising=False)
    (tmp_path / "sql_parts.py").write_text(PARTS)
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        'inputs: {rows: "sql_parts:rows"}\n'
        'transformers: {strict: "sql_parts:strict"}\n'
        f'outputs: {{t: {{use: sql, url: "sqlite:///shop.db", table: t, mode: {mode}{key}}}}}\n'
        "pipes: {main: [rows, strict, t]}\n"
    )
    assert main(["run", "-q", str(file)]) == 6

    (tmp_path / "mended").write_text("")
    assert main(["errors", str(file), "--retry"]) == 0
    assert main(["errors", str(file), "--retry"]) == 0  # nothing is left to try

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        ids = [n for (n,) in connection.execute("SELECT id FROM t ORDER BY id")]
    connection.close()
    assert ids == list(range(20))


def test_a_table_that_was_replaced_as_a_whole_is_not_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "sql_parts", raising=False)
    (tmp_path / "sql_parts.py").write_text(PARTS)
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        'inputs: {rows: "sql_parts:rows"}\n'
        'transformers: {strict: "sql_parts:strict"}\n'
        'outputs: {t: {use: sql, url: "sqlite:///shop.db", table: t, mode: replace}}\n'
        "pipes: {main: [rows, strict, t]}\n"
    )
    assert main(["run", "-q", str(file)]) == 6
    capsys.readouterr()
    assert main(["errors", str(file), "--retry"]) == 1

    assert "nothing can be added to what a finished run has written" in capsys.readouterr().err


PRICES = """
from pathlib import Path

def prices():
    for price, at in ((5, 1), (7, 2)):
        yield {"id": 1, "price": price, "at": at}

def strict(record):
    if record["at"] == 1 and not Path(__file__).with_name("mended").exists():
        raise ValueError("not yet")
    return record
"""


@pytest.mark.parametrize(("version", "left"), [("", 5), (", version: at", 7)])
def test_a_record_that_is_mended_late_replaces_nothing_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, left: int
) -> None:
    monkeypatch.delitem(sys.modules, "sql_parts", raising=False)
    (tmp_path / "sql_parts.py").write_text(PRICES)
    file = tmp_path / "pipeline.yaml"
    out = f'{{use: sql, url: "sqlite:///shop.db", table: t, mode: upsert, key: [id]{version}}}'
    file.write_text(
        'inputs: {prices: "sql_parts:prices"}\n'
        'transformers: {strict: "sql_parts:strict"}\n'
        f"outputs: {{t: {out}}}\n"
        "pipes: {main: [prices, strict, t]}\n"
    )
    assert main(["run", "-q", str(file)]) == 6
    (tmp_path / "mended").write_text("")
    assert main(["errors", str(file), "--retry"]) == 0

    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("SELECT price FROM t").fetchall() == [(left,)]
    connection.close()
