"""Messages of a topic as records."""

from __future__ import annotations

from typing import Any

from penstock import Batch, Failure, RecordError

from .codecs import Decode

__all__ = ["EOS_HEADER", "is_mark", "records_of"]

EOS_HEADER = "penstock-eos"
_MARKS = (b'{"eos__":true}', b'{"eos__": true}')
_TOMBSTONE = RecordError("a tombstone has no value; read it with record: message")


def records_of(messages: list[Any], decode: Decode, decode_key: Decode, *, whole: bool) -> Batch:
    """The records that messages hold, or with `whole` the messages as records; those that cannot be
    read are failures. Ordinals are offsets, from 1."""
    values = [message.value for message in messages]
    ordinals: list[int] | range = [message.offset + 1 for message in messages]
    failures: list[Failure] = []
    if ordinals and ordinals[-1] - ordinals[0] + 1 == len(ordinals):
        ordinals = range(ordinals[0], ordinals[-1] + 1)
    tombs = {index for index, value in enumerate(values) if value is None}
    filled = [b"null" if value is None else value for value in values] if tombs else values
    records, errors = decode(filled)
    if whole:
        keys, wrong = decode_key([message.key or b'""' for message in messages])
        errors = {**wrong, **errors}
        records = [
            _message(message, key, None if index in tombs else record)
            for index, (message, key, record) in enumerate(zip(messages, keys, records))
        ]
        errors = {index: error for index, error in errors.items() if index not in tombs}
    elif tombs:
        errors |= dict.fromkeys(tombs, _TOMBSTONE)
    if errors:
        failures = [
            Failure(_raw(messages[index]), messages[index].offset + 1, error)
            for index, error in sorted(errors.items())
        ]
        good = [index for index in range(len(messages)) if index not in errors]
        records = [records[index] for index in good]
        ordinals = [ordinals[index] for index in good]
    return Batch(records, "", ordinals, failures=failures)


def is_mark(message: Any) -> bool:
    """Whether a message says that the stream ends."""
    value = message.value
    if value is None or len(value) > 15:
        return False
    return value in _MARKS or any(name == EOS_HEADER for name, _ in message.headers)


def _message(message: Any, key: Any, value: Any) -> dict[str, Any]:
    return {
        "key": None if message.key is None else key,
        "value": value,
        "headers": {name: _shown(data) for name, data in message.headers},
        "timestamp": message.timestamp,
        "partition": message.partition,
        "offset": message.offset,
    }


def _raw(message: Any) -> dict[str, Any]:
    """A message as it is, for the dead letters."""
    return {
        "key": message.key,
        "value": message.value,
        "headers": [list(header) for header in message.headers],
        "timestamp": message.timestamp,
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
    }


def _shown(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "backslashreplace")
