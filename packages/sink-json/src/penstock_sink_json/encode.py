"""Records as strict JSON text, a batch at a time.

A batch is encoded by one call. Only when that call objects, or when its result could hide a number
that JSON does not have, does anything look at single records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import chain
from math import isfinite
from operator import countOf
from pathlib import PurePath
from re import compile as pattern
from typing import Any
from uuid import UUID

import orjson

from penstock import Batch, Failure, RecordError

__all__ = ["Encoder"]

_DEEPEST = 200
_LEAST, _MOST = -(2**63), 2**64 - 1
_null_in = pattern(b"null").search  # twice as fast as `in` on text of this kind

# The text of a batch is encoded as one list with a mark after each record. No JSON text contains a
# line feed (in strings it is escaped), so the marks are certain to be found again, and a mark of
# this length is found fastest. Encoding record by record costs three times as much.
_MARK = orjson.Fragment(b"\n" * 8)
_MARKED = b"," + b"\n" * 8 + b","


class Encoder:
    """Encodes batches. `separator` stands between records; with `indent` it is ",\\n". `advice` is
    what to do about a number that JSON does not have."""

    def __init__(
        self,
        separator: bytes = b"\n",
        *,
        indent: bool = False,
        sort_keys: bool = False,
        decimal_as_number: bool = False,
        nan_as_null: bool = False,
        advice: str = "set nan: null, or take it out",
    ) -> None:
        self._separator = separator
        self._indent = indent
        self._option = (orjson.OPT_SORT_KEYS if sort_keys else 0) | (
            orjson.OPT_INDENT_2 if indent else 0
        )
        self._nan_as_null = nan_as_null
        self._advice = advice
        self._decimal: Callable[[Decimal], Any] = _number if decimal_as_number else str

    def encode(self, batch: Batch) -> tuple[bytes, Sequence[Failure]]:
        """The text of every record that has one, without a separator at its end."""
        records = batch.records if type(batch.records) is list else list(batch.records)
        try:
            return (self._strict(records) if records else b""), ()
        except _UNFIT:
            failures: list[Failure] = []
            parts = list(self._apart(records, 0, batch, failures))
            return self._separator.join(parts), failures

    def _apart(
        self, records: list[Any], start: int, batch: Batch, failures: list[Failure]
    ) -> list[bytes]:
        """Halve what cannot be encoded until the records that are to blame stand alone."""
        if len(records) == 1:
            try:
                return [self._text([self._plain(records[0])])]
            except (RecordError, *_UNFIT) as error:
                failures.append(Failure(records[0], batch.ordinals[start], error))
                return []
        parts = []
        middle = len(records) // 2
        for first, half in ((start, records[:middle]), (start + middle, records[middle:])):
            try:
                parts.append(self._strict(half))
            except _UNFIT:
                parts.extend(self._apart(half, first, batch, failures))
        return parts

    def _text(self, records: list[Any]) -> bytes:
        if self._indent:
            return orjson.dumps(records, self._default, self._option)[2:-2]
        marked = [_MARK] * (2 * len(records) - 1)
        marked[::2] = records
        text = orjson.dumps(marked, self._default, self._option)[1:-1]
        return self._separator.join(text.split(_MARKED))

    def _strict(self, records: list[Any]) -> bytes:
        text = self._text(records)
        if _null_in(text) and not self._nan_as_null and self._hides_nan(text, records):
            raise _HiddenNan
        return text

    def _hides_nan(self, text: bytes, records: list[Any]) -> bool:
        """Whether a `null` in the text stands for a float that is not a number."""
        try:
            # Each None gives one `null`; if there are no others, none hides anything.
            nones = countOf(chain.from_iterable(map(dict.values, records)), None)
        except TypeError:  # not dicts
            nones = -1
        if nones == text.count(b"null"):
            return False
        if not self._indent:
            lines = text.split(self._separator)
            records = [one for line, one in zip(lines, records) if b"null" in line]
        return not _all_finite(records)

    def _default(self, value: Any) -> Any:
        """Called by orjson for what it does not know; a TypeError means that there is no form."""
        if isinstance(value, Decimal):
            return self._decimal(value)
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, float):
            return float(value)
        raise TypeError(type(value).__name__)

    def _plain(self, value: Any, path: str = "", depth: int = 0) -> Any:
        """`value` made of what orjson encodes exactly, or RecordError that says where it is not."""
        if depth > _DEEPEST:
            raise RecordError(f"is nested more than {_DEEPEST} deep; flatten it")
        if value is None or isinstance(value, (bool, Enum, UUID)):
            return self._plain(value.value, path, depth + 1) if isinstance(value, Enum) else value
        if isinstance(value, str):
            return _checked_text(value, path)
        if isinstance(value, int):
            return value if _LEAST <= value <= _MOST else _long(value, path)
        if isinstance(value, float):
            return self._plain_float(value, path)
        if isinstance(value, dict):
            return {
                _checked_key(key, path): self._plain(
                    one, f"{path}.{key}" if path else key, depth + 1
                )
                for key, one in value.items()
            }
        if type(value) in (list, tuple):
            return [self._plain(one, f"{path}[{i}]", depth + 1) for i, one in enumerate(value)]
        if isinstance(value, (date, time)):
            return value.isoformat()
        if is_dataclass(value) and not isinstance(value, type):
            named = {one.name: getattr(value, one.name) for one in fields(value)}
            return self._plain({k: v for k, v in named.items() if k[0] != "_"}, path, depth)
        try:
            return self._default(value)
        except TypeError:
            raise RecordError(f"{_at(path)} holds {_what(value)}") from None

    def _plain_float(self, value: float, path: str) -> float | None:
        if isfinite(value):
            return value
        if self._nan_as_null:
            return None
        hint = self._advice
        raise RecordError(f"{_at(path)} holds {value!r}, which JSON does not have; {hint}")


class _HiddenNan(Exception):
    """A batch holds a number that orjson writes as null without a word."""


_UNFIT = (orjson.JSONEncodeError, ValueError, _HiddenNan)


def _number(value: Decimal) -> orjson.Fragment:
    if not value.is_finite():
        raise TypeError("a number that JSON does not have")
    return orjson.Fragment(str(value).encode())


def _long(value: int, path: str) -> orjson.Fragment:
    try:
        return orjson.Fragment(str(value).encode())
    except ValueError:  # Python writes no number with more than 4300 digits
        what = "a number with more digits than can be written"
        raise RecordError(f"{_at(path)} holds {what}; take it out") from None


_NO_FLOATS = {str, int, bool, type(None), date, datetime, Decimal}


def _all_finite(values: Iterable[Any]) -> bool:
    for value in [one for one in values if type(one) not in _NO_FLOATS]:
        if isinstance(value, float):
            if not isfinite(value):
                return False
        elif isinstance(value, dict):
            if not _all_finite(value.values()):
                return False
        elif isinstance(value, (list, tuple)):
            if not _all_finite(value):
                return False
        elif isinstance(value, Enum):
            if not _all_finite([value.value]):
                return False
        elif is_dataclass(value):
            if not _all_finite([getattr(value, one.name) for one in fields(value)]):
                return False
    return True


def _checked_text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"the lone surrogate {text[error.start]!r}"
        raise RecordError(f"{_at(path)} holds {found}, which is no character; replace it") from None
    return text


def _checked_key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return _checked_text(key, f"{path}.{key}" if path else key)
    try:
        shown = repr(key)
    except ValueError:  # a number with very many digits
        shown = f"of type {type(key).__name__}"
    raise RecordError(f"{_at(path)} has the key {shown}; make it text, as JSON keys are")


def _at(path: str) -> str:
    return f"field {path!r}" if path else "the record"


def _what(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes, for which JSON has no form; decode them or leave them out"
    if isinstance(value, (set, frozenset)):
        return "a set, which has no order; make it a sorted list"
    if isinstance(value, Decimal):
        return f"{value}, which JSON does not have; set decimal: text, or take it out"
    return f"a value of type {type(value).__name__}, for which JSON has no form; cast it first"
