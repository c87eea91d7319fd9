"""The rules that `penstock certify` holds this package to, on a database that every machine has."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest

from penstock import Input
from penstock_input_sql.input import SqlInput
from penstock_testkit import InputSuite


class TestSqlite(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory: pytest.TempPathFactory) -> Any:
        def source(count: int) -> tuple[Input, list[Any]]:
            path = tmp_path_factory.mktemp("in") / "in.db"
            rows = [(n, f"name {n}") for n in range(1, count + 1)]
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
                connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
            made = SqlInput(url=f"sqlite:///{path}", table="t", order_by=["id"])
            return made, [{"id": number, "name": name} for number, name in rows]

        return source
