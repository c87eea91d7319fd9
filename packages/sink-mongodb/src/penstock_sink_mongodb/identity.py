"""The `_id` of a document that has none: where its record came from.

`shop/store/0/orders:17` is made of record 17 of the source `orders`, by the output `store` of the
pipeline `shop`, in the series of runs that began at epoch 0. A run that goes on where one was cut
off is of the same series, so what is written again takes the place of what is there; the next run
that reads from the start is of another one, and adds.

Where the members of a group share what is read, it is `shop/store/clicks/3:17` for every one of
them: when one dies, another may be given the same records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import lt
from typing import Any

from penstock import Batch

__all__ = ["Ids"]


class Ids:
    """Gives ids to batches. Call `settle` for a batch that was written, and only then."""

    def __init__(self, pipeline: str, output: str, *, shared: bool = False) -> None:
        self._shared = shared
        # "shop@2" is the second worker of the pipeline "shop".
        self._owner = f"{pipeline.partition('@')[0] if shared else pipeline}/{output}"
        self._series = 0
        self._epoch = 0
        self._before: dict[str, int] = {}
        self._top: dict[str, int] = {}
        self._seen: dict[str, list[Sequence[int]]] = {}
        self._counts: dict[str, Counter[int]] = {}

    def resume(self, mark: Mapping[str, Any] | None, epoch: int) -> None:
        """Go on after `mark`, what `mark()` gave; None: a new series begins at this epoch."""
        self._series = mark["series"] if mark else epoch
        self._top = dict(mark["highest"]) if mark else {}
        self._begin(-1)

    def mark(self) -> dict[str, Any]:
        return {"series": self._series, "highest": dict(self._top)}

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        if self._shared:  # others may have gone back: what comes again is the same result
            self._top.clear()
        self._before = dict(self._top)
        self._seen.clear()
        self._counts.clear()

    def of(self, batch: Batch, epoch: int) -> list[str]:
        """An id for each record, no two of which are equal.

        The second result of one record has `.2` behind its ordinal. One that comes in a later epoch
        than those around it, as of a window that was kept open, has `@` and its epoch.
        """
        if epoch != self._epoch:
            self._begin(epoch)
        source, ordinals = batch.source, batch.ordinals
        head = f"{self._owner}/{source}:" if self._shared else self._in_series(source)
        if ordinals[0] > self._top.get(source, 0) and _grows(ordinals):
            return [f"{head}{ordinal}" for ordinal in ordinals]
        before, counts = self._before.get(source, 0), self._counted(source)
        here: Counter[int] = Counter()
        made = []
        for ordinal in ordinals:
            part = counts[ordinal] + here[ordinal]
            here[ordinal] += 1
            late = f"@{epoch}" if ordinal <= before else ""
            made.append(f"{head}{ordinal}{late}.{part + 1}" if part else f"{head}{ordinal}{late}")
        return made

    def _in_series(self, source: str) -> str:
        return f"{self._owner}/{self._series}/{source}:"

    def settle(self, batch: Batch) -> None:
        """These were written: what comes of the same records from now on is another result."""
        if len(batch.ordinals):
            source = batch.source
            self._seen.setdefault(source, []).append(batch.ordinals)
            self._top[source] = max(self._top.get(source, 0), max(batch.ordinals))

    def _counted(self, source: str) -> Counter[int]:
        counts = self._counts.setdefault(source, Counter())
        for ordinals in self._seen.pop(source, ()):
            counts.update(ordinals)
        return counts


def _grows(ordinals: Sequence[int]) -> bool:
    return type(ordinals) is range or all(map(lt, ordinals, islice(ordinals, 1, None)))
