"""Which documents a query means, in which order they come, and what an update makes of one.

Needs `penstock-testkit[mongodb]`.
"""

from __future__ import annotations

import copy
import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bson import Binary, Code, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp

__all__ = ["CommandError", "at", "matches", "order", "projected", "sorted_by", "updated"]

Document = dict[str, Any]
MISSING = object()

_TYPES: Mapping[Any, int] = {
    "double": 1,
    "string": 2,
    "object": 3,
    "array": 4,
    "binData": 5,
    "objectId": 7,
    "bool": 8,
    "date": 9,
    "null": 10,
    "regex": 11,
    "int": 16,
    "timestamp": 17,
    "long": 18,
    "decimal": 19,
    "minKey": -1,
    "maxKey": 127,
}


class CommandError(Exception):
    """What a command answers when it is refused."""

    def __init__(self, code: int, name: str, message: str, labels: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code, self.name, self.labels = code, name, labels

    def reply(self) -> Document:
        made: Document = {"ok": 0.0, "code": self.code, "codeName": self.name, "errmsg": str(self)}
        return {**made, "errorLabels": list(self.labels)} if self.labels else made


# ---- the order of values -------------------------------------------------------------------------


def order(value: Any) -> tuple[int, Any]:
    """A value that sorts, and is equal to others, as this one is in MongoDB."""
    if value is None or value is MISSING:
        return (2, 0)
    if isinstance(value, bool):
        return (9, value)
    if isinstance(value, (int, float, Decimal128)):
        number = value.to_decimal() if isinstance(value, Decimal128) else value
        return (3, (0, 0) if _is_nan(number) else (1, number))
    if isinstance(value, Code):
        return (13, str(value))
    if isinstance(value, str):
        return (4, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, Mapping):
        return (5, tuple((order(one)[0], name, order(one)) for name, one in value.items()))
    if isinstance(value, (list, tuple)):
        return (6, tuple(map(order, value)))
    if isinstance(value, uuid.UUID):
        value = Binary.from_uuid(value)
    if isinstance(value, bytes):
        return (7, (len(value), getattr(value, "subtype", 0), bytes(value)))
    if isinstance(value, ObjectId):
        return (8, value.binary)
    if isinstance(value, dt.datetime):
        return (10, value.replace(tzinfo=None))
    if isinstance(value, Timestamp):
        return (11, (value.time, value.inc))
    if isinstance(value, Regex):
        return (12, (str(value.pattern), value.flags))
    if isinstance(value, (MinKey, MaxKey)):
        return (0 if isinstance(value, MinKey) else 20, 0)
    raise CommandError(2, "BadValue", f"the double has no {type(value).__name__}")


def _is_nan(number: Any) -> bool:
    return number.is_nan() if isinstance(number, Decimal) else math.isnan(number)


def _type_of(value: Any) -> int:
    for kind, number in _KINDS:
        if isinstance(value, kind):
            return number if number != 16 or -(2**31) <= value < 2**31 else 18
    return 0


_KINDS: Sequence[tuple[Any, int]] = [
    *((type(None), 10), (bool, 8), (int, 16), (float, 1), (str, 2), (Mapping, 3), (list, 4)),
    *((bytes, 5), (ObjectId, 7), (dt.datetime, 9), (Regex, 11), (Timestamp, 17)),
    *((Decimal128, 19), (MinKey, -1), (MaxKey, 127)),
]


def at(document: Any, path: str) -> Any:
    """The value at a dotted path, MISSING where there is none."""
    for name in path.split("."):
        if isinstance(document, Mapping) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return MISSING
    return document


def sorted_by(documents: Sequence[Document], keys: Mapping[str, int]) -> list[Document]:
    found = list(documents)
    for path, way in reversed(list(keys.items())):
        found.sort(key=lambda one: order(at(one, path)), reverse=way < 0)
    return found


# ---- queries -------------------------------------------------------------------------------------


def matches(document: Document, query: Mapping[str, Any]) -> bool:
    return all(_holds(document, name, wanted) for name, wanted in query.items())


def _holds(document: Document, name: str, wanted: Any) -> bool:
    if name == "$and":
        return all(matches(document, one) for one in wanted)
    if name in ("$or", "$nor"):
        return any(matches(document, one) for one in wanted) is (name == "$or")
    if name == "$jsonSchema":
        return all(field in document for field in wanted.get("required", ()))
    if name.startswith("$"):
        raise CommandError(2, "BadValue", f"unknown top level operator: {name}")
    value = at(document, name)
    if isinstance(wanted, Mapping) and wanted and next(iter(wanted)).startswith("$"):
        return all(_passes(value, how, operand) for how, operand in wanted.items())
    return _passes(value, "$eq", wanted)


def _passes(value: Any, how: str, operand: Any) -> bool:
    if how in _COMPARED:
        values = [value, *value] if isinstance(value, list) else [value]
        return any(_compared(one, how, operand) for one in values)
    if how in ("$ne", "$nin"):
        return not _passes(value, "$eq" if how == "$ne" else "$in", operand)
    if how == "$not":
        return not all(_passes(value, *one) for one in operand.items())
    if how == "$in":
        return any(_passes(value, "$eq", one) for one in operand)
    if how == "$exists":
        return (value is not MISSING) is bool(operand)
    if how == "$type":
        return _type_of(value) in set(_type_numbers(operand))
    if how == "$regex":
        pattern = operand.pattern if isinstance(operand, Regex) else operand
        return isinstance(value, str) and re.search(pattern, value) is not None
    raise CommandError(2, "BadValue", f"unknown operator: {how}")


def _type_numbers(operand: Any) -> Iterator[int]:
    for one in operand if isinstance(operand, list) else [operand]:
        if one == "number":
            yield from (1, 16, 18, 19)
        else:
            yield one if isinstance(one, int) else _TYPES[one]


_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda a, b: a == b,
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
}


def _compared(value: Any, how: str, operand: Any) -> bool:
    """Only values of one kind compare, and NaN with nothing but itself."""
    if value is MISSING and operand is not None:
        return False
    one, other = order(value), order(operand)
    if one[0] != other[0]:
        return False
    if one[0] == 3 and (one[1][0] == 0 or other[1][0] == 0):
        return how in ("$eq", "$gte", "$lte") and one == other
    return _COMPARED[how](one, other)


def projected(document: Document, wanted: Mapping[str, Any] | None) -> Document:
    """Fields at the top that are wanted, or all but those that are not."""
    if not wanted:
        return document
    fields = {name: bool(flag) for name, flag in wanted.items() if name != "_id"}
    with_id = bool(wanted.get("_id", True))
    takes = any(fields.values()) or (not fields and with_id)
    return {
        name: value
        for name, value in document.items()
        if (with_id if name == "_id" else fields.get(name, not takes))
    }


# ---- updates -------------------------------------------------------------------------------------


def updated(document: Document, change: Mapping[str, Any], *, inserts: bool = False) -> Document:
    """The document with `$set`, `$unset`, `$inc` and `$setOnInsert` done to it."""
    made = copy.deepcopy(document)
    for how, fields in change.items():
        for path, value in fields.items():
            *above, name = path.split(".")
            within = made
            for step in above:
                within = within.setdefault(step, {})
            if how == "$set" or (how == "$setOnInsert" and inserts):
                within[name] = value
            elif how == "$unset":
                within.pop(name, None)
            elif how == "$inc":
                within[name] = within.get(name, 0) + value
            elif how != "$setOnInsert":
                raise CommandError(9, "FailedToParse", f"Unknown modifier: {how}")
    return made
