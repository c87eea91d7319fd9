"""The two streams of W3, sorted by `t`: each record of one in two has a match in the other."""

from __future__ import annotations

from typing import Any

WINDOW = 3600


def streams(rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Together `rows` records. Keys are unique in each, as they are in most streams of events."""
    left, right = [], []
    time = 0
    for number in range(rows // 2):
        time += 1 + number * 7 % 5
        left.append({"t": time, "sensor": number % 97, "value": number % 1000})
        shift = number % 2  # every other one just misses; the steps are such that none then hits
        right.append({"t": 2 * time + shift, "limit": number * 3 % 1000})
    for record in left:
        record["t"] *= 2
    return left, right
