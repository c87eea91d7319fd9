"""A database for one test, whatever system it is of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from penstock_sql.database import Database
from penstock_testkit.servers import MariaDB, PostgreSQL

__all__ = ["Place", "mariadb", "place", "postgres", "server", "sqlite"]


class Place:
    """A database for one test. `rows` are what a table holds."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.dialect = self.database.name

    def rows(self, table: str = "t", order: str = "1") -> list[tuple[Any, ...]]:
        found = self.ask(f"SELECT * FROM {self.database.quoted(table)} ORDER BY {order}")
        return sorted(found, key=lambda row: row[0] is None)  # systems differ in where those are

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.reading() as connection:
            return list(map(tuple, connection.exec_driver_sql(query)))

    def do(self, *statements: str) -> None:
        with self.database.transaction() as connection:
            for statement in statements:
                marks = self.database.marker == "%s"  # then a % must be doubled
                connection.exec_driver_sql(statement.replace("%", "%%") if marks else statement)

    def cut_all(self) -> None:
        """End every other connection of this database, as an administrator may."""
        if self.dialect == "postgresql":
            self.ask(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        else:
            others = self.ask(
                "SELECT id FROM information_schema.processlist "
                "WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            )
            self.do(*(f"KILL {number}" for [number] in others))
        time.sleep(0.05)

    def columns(self, table: str = "t") -> dict[str, str]:
        with self.database.reading() as connection:
            found = sa.inspect(connection).get_columns(table)
            return {one["name"]: str(one["type"]) for one in found}

    def tables(self) -> set[str]:
        with self.database.reading() as connection:
            return set(sa.inspect(connection).get_table_names())


@pytest.fixture
def sqlite(tmp_path: Path) -> Place:
    return Place(f"sqlite:///{tmp_path}/test.db")


@pytest.fixture
def postgres(postgresql_server: PostgreSQL) -> Iterator[Place]:
    with postgresql_server.database() as url:
        yield Place(url)


@pytest.fixture
def mariadb(mariadb_server: MariaDB) -> Iterator[Place]:
    with mariadb_server.database() as url:
        yield Place(url)


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Place:
    """The test runs on every system that has connections to lose."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def place(request: pytest.FixtureRequest) -> Place:
    """The test runs on every system."""
    found: Place = request.getfixturevalue(request.param)
    return found
