"""Several inputs as one stream of batches: in turn, or one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from .batch import Batch

__all__ = ["ENDED", "in_turn"]

N = TypeVar("N", bound=str)


class _Ended:
    def __repr__(self) -> str:
        return "ENDED"


ENDED = _Ended()
"""Stands in place of a batch when an input has no more."""


def in_turn(
    readers: Mapping[str, Iterator[Batch | None]], after: Mapping[str, set[str]]
) -> Iterator[tuple[str, Batch | _Ended | None]]:
    """Take a batch from each reader in turn, as pairs (name, batch).

    A reader in `after` is not touched before the readers named there have ended. `(name, ENDED)`
    is yielded once for each; `("", None)` when no reader had anything ready.
    """
    waiting = dict(readers)
    while waiting:
        quiet = True
        for name in list(waiting):
            if after.get(name, set()) & waiting.keys():
                continue
            try:
                batch = next(waiting[name])
            except StopIteration:
                del waiting[name]
                quiet = False
                yield name, ENDED
                continue
            if batch is not None:
                quiet = False
                yield name, batch
        if quiet:
            yield "", None
