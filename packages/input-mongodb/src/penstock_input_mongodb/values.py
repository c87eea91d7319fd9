"""Documents as plain Python, and values of keys as text that brings them back exactly."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

import bson
from bson import (
    Binary,
    Code,
    CodecOptions,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    UuidRepresentation,
    json_util,
)
from bson.codec_options import DatetimeConversion, TypeDecoder, TypeRegistry

__all__ = ["EXACT", "as_filter", "as_text", "from_text", "last_of", "records_of"]


def _decoder(kind: type, read: Callable[[Any], Any]) -> TypeDecoder:
    class Decoder(TypeDecoder):
        bson_type = kind

        def transform_bson(self, value: Any) -> Any:
            return read(value)

    return Decoder()


_PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    type_registry=TypeRegistry(
        [
            _decoder(ObjectId, str),
            _decoder(Decimal128, Decimal128.to_decimal),
            _decoder(Int64, int),
            _decoder(Binary, bytes),
            _decoder(Timestamp, Timestamp.as_datetime),
            _decoder(Regex, lambda value: value.pattern),
            _decoder(Code, str),
            _decoder(DBRef, lambda value: {"collection": value.collection, "id": value.id}),
            _decoder(DatetimeMS, int),
            _decoder(MinKey, repr),
            _decoder(MaxKey, repr),
        ]
    ),
)
EXACT: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""With these, what is read compares in the server as what it was read from."""


def records_of(page: bytes) -> list[dict[str, Any]]:
    """The documents of a page."""
    return bson.decode_all(page, _PLAIN)


def last_of(page: bytes) -> dict[str, Any]:
    """The last document of a page, with values as BSON has them."""
    start = following = 0
    while following < len(page):
        start = following
        following += struct.unpack_from("<i", page, start)[0]
    return bson.decode(page[start:], EXACT)


def as_text(values: Sequence[Any]) -> str:
    return json_util.dumps(list(values), json_options=json_util.CANONICAL_JSON_OPTIONS)


def from_text(text: str) -> list[Any]:
    found: list[Any] = json_util.loads(text, json_options=json_util.CANONICAL_JSON_OPTIONS)
    return found


def as_filter(given: Any) -> Any:
    """A filter as the client takes it: `{"$oid": …}`, `{"$date": …}` and the like, as MongoDB's
    Extended JSON writes what a file cannot hold, become what they mean."""
    if isinstance(given, dict):
        inner = {name: as_filter(value) for name, value in given.items()}
        if len(inner) == 1 and next(iter(inner)) in _EXTENDED:
            return json_util.loads(json.dumps(inner, default=str))
        return inner
    return [as_filter(one) for one in given] if isinstance(given, list) else given


_EXTENDED = ("$oid", "$date", "$numberDecimal", "$numberLong", "$uuid", "$binary", "$timestamp")
