"""Checkpoints in a topic, written in the transactions whose records they are about.

Each output has a topic of its own with one partition, compacted to the last checkpoint. Only the
producer of that output writes there, so once it has begun anew nothing is open in it, and its last
message is the last commit. One that is too long for a message is several in a row.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from penstock import Checkpoint, ConnectError, TransientError

from .broker import KafkaBroker
from .clients import connected, sentences
from .library import load

__all__ = ["last_checkpoint", "messages_of", "settled_checkpoint", "topic_of"]

_STREAM = "penstock-stream"
"""The header of a checkpoint that says which topic its output writes to."""
_PART = "penstock-part"
"""The header of one of several messages, as "2/3"."""

_LOOK_EVERY = 0.05
_TAIL = 16
_LONGEST = 200


def topic_of(prefix: str, pipeline: str, output: str) -> str:
    """The topic, and the name of the producer, of an output."""
    name = f"{prefix}.{pipeline}.{output}"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    if plain == name and len(name) <= _LONGEST:
        return name
    return f"{plain[:_LONGEST]}.{crc32(name.encode()):08x}"


def messages_of(
    checkpoint: Checkpoint, stream: str, longest: int
) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """The value, key and headers of each message that a checkpoint is. A message has at most
    `longest` bytes, and at most what a topic takes if nobody has said otherwise."""
    data = checkpoint.to_json().encode()
    size = min(longest, 1 << 20) * 3 // 4  # the rest is for key and headers
    parts = [data[first : first + size] for first in range(0, len(data), size)]
    for number, part in enumerate(parts, 1):
        headers = [(_STREAM, stream.encode())]
        if len(parts) > 1:
            headers.append((_PART, f"{number}/{len(parts)}".encode()))
        # Compaction leaves the last message of each key: all parts of the last checkpoint.
        key = f"checkpoint/{number}" if number < len(parts) else "checkpoint"
        yield part, key.encode(), headers


def last_checkpoint(broker: KafkaBroker, topic: str, stream: str) -> Checkpoint | None:
    """What was committed last; ConnectError when that was by an output to another topic than
    `stream`: two pipelines of one name, which would take each other's place."""
    consumer = connected(
        broker,
        "KafkaConsumer",
        client_id="penstock-checkpoints",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        metrics_enabled=False,
    )
    try:
        with sentences(topic, ConnectError):
            tp = load().TopicPartition(topic, 0)
            consumer.assign([tp])
            first, end = consumer.beginning_offsets([tp])[tp], consumer.end_offsets([tp])[tp]
            back = _TAIL
            while True:
                start = max(first, end - back)
                found = _last_between(consumer, tp, start, end)
                if found or start == first:
                    break
                back *= 8
    finally:
        consumer.close()
    if not found:
        return None
    other = dict(found[-1].headers).get(_STREAM, b"").decode()
    if other and other != stream:
        raise ConnectError(
            f"holds the checkpoint of a pipeline of this name that writes to {other!r}",
            where=topic,
            hint="give this pipeline another name (name: ...), or its output",
        )
    return Checkpoint.from_json(b"".join(one.value for one in found).decode())


def settled_checkpoint(
    broker: KafkaBroker, topic: str, stream: str, patience: float
) -> Checkpoint | None:
    """What another producer has committed last, once it is decided what becomes of whatever it had
    begun to commit: a message may be there, of somebody who is dead, that is committed any moment.
    TransientError when that takes more than `patience` seconds."""
    consumers = [
        connected(
            broker,
            "KafkaConsumer",
            client_id="penstock-checkpoints",
            enable_auto_commit=False,
            isolation_level=isolation,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        for isolation in ("read_uncommitted", "read_committed")
    ]
    every, committed = consumers
    try:
        with sentences(topic, ConnectError):
            if topic not in every.topics():
                return None
            tp = load().TopicPartition(topic, 0)
            end = every.end_offsets([tp])[tp]
            until = time.monotonic() + patience
            while committed.end_offsets([tp])[tp] < end:
                if time.monotonic() > until:
                    raise TransientError(f"{topic}: a transaction is open for {patience:g} s")
                time.sleep(_LOOK_EVERY)
    finally:
        for consumer in consumers:
            consumer.close()
    return last_checkpoint(broker, topic, stream)


def _last_between(consumer: Any, tp: Any, start: int, end: int) -> list[Any]:
    """The messages of the last checkpoint that begins at `start` or later; the offsets up to `end`
    hold those of transactions too."""
    consumer.seek(tp, start)
    found: list[Any] = []
    parts: list[Any] = []
    while (consumer.position(tp) or 0) < end:
        for messages in consumer.poll(timeout_ms=500).values():
            for message in messages:
                number, _, count = dict(message.headers).get(_PART, b"1/1").partition(b"/")
                # Others may be left of checkpoints that had more parts.
                parts = [*parts[: int(number) - 1], message]
                if len(parts) == int(number) == int(count):
                    found = parts
    return found
