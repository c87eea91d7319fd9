"""The rules that `penstock certify` holds this package to, on a database that every machine has."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest

from penstock_sink_sql.output import SqlOutput
from penstock_testkit import OutputSuite


class TestSqlite(OutputSuite):
    ordered = False

    @pytest.fixture
    def destination(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def destination() -> tuple[Any, Any]:
            path = tmp_path_factory.mktemp("out") / "out.db"

            def there() -> list[Any]:
                with contextlib.closing(sqlite3.connect(path)) as connection:
                    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
                    if ("t",) not in tables:
                        return []
                    found = connection.execute("SELECT id, name FROM t").fetchall()
                return [{"id": number, "name": name} for number, name in found]

            return SqlOutput(url=f"sqlite:///{path}", table="t"), there

        return destination
