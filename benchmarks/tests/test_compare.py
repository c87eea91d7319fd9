"""Outputs are equal when the records are; nothing else passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from compare import difference

EXPECTED = '{"a": 1, "b": 0.3}\n{"a": 2, "b": "x"}\n'


Compare = Callable[[str], "str | None"]


@pytest.fixture
def compared(tmp_path: Path) -> Compare:
    def compare(actual: str) -> str | None:
        (tmp_path / "expected").write_text(EXPECTED)
        (tmp_path / "actual").write_text(actual)
        return difference(tmp_path / "expected", tmp_path / "actual")

    return compare


@pytest.mark.parametrize(
    "actual",
    [
        EXPECTED,
        '{"b":0.3,"a":1}\n{"a":2,"b":"x"}\n',
        '{"a": 1, "b": 0.30000000000000004}\n{"a": 2, "b": "x"}',
    ],
    ids=["bytes", "order of keys", "rounding"],
)
def test_equal(compared: Compare, actual: str) -> None:
    assert compared(actual) is None


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        ('{"a": 1, "b": 0.3}\n', "line 2: one file ends before the other"),
        (EXPECTED + '{"a": 3}\n', "line 3: one file ends before the other"),
        ('{"a": 2, "b": "x"}\n{"a": 1, "b": 0.3}\n', "line 1: expected {'a': 1"),
        ('{"a": 1, "b": 0.300001}\n{"a": 2, "b": "x"}\n', "got {'a': 1, 'b': 0.300001}"),
        ('{"a": "1", "b": 0.3}\n{"a": 2, "b": "x"}\n', "got {'a': '1', 'b': 0.3}"),
        ('{"a": true, "b": 0.3}\n{"a": 2, "b": "x"}\n', "got {'a': True, 'b': 0.3}"),
        ('{"a": 1, "b": 0.3}\n{"a": 2, "b": "x", "c": null}\n', "line 2: expected"),
    ],
    ids=["short", "long", "order", "float", "text", "boolean", "field"],
)
def test_different(compared: Compare, actual: str, told: str) -> None:
    assert told in (compared(actual) or "")
