"""Queries for what comes after a document, in the order in which MongoDB sorts.

Values of different kinds sort by their kind, as numbers before text; but `$gt` compares values of
one kind only. So what comes after a value is also everything of a later kind.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from bson import Code, DatetimeMS, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

__all__ = ["after", "at_least", "before"]

Query = dict[str, Any]

_KINDS: Sequence[tuple[tuple[type, ...], tuple[int, ...]]] = (
    ((MinKey,), (-1,)),
    ((type(None),), (10,)),
    ((), ()),  # numbers: their place, see _kind
    ((str,), (2, 14)),
    ((Mapping,), (3,)),
    ((list,), (4,)),
    ((bytes, uuid.UUID), (5,)),
    ((ObjectId,), (7,)),
    ((bool,), (8,)),
    ((dt.datetime, DatetimeMS), (9,)),
    ((Timestamp,), (17,)),
    ((Regex,), (11,)),
    ((Code,), (13, 15)),
    ((MaxKey,), (127,)),
)
"""The kinds of values in the order of MongoDB: classes, and the numbers that BSON has for them."""
_NOTHING, _NUMBER = 1, 2
_NUMBERS = (1, 16, 18, 19)


def _kind(value: Any) -> int:
    if isinstance(value, (int, float, Decimal128)) and not isinstance(value, bool):
        return _NUMBER
    if isinstance(value, Code):  # is text as well
        return 12
    return next(kind for kind, (classes, _) in enumerate(_KINDS) if isinstance(value, classes))


def _of_kinds(first: int, last: int) -> list[int]:
    """The numbers of all kinds from `first` up to, and not with, `last`."""
    found: list[int] = []
    for kind in range(first, last):
        found += _NUMBERS if kind == _NUMBER else _KINDS[kind][1]
    return found


def _is_nan(value: Any) -> bool:
    if isinstance(value, Decimal128):
        return value.to_decimal().is_nan()
    return isinstance(value, float) and math.isnan(value)


def _greater(field: str, value: Any) -> list[Query]:
    """Alternatives, one of which holds for what sorts after a value."""
    kind = _kind(value)
    made: list[Query] = []
    if _is_nan(value):  # the first of the numbers
        made.append({field: {"$gte": -math.inf}})
    elif kind != _NOTHING:
        made.append({field: {"$gt": value}})
    later = _of_kinds(kind + 1, len(_KINDS))
    return [*made, {field: {"$type": later}}] if later else made


def _smaller(field: str, value: Any) -> list[Query]:
    kind = _kind(value)
    made: list[Query] = []
    if kind != _NOTHING and not _is_nan(value):
        made.append({field: {"$lt": value}})
        if kind == _NUMBER:
            made.append({field: {"$eq": math.nan}})
    earlier = [one for one in _of_kinds(0, kind) if one != 10]
    if earlier:
        made.append({field: {"$type": earlier}})
    return [*made, {field: None}] if kind > _NOTHING else made


def after(order: Sequence[tuple[str, int]], values: Sequence[Any]) -> Query:
    """What comes after the document with these values, in an order of fields and directions."""
    alternatives: list[Query] = []
    equal: list[Query] = []
    for (field, way), value in zip(order, values):
        further = _greater(field, value) if way > 0 else _smaller(field, value)
        if further:
            alternatives.append({"$and": [*equal, {"$or": further}]})
        equal.append({field: {"$eq": value}})
    return {"$or": alternatives}


def before(field: str, value: Any) -> Query:
    """What sorts before a value."""
    return {"$or": _smaller(field, value)}


def at_least(field: str, value: Any) -> Query:
    """What sorts after a value, or as it does."""
    return {"$or": [{field: {"$eq": value}}, *_greater(field, value)]}
