"""Short here, long with PENSTOCK_FAULTS=long, as `nox -s faults` has it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from databases import mariadb, place, postgres, sqlite
from faults.killing import Launcher

__all__ = [
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if LONG:
        for item in items:
            if "tests/faults/" in item.nodeid:
                item.add_marker(pytest.mark.timeout(1800))
