"""From the bytes of a message to a record and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from penstock import Batch, ConnectError, Failure, RecordError
from penstock.build import load_beside
from penstock_input_json.parse import Parser
from penstock_sink_json.encode import Encoder

__all__ = ["Decode", "Encode", "check_codec", "decoder", "encoder", "function_named"]

Decode = Callable[[list[bytes]], "tuple[list[Any], dict[int, Exception]]"]
"""Values of texts; those at the indices of the errors stand for nothing."""

Encode = Callable[[Batch], "tuple[list[bytes], Sequence[Failure]]"]
"""The bytes of the records that have some, in order, and the failures of the others."""

_ADVICE = "read the topic with codec: bytes, or a function of its own"
_NAMED = ("json", "text", "bytes")


def check_codec(value: str) -> None:
    if value not in _NAMED and ":" not in value:
        raise ValueError(f'must be json, text, bytes or "module:function", got {value!r}')


def decoder(codec: str) -> Decode:
    if codec == "json":
        return _json_decoder()
    if codec == "bytes":
        return lambda texts: (texts, {})
    return _one_by_one(_text_of if codec == "text" else function_named(codec))


def encoder(codec: str) -> Encode:
    if codec == "json":
        return _json_encoder()
    function = {"text": _bytes_of_text, "bytes": _bytes_of}.get(codec) or function_named(codec)

    def encode(batch: Batch) -> tuple[list[bytes], Sequence[Failure]]:
        made, failures = [], []
        for record, ordinal in zip(batch.records, batch.ordinals):
            try:
                value = function(record)
                if not isinstance(value, (bytes, bytearray, memoryview)):
                    raise RecordError(f"the codec must give bytes, not {type(value).__name__}")
                made.append(bytes(value))
            except Exception as error:
                failures.append(Failure(record, ordinal, error))
        return made, failures

    return encode


def function_named(name: str) -> Callable[[Any], Any]:
    """The function "module:function"; a module in the current folder is found as well."""
    found = load_beside(name, Path())
    if not callable(found):
        raise ConnectError("is no function", where=name, hint="name one as module:function")
    made: Callable[[Any], Any] = found
    return made


def _json_decoder() -> Decode:
    parse = Parser(advice=_ADVICE).parse

    def decode(texts: list[bytes]) -> tuple[list[Any], dict[int, Exception]]:
        data = b"\n".join(texts)
        values, bad, blank = parse(texts, data, 0, len(data))
        errors: dict[int, Exception] = dict(bad)
        for index in blank:
            errors[index] = RecordError("the message is empty")
        return values, errors

    return decode


def _json_encoder() -> Encode:
    encode_all = Encoder(b"\n", advice="make it null, or take it out").encode

    def encode(batch: Batch) -> tuple[list[bytes], Sequence[Failure]]:
        text, failures = encode_all(batch)
        return (text.split(b"\n") if text else []), failures

    return encode


def _one_by_one(function: Callable[[bytes], Any]) -> Decode:
    def decode(texts: list[bytes]) -> tuple[list[Any], dict[int, Exception]]:
        values: list[Any] = []
        errors: dict[int, Exception] = {}
        for index, text in enumerate(texts):
            try:
                values.append(function(text))
            except Exception as error:
                errors[index] = error
                values.append(None)
        return values, errors

    return decode


def _text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"the byte 0x{data[error.start]:02x} is not UTF-8") from None


def _bytes_of_text(record: Any) -> bytes:
    if not isinstance(record, str):
        raise RecordError(f"is no text but {type(record).__name__}; use codec: json")
    return record.encode()


def _bytes_of(record: Any) -> bytes:
    if not isinstance(record, (bytes, bytearray, memoryview)):
        raise RecordError(f"is no bytes but {type(record).__name__}; use codec: json")
    return bytes(record)
