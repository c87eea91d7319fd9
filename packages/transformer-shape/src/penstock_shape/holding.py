"""Records that a stage keeps for later: how it gives them up, and how it survives a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from penstock import BATCH_SIZE, Batch, Failure, RunError
from penstock.store import decode_record, encode_record

__all__ = ["Held", "dropped", "failed", "freeze", "give_up", "thaw"]


class Held(NamedTuple):
    """A record, and the source record it is accounted under."""

    source: str
    ordinal: int
    record: Any


def give_up(held: Iterable[Held]) -> Iterator[Batch]:
    """Held records in this order; each batch has one source and answers for its own records."""
    for source, group in groupby(held, key=itemgetter(0)):
        while part := list(islice(group, BATCH_SIZE)):
            _, ordinals, records = zip(*part)
            yield Batch(list(records), source, ordinals)


def failed(source: str, failures: Sequence[Failure]) -> Iterator[Batch]:
    """A batch that answers for failures alone, if there are any."""
    if failures:
        yield Batch([], source, [], failures=failures)


def dropped(counts: dict[str, int]) -> Iterator[Batch]:
    """Batches that answer for records held earlier which nothing will come of."""
    for source, count in counts.items():
        yield Batch([], source, [], consumed=count)


def freeze(value: Any, where: str) -> str:
    """A part of a stage's state as text that `thaw` makes equal values of again."""
    text = encode_record(value)
    if '"$repr"' in text and decode_record(text) != value:
        found = text.split('"$repr": "', 1)[1].split('"', 1)[0]
        raise RunError(
            f"holds a value that cannot be kept for resuming: {found}",
            where=where,
            hint="cast it to text first",
        )
    return text


def thaw(text: str) -> Any:
    return decode_record(text)
