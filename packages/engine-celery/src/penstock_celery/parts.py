"""The parts of an input: kept in the ledger as JSON, made again where a chunk is run.

A part is a copy of its input with other attributes, as two bounds of a key. What differs is what is
kept; nothing is pickled, and nothing but attributes of that same class is ever set.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock import Batch, Context, Input, RunError
from penstock.store import decode_record, encode_record

__all__ = ["Nothing", "Part", "part_of", "text_of"]

_ABSENT = object()


def text_of(part: Input, whole: Input) -> str:
    """What makes `part` a part of `whole`, as JSON text. RunError when JSON cannot hold it."""
    kept = {
        name: value
        for name, value in vars(part).items()
        if name != "context" and not _same(value, vars(whole).get(name, _ABSENT))
    }
    text = encode_record(kept)
    if type(part) is not type(whole) or decode_record(text) != kept:
        raise RunError(
            f"a part of {type(whole).__name__} cannot be kept in the ledger",
            hint="its split must give copies that differ in plain values",
        )
    return text


def part_of(whole: Input, text: str) -> Input:
    """The part that `text_of` was given, made of an input that was not opened."""
    part = copy.copy(whole)
    for name, value in decode_record(text).items():
        setattr(part, name, value)
    return part


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


class Part(Input):
    """A part at work. Its records count from one, so their source is the input's name with the
    number of the chunk, as "orders/3"."""

    def __init__(self, inner: Input, number: int) -> None:
        self.inner = inner
        self.number = number
        self.capability = inner.capability
        self.finite = inner.finite

    def open(self, context: Context) -> None:
        super().open(context)
        self.inner.open(context)

    def close(self) -> None:
        self.inner.close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        name = self.context.name
        source = f"{name}/{self.number}"
        there = {name: positions[source]} if source in positions else {}
        for batch in self.inner.read(there):
            if batch is not None:
                batch.source = source
            yield batch

    def split(self, n: int) -> Sequence[Input]:
        return [self]

    def progress(self) -> float | None:
        return self.inner.progress()


class Nothing(Input):
    """Stands where another input of the pipeline is, which other chunks read."""

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        yield from ()
