"""The kinds of windows: which of them a record belongs to, and when they close.

Each is shown a table of records that are not late, and keeps its open windows as panes. The times
are numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from .keys import TOP
from .panes import Pane, Table

__all__ = ["KINDS", "Change", "Count", "Kind", "Session", "Sliding", "Timed"]

Make = Callable[[Any, Any, Any], Pane]
"""Opens a window: by, start, end."""


class Kind:
    """One kind of window."""

    timed = True

    def __init__(self, make: Make, keep: bool, size: Any = None, every: Any = None) -> None:
        self.make = make
        self.keep = keep
        self.size = size
        self.every = every
        self.panes: dict[Any, Pane] = {}
        self.rows: dict[Any, list[Any]] = {}  # what panes that are still to be cut are made of
        self.closed: list[Pane] = []
        self.left_out = 0  # records that belong to no window at all

    def __iter__(self) -> Iterator[Pane]:
        """The open windows."""
        return iter(self.panes.values())

    def __len__(self) -> int:
        return len(self.panes)

    def late(self, time: Any, watermark: Any) -> bool:
        """Whether a record of this time comes too late for all its windows, whatever is open."""
        return False

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        """Take in a table; `watermarks[i]` was the watermark when record i came. Returns the rows
        that turned out to be late, which are not taken in."""
        raise NotImplementedError

    def close(self, watermark: Any) -> Iterable[Pane]:
        """The windows that end at or before `watermark`, in the order of their ends."""
        due = [pane for pane in self.panes.values() if pane.end <= watermark]
        for pane in due:
            del self.panes[self.key_of(pane)]
        return sorted(due, key=attrgetter("end", "number"))

    def key_of(self, pane: Pane) -> Any:
        return (pane.by, pane.start)

    def restore(self, pane: Pane) -> None:
        self.panes[self.key_of(pane)] = pane


class Timed(Kind):
    """Tumbling and hopping windows: `size` long, one beginning `every` so much time."""

    def __init__(self, make: Make, keep: bool, size: Any = None, every: Any = None) -> None:
        super().__init__(make, keep, size, every)
        self.step = every or size
        self.next_end: Any = TOP  # before it, nothing closes

    def late(self, time: Any, watermark: Any) -> bool:
        last = time - time % self.step
        return bool(last + self.size <= watermark and time < last + self.size)

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        if self.step != self.size:
            self._add_hopping(table, watermarks)
            return ()
        step, times = self.step, table.times
        if not table.bys[0] and (table.in_order or times == sorted(times)):
            first = 0
            while first < len(times):
                start = times[first] - times[first] % step
                end = bisect_left(times, start + step, first)
                self._pane(table.bys[first], start).take(table, range(first, end), keep=self.keep)
                first = end
            return ()
        rows: defaultdict[Any, list[int]] = defaultdict(list)
        for row, (by, time) in enumerate(zip(table.bys, times)):
            rows[by, time - time % step].append(row)
        for (by, start), taken in rows.items():
            self._pane(by, start).take(table, taken, keep=self.keep)
        return ()

    def _add_hopping(self, table: Table, watermarks: Sequence[Any]) -> None:
        size, step = self.size, self.step
        rows: defaultdict[Any, list[int]] = defaultdict(list)
        for row, (by, time, watermark) in enumerate(zip(table.bys, table.times, watermarks)):
            last = start = time - time % step
            if start + size <= time:  # between two windows
                self.left_out += 1
            while start + size > time and start + size > watermark:
                rows[by, start, start == last].append(row)
                start -= step
        for (by, start, answer), taken in sorted(rows.items(), key=lambda item: item[0][1]):
            self._pane(by, start).take(table, taken, keep=self.keep, answer=answer)

    def _pane(self, by: Any, start: Any) -> Pane:
        pane = self.panes.get((by, start))
        if pane is None:
            pane = self.panes[by, start] = self.make(by, start, start + self.size)
            self.next_end = min(self.next_end, pane.end, key=_by_value)
        return pane

    def close(self, watermark: Any) -> Iterable[Pane]:
        if self.next_end > watermark:
            return ()
        due = super().close(watermark)
        self.next_end = min((pane.end for pane in self.panes.values()), default=TOP)
        return due

    def restore(self, pane: Pane) -> None:
        super().restore(pane)
        self.next_end = min(self.next_end, pane.end, key=_by_value)


class _Value:
    """Lets `min` compare numbers with TOP, whichever comes first."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Value) -> bool:
        return other.value is TOP or (self.value is not TOP and bool(self.value < other.value))


_by_value = _Value


