"""As-of joins: with each element the last one of another side that is not later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice, repeat
from typing import Any, NamedTuple

from .keys import TOP
from .merging import Edge, Matches, Several, Side
from .parts import Mark, Stretch

__all__ = ["AsOfEdge"]


class _Latest(NamedTuple):
    """The latest element of one `by`, and where it stood."""

    key: Any
    element: Any
    stretch: Stretch
    place: int


class AsOfEdge(Edge):
    """Finds the last element of `side` whose key is not greater than the wanted one.

    `tolerance` is how far back it may lie: seconds for times, else as the keys count. With a second
    column, only elements that are equal in that come into question.
    """

    def __init__(
        self,
        side: Side,
        kind: str = "inner",
        columns: Sequence[int] = (0,),
        tolerance: float | None = None,
    ) -> None:
        self.tolerance = tolerance
        super().__init__(side, kind, columns)

    def resume(self, state: Mark | None) -> None:
        super().resume(state)
        self._latest: dict[Any, _Latest] = {}  # the oldest first
        self._by: list[Any] | None = None
        self._wanted: Any = None

    def _also_keep(self, keep: int, stretch: Stretch) -> None:
        self._by = stretch.keys[1] if len(self.columns) > 1 else None

    def state(self) -> Mark:
        for by, latest in list(self._latest.items()):
            if self._near(self._wanted, latest.key):
                place = {"mark": latest.stretch.mark, "skip": latest.stretch.first + latest.place}
                return {"from": place, "matched": 0, "unmatched": 0}
            del self._latest[by]  # too old for whatever comes next
        return {"from": self._place(self._index), "matched": 0, "unmatched": 0}

    def exhausted(self, key: Any) -> bool:
        return self._ended and self._index == len(self._elements) and not self._latest

    def _match(self, wanted: Sequence[Sequence[Any]], found: Matches) -> bool:
        refills = 0
        self.waiting = False
        done = len(found)
        by_columns = wanted[1] if len(wanted) > 1 else repeat(None)
        for key, by in zip(islice(wanted[0], done, None), islice(by_columns, done, None)):
            self._wanted = key
            while True:
                self._take_until(key)
                if self._ended or self._keys[self._index] is not TOP:
                    break
                refills += 1
                if refills > 64 or not self._refill(self._index):
                    return False
            latest = self._latest.get(by)
            near = latest is not None and self._near(key, latest.key)
            match = latest.element if near and latest is not None else None
            found.append(Several([None]) if near and match is None else match)
        return True

    def _take_until(self, key: Any) -> None:
        """Note what is not later than `key`."""
        keys, index = self._keys, self._index
        first = index
        while keys[index] <= key:
            index += 1
        if index == first:
            return
        self._index = self._first = index
        # What is left of an earlier stretch is gone before the next is read, so there is just one.
        ((_, stretch, offset),) = self._segments
        for place in range(first, index):
            by = self._by[place + offset] if self._by is not None else None
            self._latest.pop(by, None)
            self._latest[by] = _Latest(keys[place], self._elements[place], stretch, place + offset)

    def _near(self, key: Any, earlier: Any) -> bool:
        if self.tolerance is None:
            return True
        gap = key - earlier
        limit = timedelta(seconds=self.tolerance) if isinstance(gap, timedelta) else self.tolerance
        return bool(gap <= limit)
