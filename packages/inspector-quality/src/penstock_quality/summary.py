"""A summary of the values of one field, of a size that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any

__all__ = ["Summary"]

_SKETCH = 1000
"""Hashes that are kept of a field: the estimate of a count is then within about 3 %."""

_COUNTED = 1000
"""Values whose frequency is kept of a field."""

_SHOWN = 80
"""Characters of a value in the report."""

_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "text",
    bytes: "bytes",
    date: "date",
    time: "time",
    list: "list",
    tuple: "list",
    dict: "mapping",
}


class Summary:
    """Add columns of values, then ask for the report."""

    def __init__(self) -> None:
        self.present = 0
        self.nulls = 0
        self.kinds: Counter[str] = Counter()
        self.extremes: dict[str, tuple[Any, Any]] = {}
        self.numbers = 0
        self.total = 0.0
        self.distinct = _Distinct()
        self.frequent = _Frequent()

    def add(self, column: Sequence[Any]) -> None:
        self.present += len(column)
        values = [value for value in column if value is not None]
        self.nulls += len(column) - len(values)
        for kind, group in _by_kind(values).items():
            self.kinds[kind] += len(group)
            if kind == "number":
                self.numbers += len(group)
                self.total = _sum(group, self.total)
            if kind in _ORDERED:
                low, high = self.extremes.get(kind, (group[0], group[0]))
                self.extremes[kind] = (min(low, min(group)), max(high, max(group)))
            if kind in ("list", "mapping"):
                continue
            if kind not in _BASIC:  # of a type that a checkpoint may not be able to keep
                group = list(map(str, group))
            self.frequent.add(group)
            self.distinct.add(group)

    def report(self, records: int, top: int) -> dict[str, Any]:
        """The summary as JSON; `records` is how many could have had the field."""
        made: dict[str, Any] = {
            "count": self.present - self.nulls,
            "nulls": self.nulls,
            "missing": records - self.present,
            "types": dict(self.kinds.most_common()),
            "distinct": self.distinct.count(),
        }
        if self.distinct.estimated:
            made["distinct_is_estimated"] = True
        kind = next((one for one, _ in self.kinds.most_common() if one in self.extremes), None)
        if kind is not None:
            low, high = self.extremes[kind]
            made.update(min=_shown(low), max=_shown(high))
        if self.numbers:
            made["mean"] = _shown(self.total / self.numbers)
        most = [(value, count) for value, count in self.frequent.most(top) if count > 1]
        if most:
            made["top"] = [{"value": _shown(value), "count": count} for value, count in most]
        if most and self.frequent.estimated:
            made["top_is_estimated"] = True
        return made

    def state(self) -> Any:
        return [
            self.present,
            self.nulls,
            dict(self.kinds),
            [[kind, low, high] for kind, (low, high) in self.extremes.items()],
            self.numbers,
            self.total,
            self.distinct.state(),
            self.frequent.state(),
        ]

    def restore(self, state: Any) -> None:
        self.present, self.nulls, kinds, extremes, self.numbers, self.total, *rest = state
        self.kinds = Counter(kinds)
        self.extremes = {kind: (low, high) for kind, low, high in extremes}
        self.distinct.restore(rest[0])
        self.frequent.restore(rest[1])


_BASIC = frozenset({*_KINDS.values(), "datetime", "datetime with zone"})
_ORDERED = _BASIC - {"list", "mapping", "time"}


def _by_kind(values: list[Any]) -> dict[str, list[Any]]:
    """The values by kind; nearly always there is one, and the list itself is returned."""
    types = set(map(type, values))
    if len(types) == 1:
        (only,) = types
        kind = _KINDS.get(only)
        if kind is not None and only not in (float, Decimal):
            return {kind: values}
        if only is float and not any(map(math.isnan, values)):
            return {"number": values}
    groups: dict[str, list[Any]] = {}
    for value in values:
        groups.setdefault(_kind(value), []).append(value)
    return groups


def _kind(value: Any) -> str:
    if isinstance(value, datetime):
        return "datetime" if value.utcoffset() is None else "datetime with zone"
    if isinstance(value, (float, Decimal)) and math.isnan(value):
        return "not a number"
    for known, kind in _KINDS.items():
        if isinstance(value, known):
            return kind
    return type(value).__name__


def _sum(values: Iterable[Any], start: float) -> float:
    try:
        return math.fsum([start, *values])
    except (OverflowError, ValueError):  # beyond the floats, or both infinities
        return math.nan


def _shown(value: Any) -> Any:
    """A value as the JSON of a report has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    text = value if isinstance(value, str) else str(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


class _Distinct:
    """How many different values there are, by the smallest of their hashes.

    When the thousandth smallest hash lies at a tenth of all hashes, there are some ten thousand
    values. With fewer than a thousand values the count is exact.
    """

    def __init__(self) -> None:
        self.hashes: set[int] = set()
        self.highest = 2**64
        self.estimated = False

    def add(self, values: Iterable[Any]) -> None:
        highest = self.highest
        self.hashes.update(h for h in map(_hash, set(values)) if h < highest)
        if len(self.hashes) > _SKETCH:
            smallest = sorted(self.hashes)[:_SKETCH]
            self.hashes = set(smallest)
            self.highest = smallest[-1]
            self.estimated = True

    def count(self) -> int:
        if not self.estimated:
            return len(self.hashes)
        return round((_SKETCH - 1) / self.highest * 2**64)

    def state(self) -> Any:
        return [sorted(self.hashes), self.highest, self.estimated]

    def restore(self, state: Any) -> None:
        hashes, self.highest, self.estimated = state
        self.hashes = set(hashes)


def _hash(value: Any) -> int:
    # Python's own hash of a text differs from one process to the next, and a state outlives it.
    text = repr(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class _Frequent:
    """Counts of values. When there are too many, those seen least are forgotten."""

    def __init__(self) -> None:
        self.counts: Counter[Any] = Counter()
        self.estimated = False

    def add(self, values: Iterable[Any]) -> None:
        self.counts.update(values)
        if len(self.counts) > 2 * _COUNTED:
            self.counts = Counter(dict(self.counts.most_common(_COUNTED)))
            self.estimated = True

    def most(self, top: int) -> list[tuple[Any, int]]:
        return self.counts.most_common(top)

    def state(self) -> Any:
        return [list(map(list, self.counts.items())), self.estimated]

    def restore(self, state: Any) -> None:
        counts, self.estimated = state
        self.counts = Counter(dict(counts))