class Session(Kind):
    """Windows of records with less than `size`, the gap, between one and the next."""

    def __init__(self, make: Make, keep: bool, size: Any = None, every: Any = None) -> None:
        super().__init__(make, keep, size, every)
        self.sessions: dict[Any, list[Pane]] = {}

    def __iter__(self) -> Iterator[Pane]:
        return chain.from_iterable(self.sessions.values())

    def __len__(self) -> int:
        return sum(map(len, self.sessions.values()))

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        late = []
        for row, (by, time, watermark) in enumerate(zip(table.bys, table.times, watermarks)):
            end = time + self.size
            touched = [
                pane
                for pane in self.sessions.get(by, ())
                if pane.end > watermark and pane.start - self.size < time < pane.end
            ]
            if not touched and end <= watermark:
                late.append(row)
                continue
            pane = self._one(by, touched) if touched else self._new(by, time, end)
            pane.start, pane.end = min(pane.start, time), max(pane.end, end)
            if not pane.count:
                pane.source, pane.ordinal = table.source, table.ordinals[row]
            pane.count, pane.answers = pane.count + 1, pane.answers + 1
            insort(pane.records, _row(table, row, self.keep), key=_first)
        return late

    def _new(self, by: Any, start: Any, end: Any) -> Pane:
        pane = self.make(by, start, end)
        self.sessions.setdefault(by, []).append(pane)
        return pane

    def _one(self, by: Any, touched: Sequence[Pane]) -> Pane:
        """One session of those between which a record has closed the gap."""
        pane, *others = touched
        for other in others:
            pane.start, pane.end = min(pane.start, other.start), max(pane.end, other.end)
            pane.records = sorted([*pane.records, *other.records], key=_first)
            pane.count, pane.answers = pane.count + other.count, pane.answers + other.answers
            self.sessions[by].remove(other)
        return pane

    def close(self, watermark: Any) -> Iterable[Pane]:
        due = []
        for by, panes in list(self.sessions.items()):
            due += [pane for pane in panes if pane.end <= watermark]
            self.sessions[by] = [pane for pane in panes if pane.end > watermark]
            if not self.sessions[by]:
                del self.sessions[by]
        for pane in due:
            _fold(pane, pane.records, self.keep)
        return sorted(due, key=attrgetter("end", "number"))

    def restore(self, pane: Pane) -> None:
        self.sessions.setdefault(pane.by, []).append(pane)


class Sliding(Kind):
    """One window for each record, of what came up to `size` before it."""

    def late(self, time: Any, watermark: Any) -> bool:
        return bool(time < watermark)

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        for row, (by, time) in enumerate(zip(table.bys, table.times)):
            pane = self.make(by, time - self.size, time)
            pane.source, pane.ordinal, pane.answers = table.source, table.ordinals[row], 1
            self.panes[pane.number] = pane
            insort(self.rows.setdefault(by, []), _row(table, row, self.keep), key=_first)
        return ()

    def close(self, watermark: Any) -> Iterable[Pane]:
        due = [pane for pane in self.panes.values() if pane.end < watermark]
        for pane in sorted(due, key=attrgetter("end", "number")):
            del self.panes[pane.number]
            rows = self.rows[pane.by]
            first = bisect_right(rows, pane.start, key=_first)
            last = bisect_right(rows, pane.end, key=_first)
            pane.count = last - first
            _fold(pane, rows[first:last], self.keep)
            yield pane
        for by, rows in list(self.rows.items()):
            past = len(rows)
            if watermark is not TOP:
                past = bisect_right(rows, watermark - self.size, key=_first)
            self.rows[by] = rows[past:]
            if not self.rows[by]:
                del self.rows[by]

    def key_of(self, pane: Pane) -> Any:
        return pane.number


class Count(Kind):
    """Windows of `size` records."""

    timed = False

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        pending: defaultdict[Any, list[int]] = defaultdict(list)
        for row, by in enumerate(table.bys):
            pane = self.panes.get(by)
            if pane is None:
                pane = self.panes[by] = self.make(by, None, TOP)
            rows = pending[by]
            rows.append(row)
            if pane.count + len(rows) == self.size:
                pane.take(table, pending.pop(by), keep=self.keep)
                self.closed.append(self.panes.pop(by))
        for by, rows in pending.items():
            self.panes[by].take(table, rows, keep=self.keep)
        return ()

    def close(self, watermark: Any) -> Iterable[Pane]:
        closed, self.closed = self.closed, []
        if watermark is TOP:
            closed += sorted(self.panes.values(), key=attrgetter("number"))
            self.panes.clear()
        return closed

    def key_of(self, pane: Pane) -> Any:
        return pane.by


class Change(Count):
    """Windows of records in a row with the same key; `times` holds the keys."""

    def add(self, table: Table, watermarks: Sequence[Any]) -> Sequence[int]:
        rows = zip(range(len(table.times)), table.bys, table.times)
        for (by, key), run in groupby(rows, key=lambda row: row[1:]):
            taken = [row for row, _, _ in run]
            pane = self.panes.get(by)
            if pane is not None and pane.start != key:
                self.closed.append(self.panes.pop(by))
                pane = None
            if pane is None:
                pane = self.panes[by] = self.make(by, key, TOP)
            pane.take(table, taken, keep=self.keep)
        return ()

    def changed(self, key: Any) -> None:
        """Nothing has come, and the key would be this one now."""
        for by, pane in list(self.panes.items()):
            if pane.start != key:
                self.closed.append(self.panes.pop(by))


def _row(table: Table, row: int, keep: bool) -> list[Any]:
    record = table.records[row] if keep else None
    return [table.times[row], record, [column[row] for column in table.columns]]


def _fold(pane: Pane, rows: Sequence[Any], keep: bool) -> None:
    """Take rows that were held in for good."""
    pane.records = [record for _, record, _ in rows] if keep else []
    for aggregate, values in zip(pane.aggregates, zip(*(values for _, _, values in rows))):
        aggregate.add([value for value in values if value is not None])


def _first(row: Sequence[Any]) -> Any:
    return row[0]


KINDS: Mapping[str, type[Kind]] = {
    "tumbling": Timed,
    "hopping": Timed,
    "sliding": Sliding,
    "session": Session,
    "count": Count,
    "change": Change,
}
"""The kinds by the name that a pipeline gives them."""
