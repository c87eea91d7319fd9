"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock import Input
from penstock_input_json.input import JsonInput
from penstock_testkit import InputSuite


def records(count: int) -> list[Any]:
    return [{"id": n, "name": f"é {n}", "tags": ["a", None, {"b": n / 4}]} for n in range(count)]


class TestLines(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            path = tmp_path_factory.mktemp("in") / "in.jsonl"
            lines = [f"{json.dumps(record)}\n" for record in records(count)]
            path.write_text("".join(lines), encoding="utf-8")
            return JsonInput(path=path), records(count)

        return source


class TestArray(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            path = tmp_path_factory.mktemp("in") / "in.json"
            path.write_text(json.dumps(records(count), indent=1), encoding="utf-8")
            return JsonInput(path=path), records(count)

        return source
