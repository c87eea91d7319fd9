"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_sink_json.output import JsonOutput
from penstock_testkit import OutputSuite


class TestLines(OutputSuite):
    @pytest.fixture
    def destination(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def destination() -> tuple[Any, Any]:
            path = tmp_path_factory.mktemp("out") / "out.jsonl"

            def there() -> list[Any]:
                return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

            return JsonOutput(path=path), there

        return destination


class TestArray(OutputSuite):
    @pytest.fixture
    def destination(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def destination() -> tuple[Any, Any]:
            path = tmp_path_factory.mktemp("out") / "out.json"
            return JsonOutput(path=path, format="array"), lambda: json.loads(
                path.read_text("utf-8")
            )

        return destination
