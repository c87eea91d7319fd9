"""From records to documents: names and values as BSON takes them, or why it does not."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal, DecimalException
from itertools import chain
from typing import Any, Literal

import bson
from bson import Binary, Decimal128, Int64
from bson.errors import BSONError

from penstock import RecordError

__all__ = ["Documents", "Names"]

Names = Literal["refuse", "replace", "keep"]
Document = dict[str, Any]

_PLAIN = frozenset({str, int, float, bool, type(None), bytes, dt.datetime, bson.ObjectId, Int64})
_MOST_SHAPES = 1000
_LARGEST = 2**63
_REPLACED = {"$": "&", ".": ":", "\0": "\ufffd"}


class Documents:
    """Makes documents. `most_bytes` is what the server takes for one at most."""

    def __init__(self, names: Names, most_bytes: int) -> None:
        self.names = names
        self.most_bytes = most_bytes
        self._good_shapes: set[tuple[Any, ...]] = set()

    def made_of(self, records: Sequence[Any]) -> list[Document | RecordError]:
        """A document for each record, or what is wrong with it. What is a plain dict of plain
        values is given as it is: whoever changes it makes a copy."""
        records = list(records)
        if set(map(type, records)) == {dict} and self._all_plain(records):
            return records
        return [self._document(record) for record in records]

    def _all_plain(self, records: Sequence[Document]) -> bool:
        shapes = set(map(tuple, records))
        for shape in shapes - self._good_shapes:
            if any(_problem(name) for name in shape):
                return False
            if len(self._good_shapes) < _MOST_SHAPES:
                self._good_shapes.add(shape)
        return set(map(type, chain.from_iterable(map(dict.values, records)))) <= _PLAIN

    def _document(self, record: Any) -> Document | RecordError:
        if is_dataclass(record) and not isinstance(record, type):
            record = asdict(record)
        if not isinstance(record, Mapping):
            return RecordError(f"is no mapping but {type(record).__name__}, so it has no fields")
        try:
            return self._mapping(record, "")
        except RecordError as error:
            return error

    # ---- names ----------------------------------------------------------------------------------

    def _mapping(self, given: Mapping[Any, Any], path: str) -> Document:
        made: Document = {}
        for name, value in given.items():
            named = self._name(name, path)
            if named in made:
                raise RecordError(f"two fields would be named {path + named!r}")
            inner = value if type(value) in _PLAIN else self._value(value, f"{path}{name}.")
            made[named] = inner
        return made

    def _name(self, name: Any, path: str) -> str:
        problem = _problem(name)
        if not problem:
            return str(name)
        refused = self.names == "refuse" or not isinstance(name, str)
        if self.names == "keep":  # no BSON has the one, the server takes the other for an operator
            refused = refused or "\0" in name or (not path and name.startswith("$"))
        if refused:
            raise RecordError(f"has a field {path + str(name)!r}, whose name {problem}")
        if self.names == "keep":
            return str(name)
        made = name.replace(".", _REPLACED["."]).replace("\0", _REPLACED["\0"]) or "_"
        return f"{_REPLACED['$']}{made[1:]}" if made.startswith("$") else made

    # ---- values ---------------------------------------------------------------------------------

    def _value(self, value: Any, path: str) -> Any:
        """A value as BSON has it; what it does not know is refused when it is encoded."""
        if isinstance(value, Mapping):
            return self._mapping(value, path)
        if isinstance(value, (list, tuple, set, frozenset)):
            return [
                one if type(one) in _PLAIN else self._value(one, f"{path}{index}.")
                for index, one in enumerate(value)
            ]
        if isinstance(value, enum.Enum):
            return self._value(value.value, path)
        if isinstance(value, Decimal):
            return _decimal(value, path)
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return dt.datetime(value.year, value.month, value.day)
        if isinstance(value, dt.time):
            return value.isoformat()
        if isinstance(value, uuid.UUID):
            return Binary.from_uuid(value)
        if isinstance(value, bytearray):
            return bytes(value)
        if is_dataclass(value) and not isinstance(value, type):
            return self._mapping(asdict(value), path)
        return value

    def may_be_too_large(self, documents: Iterable[Document]) -> bool:
        """Whether one of them could be larger than the server takes; nearly always it is plain
        that none is, from all of them together."""
        return 4 * sum(map(_weight, documents)) >= self.most_bytes

    def checked(self, document: Document) -> Document | RecordError:
        """The document, with whole numbers that BSON does not have as decimals; what is wrong with
        one that cannot be written, before it is sent."""
        try:
            return self._encodable(document)
        except RecordError as error:
            return error
        except (BSONError, UnicodeError, OverflowError, TypeError) as error:
            return RecordError(f"cannot be a document: {' '.join(str(error).split())}")

    def _encodable(self, document: Document) -> Document:
        try:
            size = len(bson.encode(document))
        except OverflowError:
            document = _without_large(document, "")
            size = len(bson.encode(document))
        if size > self.most_bytes:
            raise RecordError(
                f"takes {size} bytes as a document, the server takes {self.most_bytes} at most"
            )
        return document


def _weight(value: Any) -> int:
    """At least a fourth of the bytes that a value takes, but for the names at the top."""
    total = 0
    for one in value.values() if type(value) is dict else value:
        kind = type(one)
        if kind is str or kind is bytes:
            total += len(one)
        elif kind is dict or kind is list:
            total += _weight(one) + 6 * len(one) + (sum(map(len, one)) if kind is dict else 0)
    return total


def _problem(name: Any) -> str:
    """What is wrong with the name of a field, or nothing."""
    if not isinstance(name, str):
        return "is no text"
    if not name:
        return "is empty"
    if name[0] == "$":
        return "begins with '$'"
    if "." in name:
        return "has a '.'"
    return "has a NUL" if "\0" in name else ""


def _decimal(value: Decimal | int, path: str) -> Decimal128:
    try:
        return Decimal128(Decimal(value))
    except (DecimalException, ValueError):
        place = path.rstrip(".")
        raise RecordError(f"{place!r} is a number of more than 34 digits") from None


def _without_large(value: Any, path: str) -> Any:
    """The same with whole numbers beyond 64 bits as decimals."""
    if isinstance(value, dict):
        return {name: _without_large(one, f"{path}{name}.") for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_large(one, f"{path}{index}.") for index, one in enumerate(value)]
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return _decimal(value, path)
    return value
