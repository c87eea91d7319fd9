"""Records that kill the process: found by going ever more slowly, and set aside.

A process that dies leaves only what it noted beforehand. After three deaths in one epoch every
batch becomes an epoch of its own; after a death of a batch by itself, every record of it. A record
is set aside when the process has died of it three times by itself: one death there may be chance,
as when somebody pulls the plug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from .batch import Batch, Failure
from .errors import RecordError

__all__ = ["DEATHS", "STAY", "Care", "cut", "last_ordinal"]

DEATHS = 3
_KILLS = f"killed the worker {DEATHS} times when it was tried by itself"

STAY = object()
"""As the `resume` of a batch: the position stays where it is, only the ordinals move on."""


class Care:
    """How carefully a run must go; `attempt(place)` notes durably that something is tried and
    returns how often it was."""

    def __init__(self, attempt: Callable[[str], int]) -> None:
        self.attempt = attempt
        self.careful = False
        self._noted: Mapping[str, int] = {}

    def resume(self, noted: Mapping[str, int]) -> None:
        """Learn what earlier processes had noted, and not settled, when they died."""
        self._noted = noted
        self.careful = any(not place.startswith("epoch") for place in noted)

    def begin_epoch(self, read: int) -> None:
        """An epoch is known by what was read before it: its number may grow with every start."""
        attempts = self.attempt(f"epoch after {read} records")
        self.careful = self.careful or attempts > DEATHS

    def pieces(self, batch: Batch) -> Iterator[Batch]:
        """The batch whole, or each record by itself when the worker has died of the batch.

        A piece with STAY must be committed before the next one is asked for.
        """
        if not len(batch.ordinals):
            yield batch
            return
        died = self._died("batch", batch) or self._died("record", batch)
        again = self.attempt(f"batch {batch.source}:{batch.ordinals[0]}") > 1
        if not died and not again:
            yield batch
            return
        for piece in _one_by_one(batch):
            if self._died("record", piece) >= DEATHS:
                failures = [Failure(piece.records[0], piece.ordinals[0], RecordError(_KILLS))]
                yield Batch([], batch.source, [], STAY, failures)
                self.careful = False  # what killed is found
                continue
            if len(piece.ordinals):
                self.attempt(f"record {batch.source}:{piece.ordinals[0]}")
            yield piece
        yield Batch([], batch.source, [], batch.resume)

    def _died(self, what: str, batch: Batch) -> int:
        """How often processes have died at a record of this batch."""
        places = (f"{what} {batch.source}:{ordinal}" for ordinal in batch.ordinals)
        return max((self._noted.get(place, 0) for place in places), default=0)


def last_ordinal(batch: Batch) -> int:
    """The highest ordinal in a batch fresh from an input, failures among them; 0 for an empty
    one."""
    last = batch.ordinals[-1] if len(batch.ordinals) else 0
    return max([last, *(failure.ordinal for failure in batch.failures)])


def cut(batch: Batch, count: int) -> Batch:
    """At most `count` records of a batch, those that failed among them."""
    if len(batch.records) + len(batch.failures) <= count:
        return batch
    numbers = sorted([*batch.ordinals, *(failure.ordinal for failure in batch.failures)])
    last = numbers[count - 1] if count > 0 else 0
    ordinals = [ordinal for ordinal in batch.ordinals if ordinal <= last]
    failures = [failure for failure in batch.failures if failure.ordinal <= last]
    return Batch(batch.records[: len(ordinals)], batch.source, ordinals, STAY, failures)


def _one_by_one(batch: Batch) -> Iterable[Batch]:
    """A batch for each record and each failure, in the order in which they were read."""
    pieces = [
        Batch([record], batch.source, [ordinal], STAY)
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True)
    ]
    pieces += [Batch([], batch.source, [], STAY, [failure]) for failure in batch.failures]
    return sorted(pieces, key=last_ordinal)
