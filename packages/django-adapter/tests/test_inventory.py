"""Every behaviour of the system before, D1 to D38, has a test that is named after it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
NAMES = re.findall(r"^def test_(D\d\d\w*)", TESTS, re.MULTILINE)


@pytest.mark.parametrize("row", [f"D{number:02}" for number in range(1, 39)])
def test_a_row_of_the_inventory_has_a_test(row):
    assert [name for name in NAMES if row in name.split("_")]
