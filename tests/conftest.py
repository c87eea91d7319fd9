"""Tests across packages: one that takes `package`, `core_module` or `plugin_module` runs once for
each, so a new package or module is covered by being there.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import CORE, PACKAGES, REPO, Package


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def packages() -> list[Package]:
    return PACKAGES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "package" in metafunc.fixturenames:
        metafunc.parametrize("package", PACKAGES, ids=lambda package: package.folder)
    if "core_module" in metafunc.fixturenames:
        metafunc.parametrize("core_module", CORE.modules, ids=lambda module: module.name)
    if "plugin_module" in metafunc.fixturenames:
        modules = [m for package in PACKAGES if package != CORE for m in package.modules]
        metafunc.parametrize("plugin_module", modules, ids=lambda module: module.name)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Wheels and environments are made once for all of these, so one worker runs them all.
    for item in items:
        if "tests/install/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("install"))
            item.add_marker(pytest.mark.timeout(600))  # the first one waits for all wheels
