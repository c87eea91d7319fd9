"""The data is the same everywhere, and has what makes CSV hard."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import gen


def test_the_same_bytes_on_every_python(tmp_path: Path) -> None:
    gen.write_w1(1_000, tmp_path / "w1.csv")
    digest = hashlib.sha256((tmp_path / "w1.csv").read_bytes()).hexdigest()
    assert digest == "a69caca18ed3a7633cdf8c2066d0e12ebd17242cb7f9cdb7b4c4723da19c9d22"


def test_rows_are_whole_and_hold_every_difficulty(tmp_path: Path) -> None:
    gen.write_w1(1_000, tmp_path / "w1.csv")
    with open(tmp_path / "w1.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert ",".join(header) == gen.COLUMNS
    assert len(rows) == 1_000
    assert {len(row) for row in rows} == {8}
    notes = [row[7] for row in rows]
    assert any("," in note for note in notes)
    assert any('"' in note for note in notes)
    assert "" in notes
    assert any("Łódź" in row for row in rows)


def test_fewer_rows_are_the_beginning_of_more(tmp_path: Path) -> None:
    gen.write_w1(10, tmp_path / "ten.csv")
    gen.write_w1(20, tmp_path / "twenty.csv")
    ten, twenty = (tmp_path / "ten.csv").read_text(), (tmp_path / "twenty.csv").read_text()
    assert twenty.startswith(ten)
