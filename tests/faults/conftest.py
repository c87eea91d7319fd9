"""Short here, long with PENSTOCK_FAULTS=long, as `nox -s faults` has it; the long form notes in
certified.json what it has found."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import Place, mariadb, place, postgres, sqlite
from faults.certificates import Wrong, put, row
from faults.killing import Launcher
from faults.oracle import Verdict
from faults.tables import Tables

from penstock_testkit.servers import MariaDB, PostgreSQL

__all__ = [
    "Certify",
    "launcher",
    "long",
    "mariadb",
    "place",
    "postgres",
    "sqlite",
]

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # killing and tracing differ too much elsewhere


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


@pytest.fixture(scope="session")
def long() -> bool:
    return LONG


Certify = Callable[..., None]


@pytest.fixture
def certify(request: pytest.FixtureRequest) -> Certify:
    """Say what was tried and found; the long form keeps it. Called when all is right."""
    test = request.node.nodeid.partition("[")[0]

    def found(
        fault: str,
        of: str,
        tried: int,
        verdict: Verdict = Verdict(),  # noqa: B008 (frozen)
        *,
        engine: str = "inline",
        wrong: Wrong | None = None,
    ) -> None:
        print(f"{fault}: {of}, {engine}: {verdict}, of {tried}; the wrong way: {wrong}")
        if LONG:
            put(row(test, fault, of, engine, tried, verdict, wrong))

    return found


@pytest.fixture
def tables_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Tables]:
    """Two empty databases of a system: SQLite, PostgreSQL or MariaDB."""
    names = itertools.count(1)

    def made(system: str) -> Tables:
        if system == "SQLite":
            urls = [f"sqlite:///{tmp_path}/{next(names)}.db" for _ in range(2)]
        else:
            fixture = {"PostgreSQL": "postgresql_server", "MariaDB": "mariadb_server"}[system]
            server: PostgreSQL | MariaDB = request.getfixturevalue(fixture)
            urls = []
            for _ in range(2):
                database = server.database()
                urls.append(database.__enter__())
                request.addfinalizer(lambda database=database: database.__exit__(None, None, None))  # type: ignore[misc]
        first, second = map(Place, urls)
        return Tables(first, second)

    return made


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults/" in item.nodeid:
            item.add_marker(pytest.mark.faults)
            if LONG:
                item.add_marker(pytest.mark.timeout(1800), append=False)  # before its own
