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
    ((str,), ()),  # text, and the symbols of old, which only comparing finds
    ((Mapping,), (3,)),
    ((list,), (4,)),
    ((bytes, uuid.UUID), (5,)),
    ((ObjectId,), (7,)),
    ((bool,), (8,)),
    ((dt.datetime, DatetimeMS), (9,)),
    ((Timestamp,), (17,)),
    ((Regex,), (11,)),
    ((Code,), ()),
    ((MaxKey,), (127,)),
)
"""The kinds of values in the order of MongoDB: classes, and the numbers that BSON has for them."""
_NOTHING, _NUMBER, _TEXT, _CODE = 1, 2, 3, 12
_NUMBERS = (1, 16, 18, 19)


def _kind(value: Any) -> int:
    if isinstance(value, (int, float, Decimal128)) and not isinstance(value, bool):
        return _NUMBER
    if isinstance(value, Code):  # is text as well
        return _CODE
    return next(kind for kind, (classes, _) in enumerate(_KINDS) if isinstance(value, classes))


def _of_kinds(field: str, first: int, last: int) -> list[Query]:
    """Alternatives, one of which holds for values of the kinds from `first` up to, and not with,
    `last`."""
    types: list[int] = []
    made: list[Query] = []
    for kind in range(first, last):
        if kind == _NOTHING:
            made.append({field: None})  # also where the field is missing
        elif kind == _TEXT:
            made.append({field: {"$gte": ""}})
        elif kind == _CODE:
            made.append({field: {"$gte": Code("")}})
        else:
            types += _NUMBERS if kind == _NUMBER else _KINDS[kind][1]
    return [*made, {field: {"$type": types}}] if types else made


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
    return [*made, *_of_kinds(field, kind + 1, len(_KINDS))]


def _smaller(field: str, value: Any) -> list[Query]:
    kind = _kind(value)
    made: list[Query] = []
    if kind != _NOTHING and not _is_nan(value):
        made.append({field: {"$lt": value}})
        if kind == _NUMBER:
            made.append({field: {"$eq": math.nan}})
    return [*made, *_of_kinds(field, 0, kind)]


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
