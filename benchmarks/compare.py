"""Whether two JSON Lines files hold the same records in the same order."""

from __future__ import annotations

import json
import math
from itertools import zip_longest
from pathlib import Path
from typing import Any

TOLERANCE = 1e-9


def difference(expected: Path, actual: Path) -> str | None:
    """The first difference as a sentence, or None. Order of keys and spaces do not count."""
    with open(expected, "rb") as wanted, open(actual, "rb") as found:
        for number, (one, other) in enumerate(zip_longest(wanted, found), start=1):
            if one == other:
                continue
            if one is None or other is None:
                return f"line {number}: one file ends before the other"
            left, right = json.loads(one), json.loads(other)
            if not same(left, right):
                return f"line {number}: expected {left!r}, got {right!r}"
    return None


def same(left: Any, right: Any) -> bool:
    """Equal, floats within a relative 1e-9."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(left) is type(right) and bool(left == right)
