"""What holds for every test: it leaves nothing behind that another could import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _nothing_imported_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module of a folder that a test made is forgotten, and `sys.path` is as it was: the next
    test may have another `shop.py`."""
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    folder = tmp_path_factory.getbasetemp()
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file and folder in Path(file).parents:
            del sys.modules[name]
