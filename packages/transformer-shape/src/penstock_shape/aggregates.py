"""What a group can tell about the values of its records: sums, counts, extremes, lists.

Each aggregate is shown columns of values that are not null, keeps what it needs, and gives that as
values which `penstock.store.encode_record` can keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Context as DecimalContext
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, ClassVar, Protocol

__all__ = ["AGGREGATES", "Aggregate"]

_EXACT = DecimalContext(prec=100)
"""Sums of decimals do not round before they have this many digits."""


class Aggregate(Protocol):
    """One aggregate of one group."""

    purpose: ClassVar[str]
    """What its values must be fit for: "added", "put in order", "counted", or "" for anything."""

    def __init__(self) -> None: ...

    def add(self, values: Sequence[Any]) -> int:
        """Take values in; the number that it has to hold in memory for them."""

    def result(self) -> Any: ...

    def state(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


class _Count:
    purpose: ClassVar[str] = ""

    def __init__(self) -> None:
        self.count = 0

    def add(self, values: Sequence[Any]) -> int:
        self.count += len(values)
        return 0

    def result(self) -> Any:
        return self.count

    def state(self) -> Any:
        return self.count

    def restore(self, state: Any) -> None:
        self.count = state


class _Sum:
    """The sum of numbers, exact until it is asked for; then a sum with floats is rounded once.

    So the result depends neither on the order of the records nor on how they were cut into batches.
    """

    purpose: ClassVar[str] = "added"

    def __init__(self) -> None:
        self.count = 0
        self.whole = 0
        self.decimal: Decimal | None = None
        self.floats: list[float] | None = None  # a few floats whose exact sum is that of all

    def add(self, values: Sequence[Any]) -> int:
        self.count += len(values)
        if not values:
            return 0
        total = _whole_sum(values) if type(values[0]) is int else None
        if total is not None:
            self.whole += total
        elif set(map(type, values)) == {float}:
            self.floats = _condensed([*(self.floats or ()), *values])
        else:
            self._add_mixed(values)
        return 0

    def _add_mixed(self, values: Sequence[Any]) -> None:
        floats = [value for value in values if isinstance(value, float)]
        if floats:
            self.floats = _condensed([*(self.floats or ()), *floats])
        decimals = [value for value in values if isinstance(value, Decimal)]
        if decimals:
            with localcontext(_EXACT):
                self.decimal = sum(decimals, self.decimal or Decimal(0))
        self.whole += sum(value for value in values if isinstance(value, int))

    def result(self) -> Any:
        if not self.count:
            return None
        if self.floats is not None:
            return _rounded([*self.floats, self.whole, self.decimal or 0])
        if self.decimal is not None:
            with localcontext(_EXACT):
                return self.decimal + self.whole
        return self.whole

    def state(self) -> Any:
        return [self.count, self.whole, self.decimal, self.floats]

    def restore(self, state: Any) -> None:
        self.count, self.whole, self.decimal, self.floats = state


def _whole_sum(values: Sequence[Any]) -> int | None:
    """The sum where it is a whole number, as it is of whole numbers only; else None."""
    try:
        total = sum(values)
    except (TypeError, ArithmeticError):  # a decimal and a float
        return None
    return total if type(total) is int else None


def _condensed(values: list[float]) -> list[float]:
    """A few floats with exactly the same sum: each is what the ones before it lack."""
    parts: list[float] = []
    try:
        while rest := math.fsum(values):
            parts.append(rest)
            if not math.isfinite(rest):
                return [rest]
            values.append(-rest)
    except (OverflowError, ValueError):  # beyond the floats, or both infinities
        return [sum(values)]
    return parts


def _rounded(values: Sequence[Any]) -> float:
    """The float nearest to the exact sum."""
    try:
        return float(sum(map(Fraction, values)))
    except (OverflowError, ValueError):  # beyond the floats, or one is infinite
        return sum(map(_as_float, values))


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class _Mean(_Sum):
    def result(self) -> Any:
        total = super().result()
        if total is None:
            return None
        if isinstance(total, int):
            return _rounded([Fraction(total, self.count)])
        return total / self.count


class _Extreme:
    purpose: ClassVar[str] = "put in order"
    better: ClassVar[Callable[..., Any]]

    def __init__(self) -> None:
        self.value: Any = None

    def add(self, values: Sequence[Any]) -> int:
        if values:
            best = type(self).better(values)
            self.value = best if self.value is None else type(self).better((self.value, best))
        return 0

    def result(self) -> Any:
        return self.value

    def state(self) -> Any:
        return self.value

    def restore(self, state: Any) -> None:
        self.value = state


class _Min(_Extreme):
    better = min


class _Max(_Extreme):
    better = max


class _First:
    purpose: ClassVar[str] = ""

    def __init__(self) -> None:
        self.value: Any = None

    def add(self, values: Sequence[Any]) -> int:
        if self.value is None and values:
            self.value = values[0]
        return 0

    def result(self) -> Any:
        return self.value

    def state(self) -> Any:
        return self.value

    def restore(self, state: Any) -> None:
        self.value = state


class _Last(_First):
    def add(self, values: Sequence[Any]) -> int:
        if values:
            self.value = values[-1]
        return 0


class _List:
    purpose: ClassVar[str] = ""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, values: Sequence[Any]) -> int:
        self.values.extend(values)
        return len(values)

    def result(self) -> Any:
        return self.values

    def state(self) -> Any:
        return list(self.values)

    def restore(self, state: Any) -> None:
        self.values = list(state)


class _Distinct:
    purpose: ClassVar[str] = "counted"

    def __init__(self) -> None:
        self.values: set[Any] = set()

    def add(self, values: Sequence[Any]) -> int:
        before = len(self.values)
        self.values.update(values)
        return len(self.values) - before

    def result(self) -> Any:
        return len(self.values)

    def state(self) -> Any:
        return list(self.values)

    def restore(self, state: Any) -> None:
        self.values = set(state)


AGGREGATES: Mapping[str, type[Aggregate]] = {
    "count": _Count,
    "sum": _Sum,
    "mean": _Mean,
    "min": _Min,
    "max": _Max,
    "first": _First,
    "last": _Last,
    "list": _List,
    "distinct": _Distinct,
}
"""The aggregates by the name that a pipeline gives them."""
