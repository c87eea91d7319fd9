"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from penstock_sink_csv.output import CsvOutput
from penstock_testkit import OutputSuite


class TestPlain(OutputSuite):
    def seen(self, record: Any) -> Any:
        return {name: str(value) for name, value in record.items()}

    @pytest.fixture
    def destination(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def destination() -> tuple[Any, Any]:
            path = tmp_path_factory.mktemp("out") / "out.csv"

            def there() -> list[Any]:
                with open(path, encoding="utf-8", newline="") as file:
                    return list(csv.DictReader(file))

            return CsvOutput(path=path), there

        return destination
