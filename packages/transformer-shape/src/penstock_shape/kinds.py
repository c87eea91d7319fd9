"""Which values can be put in order with each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from operator import ne
from types import NoneType
from typing import Any

from penstock import RecordError

__all__ = ["BOOLEAN", "NUMBER", "Kind", "kind_of"]

NUMBER = "a number"
BOOLEAN = "true or false"

_BY_TYPE: dict[type, str] = {
    bool: BOOLEAN,
    int: NUMBER,
    str: "text",
    bytes: "bytes",
    date: "a date",
}
"""Types all of whose values are of one kind; of floats and datetimes it depends on the value."""


def kind_of(value: Any) -> str | None:
    """What a value may be compared with, in words; None if it has no order."""
    if isinstance(value, (datetime, time)):
        name = "a datetime" if isinstance(value, datetime) else "a time"
        return f"{name} {'without' if value.utcoffset() is None else 'with'} a zone"
    if isinstance(value, Decimal):
        return None if value.is_nan() else NUMBER
    if isinstance(value, float):
        return None if value != value else NUMBER
    for known, kind in _BY_TYPE.items():
        if isinstance(value, known):
            return kind
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return None
    return type(value).__name__ if _defines_order(type(value)) else None


def _defines_order(cls: type) -> bool:
    return any("__lt__" in vars(base) for base in cls.__mro__ if base is not object)


class Kind:
    """The kind of one field's values: that of the first value which is not null."""

    __slots__ = ("field", "kind", "purpose")

    def __init__(self, field: str, purpose: str, kind: str | None = None) -> None:
        self.field = field
        self.purpose = purpose
        self.kind = kind

    def wrong(self, column: Sequence[Any]) -> dict[int, Exception]:
        """The indices of values that do not go with the others, and why."""
        types = set(map(type, column))
        types.discard(NoneType)
        if not types:
            return {}
        kind = self.kind
        if len(types) == 1:
            only = types.pop()
            if only is float:
                if kind == NUMBER and not any(map(ne, column, column)):
                    return {}
            elif kind is not None and _BY_TYPE.get(only) == kind:
                return {}
        return self._each(column)

    def _each(self, column: Sequence[Any]) -> dict[int, Exception]:
        from penstock_expressions import shown  # 20 ms, and most columns never come here

        wrong: dict[int, Exception] = {}
        for index, value in enumerate(column):
            if value is None:
                continue
            kind = kind_of(value)
            if kind is None:
                what = f"{self.field}: {shown(value)} has no order, so it cannot be {self.purpose}"
                wrong[index] = RecordError(what)
            elif self.kind is None:
                self.kind = kind
            elif kind != self.kind:
                what = f"{self.field}: {shown(value)} is {kind}, and others are {self.kind}"
                wrong[index] = RecordError(f"{what}; cast the field first")
        return wrong
