"""How messages of Kafka are read and made, as far as the front needs it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from struct import Struct, pack, pack_into, unpack_from
from typing import Any

__all__ = [
    "HEAD",
    "Reader",
    "Request",
    "array",
    "compact",
    "framed",
    "producer_of",
    "read_frame",
    "text",
    "without_producer",
]

HEAD = Struct(">hhi")
"""Of a request: which, in which version, and its number."""
_SIZE = Struct(">i")
_CHECKED, _PRODUCER = 21, 43  # where in a batch begins what has a checksum, and its producer stands


class Reader:
    """Takes the fields of a message one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, kind: str) -> Any:
        (value,) = unpack_from(f">{kind}", self._data, self.at)
        self.at += Struct(f">{kind}").size
        return value

    def skip(self, *kinds: str) -> None:
        for kind in kinds:
            self.text() if kind == "text" else self.take(kind)

    def bytes(self, length: int) -> bytes:
        self.at += max(length, 0)
        return self._data[self.at - max(length, 0) : self.at]

    def text(self) -> str | None:
        length = self.take("h")
        return None if length < 0 else self.bytes(length).decode()

    def array(self) -> range:
        """As many steps as it has members."""
        return range(self.take("i"))

    # The compact forms: a length is one more, in groups of seven bits, and 0 stands for nothing.

    def number(self) -> int:
        value = shift = 0
        while True:
            byte: int = self.take("B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def compact_text(self) -> str | None:
        length = self.number() - 1
        return None if length < 0 else self.bytes(length).decode()

    def compact_array(self) -> range:
        return range(self.number() - 1)

    def tags(self) -> None:
        for _ in range(self.number()):
            self.number()
            self.bytes(self.number())


@dataclass
class Request:
    """A request as it came, and its fields after the head."""

    frame: bytes
    key: int
    version: int
    number: int
    fields: Reader

    @classmethod
    def of(cls, frame: bytes) -> Request:
        key, version, number = HEAD.unpack_from(frame)
        fields = Reader(frame)
        fields.skip("h", "h", "i", "text")
        return cls(frame, key, version, number, fields)

    def answer(self, body: bytes) -> bytes:
        return _SIZE.pack(self.number) + body


def producer_of(batch: bytes) -> tuple[int, int]:
    """The number and the epoch of who has made a batch."""
    number, epoch = unpack_from(">qh", batch, _PRODUCER)
    return number, epoch


def without_producer(batch: bytes) -> bytes:
    """A batch as of a producer that has no transactions: what has been given up would be missing
    in the sequence that the cluster wants to see."""
    checked = bytearray(batch[_CHECKED:])
    checked[1] &= ~0x10 & 0xFF  # it is of no transaction
    pack_into(">qhi", checked, _PRODUCER - _CHECKED, -1, -1, -1)
    return batch[: _CHECKED - 4] + pack(">I", _checksum(checked)) + bytes(checked)


def _checksum(data: bytearray) -> int:
    """The CRC-32C."""
    value, table = 0xFFFFFFFF, _checksums()
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


@cache
def _checksums() -> list[int]:
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return table


def array(members: list[bytes]) -> bytes:
    return pack(">i", len(members)) + b"".join(members)


def text(value: str | None) -> bytes:
    if value is None:
        return pack(">h", -1)
    data = value.encode()
    return pack(">h", len(data)) + data


def compact(value: str) -> bytes:
    data = value.encode()
    length = len(data) + 1  # in groups of seven bits; a name of a topic has 249 at most
    return bytes([length] if length < 128 else [length & 0x7F | 0x80, length >> 7]) + data


def framed(message: bytes) -> bytes:
    return _SIZE.pack(len(message)) + message


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
    return await reader.readexactly(size)
