"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import pytest

from penstock import Input
from penstock_input_csv.input import CsvInput
from penstock_testkit import InputSuite


def rows(count: int) -> list[dict[str, str]]:
    """Some of them need quotes, and some go over lines."""
    text = ("plain", "with, comma", 'with "quotes"', "over\ntwo lines", "", "é😀")
    return [{"id": str(n), "name": f"{n} {text[n % len(text)]}"} for n in range(1, count + 1)]


def written(count: int) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["id", "name"])
    writer.writeheader()
    writer.writerows(rows(count))
    return out.getvalue()


class TestPlain(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            path = tmp_path_factory.mktemp("in") / "in.csv"
            path.write_text(written(count), encoding="utf-8", newline="")
            return CsvInput(path=path), rows(count)

        return source


class TestCompressed(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            path = tmp_path_factory.mktemp("in") / "in.csv.gz"
            path.write_bytes(gzip.compress(written(count).encode()))
            return CsvInput(path=path), rows(count)

        return source
