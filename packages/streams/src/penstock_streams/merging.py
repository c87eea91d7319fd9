"""Sorted-merge joins over batches.

A `Side` is a part with what is joined to it. For each stretch of its elements every `Edge` finds
the matching elements of another side, which come in the order of the same key: one pass over both,
nothing is looked up. Each can say at any moment from where to read again, and gives the same then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import compress, islice
from typing import Any

from penstock import RunError

from .keys import BOTTOM, TOP
from .parts import Mark, Part, Stretch

__all__ = ["Edge", "Matches", "Several", "Side", "Start", "alone", "listed"]

_FEW = 8  # so few keys are not worth a leap
_BUSY = 64  # stretches without a match after which a join shows that it is alive

Matches = list[Any]
"""For each element of one side its match on another: the element, Several, or None."""

Start = dict[str, Any] | None
"""From where a side is to be read: a `mark`, and how many elements to `skip`; None: all of it."""


class Several(list[Any]):
    """What an element is joined to where that is not just one that can stand for itself."""


def listed(match: Any) -> Sequence[Any]:
    """The elements that a match stands for."""
    if match is None:
        return ()
    return match if type(match) is Several else (match,)


class Edge:
    """Finds, for keys that do not fall, the elements of `side` with the same key.

    `strays`, of an "outer" edge, are the elements that no key has asked for, each list with the
    number of keys that had been answered before.
    """

    def __init__(self, side: Side, kind: str = "inner", columns: Sequence[int] = (0,)) -> None:
        self.side = side
        self.kind = kind
        self.columns = columns  # which keys of the other side this edge is given
        self.strays: list[tuple[int, list[Any]]] = []
        self.waiting = False
        self.unmatched = 0
        self.resume(None)

    # ---- what has been read and is still needed -------------------------------------------------

    def resume(self, state: Mark | None) -> None:
        """Begin at what `state` gave, or at the start."""
        self._origin: Start = state["from"] if state else None
        self._credit = state["matched"] if state else 0  # so many from here on had their match
        self.unmatched = state["unmatched"] if state else 0
        self._reader = self.side.read(self._origin)
        self._segments: list[tuple[int, Stretch, int]] = []  # (index, what is there, its first)
        self._elements: list[Any] = []
        self._keys: list[Any] = [TOP]
        self._lookup: dict[Any, Any] | None = None
        self._first = self._index = 0
        self._equal = 0  # so many from the index on are known to have the key that is wanted
        self._key: Any = BOTTOM
        self._group: Any = None
        self._ended = False

    def state(self) -> Mark:
        """From where to read again for the keys that come next, as JSON."""
        matched = self._credit if self._group is None else self._index - self._first
        return {
            "from": self._place(self._first),
            "matched": matched,
            "unmatched": self.unmatched,
        }

    def _place(self, index: int) -> Start:
        place = self._origin
        for start, stretch, first in self._segments:
            if index < start:
                break
            offset = first + index - start
            if offset == len(stretch.elements) and stretch.after is not None:
                place = {"mark": stretch.after, "skip": 0}
            else:
                place = {"mark": stretch.mark, "skip": stretch.first + offset}
        return place

    def _refill(self, keep: int) -> bool:
        """Read on, keeping what stands at `keep` and after; False when nothing is ready."""
        stretch = next(self._reader, _END)
        if stretch is _END:
            self._ended = True
            return True
        if stretch is None:
            self.waiting = True
            return False
        self._lookup = None
        self._first -= keep
        self._index -= keep
        kept = self._elements[keep:]
        if kept:
            segments = []
            for start, one, first in self._segments:
                end = start + len(one.elements) - first
                if end > keep:
                    cut = max(0, keep - start)
                    segments.append((start + cut - keep, one, first + cut))
            self._segments = [*segments, (len(kept), stretch, 0)]
            self._elements = kept + stretch.elements
            self._keys = [*self._keys[keep:-1], *stretch.keys[0], TOP]
        else:
            self._segments = [(0, stretch, 0)]
            self._elements = stretch.elements
            self._keys = [*stretch.keys[0], TOP]
        self._also_keep(keep, stretch)
        return True

    def _also_keep(self, keep: int, stretch: Stretch) -> None:
        """For edges that need more of what is read than elements and keys."""

    def close(self) -> None:
        self._reader.close()  # type: ignore[attr-defined]
        for edge in self.side.edges:
            edge.close()

    # ---- matching -------------------------------------------------------------------------------

    def exhausted(self, key: Any) -> bool:
        """Whether a key after `key` can have no match any more."""
        at_end = self._ended and self._index == len(self._elements)
        return at_end and (self._group is None or self._key != key)

    def match(self, wanted: Sequence[Sequence[Any]], found: Matches) -> bool:
        """Append to `found` the matches of those keys that it lacks; False: not all, for now."""
        try:
            return self._match(wanted, found)
        except TypeError as error:
            raise RunError(
                f"its keys cannot be compared with those that they are joined to: {error}",
                where=self.side.part.name,
                hint="make both of one type, as by int(id)",
            ) from error

    def _match(self, wanted: Sequence[Sequence[Any]], found: Matches) -> bool:
        keys = wanted[0]
        refills = 0
        self.waiting = False
        while len(found) < len(keys):
            self._leap(keys, found)
            if len(found) == len(keys):
                break
            refills += 1
            if refills > _BUSY or not self._merge(keys, found):
                return False
        return True

    def _leap(self, wanted: Sequence[Any], found: Matches) -> None:
        """Answer many keys at once: all that are surely between two elements that are here.

        Only where no two elements that are here have the same key: then a mapping finds them.
        """
        done, index = len(found), self._index
        if self._credit or self.kind == "outer" or len(self._elements) - index < _FEW:
            return
        stop = bisect_left(wanted, self._keys[-2], done)
        while done < stop and wanted[done] == self._key:
            found.append(self._group)
            done += 1
        if stop - done < _FEW:
            return
        if self._lookup is None:
            self._lookup = self._make_lookup()
        if not self._lookup:
            return
        self._equal = 0
        part = wanted[done:stop]
        groups = list(map(self._lookup.get, part))
        found += groups
        hits = len(groups) - groups.count(None)
        if hits and len(set(part)) < len(part):
            hits = len(self._lookup.keys() & set(part))
        first = bisect_left(self._keys, part[-1], index, len(self._elements))
        matched = groups[-1] is not None
        self.unmatched += first - index - (hits - matched)
        self._key, self._group = part[-1], groups[-1]
        self._first, self._index = first, first + matched

    def _make_lookup(self) -> dict[Any, Any]:
        """What is here by its key; empty where that cannot be."""
        try:
            lookup = dict(zip(self._keys, self._elements))
        except TypeError:  # keys that cannot be hashed
            return {}
        if len(lookup) < len(self._elements):
            return {}
        return lookup if self.side.true or None not in self._elements else {}

    def _merge(self, wanted: Sequence[Any], found: Matches) -> bool:
        """Answer one key after the other, until more had to be read; False when it must wait."""
        keys, elements, index = self._keys, self._elements, self._index
        first, last, group = self._first, self._key, self._group
        plain = self.kind != "outer"
        unmatched = 0
        for key in islice(wanted, len(found), None):
            if key == last:
                found.append(group)
                continue
            first = index
            while keys[index] < key:
                index += 1
            if index > first:
                if plain and not self._credit:
                    unmatched += index - first
                else:
                    self._pass(first, index, len(found))
            if keys[index] is TOP and not self._ended:
                self.unmatched += unmatched
                self._first = self._index = index
                self._key, self._group = BOTTOM, None
                return self._refill(index)
            first = index
            index += self._equal
            self._equal = 0
            while keys[index] == key:
                index += 1
            if keys[index] is TOP and index > first and not self._ended:
                # The group may go on in the next stretch.
                self._equal = index - first
                self.unmatched += unmatched
                self._first = self._index = first
                self._key, self._group = BOTTOM, None
                return self._refill(first)
            if index > first:
                group = elements[first]
                if index > first + 1 or group is None:
                    group = Several(elements[first:index])
                self._credit = 0
            else:
                group = None
            last = key
            found.append(group)
        self.unmatched += unmatched
        self._first, self._index, self._key, self._group = first, index, last, group
        return True

    def _pass(self, first: int, index: int, answered: int) -> None:
        """Elements that nothing asked for lie behind."""
        count = index - first
        credit = min(self._credit, count)
        self._credit -= credit
        self.unmatched += count - credit
        if self.kind == "outer" and count > credit:
            self.strays.append((answered, self._elements[first + credit : index]))

    def drain(self) -> Iterator[list[Any] | None]:
        """The other side has ended: all that is left, for which nothing will ask."""
        while True:
            first, self._index = self._index, len(self._elements)
            self._first, self._key, self._group = self._index, BOTTOM, None
            if self._index > first:
                self._pass(first, self._index, 0)
                for _, elements in self.strays:
                    yield elements
                self.strays = []
            if self._ended:
                return
            if not self._refill(self._index):
                yield None


_END: Any = object()


class Side:
    """A part of a join together with all that is joined to it.

    Its elements are those of the part; where they are joined to something and to be joined
    themselves, `(element, matches)` with the match of each edge. Those without a match for every
    inner edge are left out, and counted in `unmatched`.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.edges: list[Edge] = []
        self.unmatched = 0
        self.joined = True  # to another side, which needs the keys
        # What has a field, and every pair, is true, and so no None.
        self.true = part.decode is None and bool(part.keys) and part.keys[0].is_field
        self._ended_at: tuple[Mark | None, Mark] = (None, {})

    def read(self, start: Start) -> Iterator[Stretch | None]:
        """Stretches from `start` on; None when nothing is ready; empty ones in a long search."""
        mark = start["mark"] if start else None
        skip = start["skip"] if start else 0
        self.part.resume(mark)
        self._ended_at = (None, {})
        self.unmatched = mark["unmatched"] if mark and self.edges else 0
        for index, edge in enumerate(self.edges):
            edge.resume(mark["edges"][index] if mark else None)
        for stretch in self.part.read():
            if stretch is None:
                yield None
                continue
            for piece in self._joined(stretch) if self.edges else (stretch,):
                if piece is None or not skip:
                    yield piece
                elif skip < len(piece.elements):
                    yield _later(piece, skip)
                    skip = 0
                else:
                    skip -= len(piece.elements)
            if any(
                edge.kind == "inner" and edge.exhausted(stretch.keys[edge.columns[0]][-1])
                for edge in self.edges
            ):
                return

    def mark(self) -> Mark:
        """Where it stands, between two elements of its part."""
        return self._with_edges(self.part.mark())

    def _with_edges(self, mark: Mark) -> Mark:
        states = [edge.state() for edge in self.edges]
        return {**mark, "edges": states, "unmatched": self.unmatched}

    def _joined(self, stretch: Stretch) -> Iterator[Stretch | None]:
        """Match a stretch with every edge; what all have answered is passed on at once."""
        # Where the last stretch ended this one begins, and the edges have not moved since.
        part_mark, mark = self._ended_at
        if part_mark is not stretch.mark:
            mark = self._with_edges(stretch.mark)
        wanted = [[stretch.keys[column] for column in edge.columns] for edge in self.edges]
        found: list[Matches] = [[] for _ in self.edges]
        done = given = 0
        while True:
            complete = [edge.match(keys, got) for edge, keys, got in zip(self.edges, wanted, found)]
            ready = min(map(len, found))
            whole = all(complete)
            piece = self._piece(stretch, found, done, ready)
            after = None
            if whole:
                assert stretch.after is not None
                after = self._with_edges(stretch.after)
                self._ended_at = (stretch.after, after)
            if piece.elements or whole or not any(edge.waiting for edge in self.edges):
                piece.mark, piece.first, piece.after = mark, given, after
                yield piece
            given, done = given + len(piece.elements), ready
            if whole:
                return
            if any(edge.waiting for edge in self.edges):
                yield None

    def _piece(self, stretch: Stretch, found: list[Matches], done: int, ready: int) -> Stretch:
        """What becomes of the elements from `done` to `ready`."""
        part = slice(done, ready)
        columns = [stretch.elements, *found, *(stretch.keys if self.joined else ())]
        columns = [column[part] for column in columns]
        for index, edge in enumerate(self.edges, 1):
            if edge.kind == "inner" and None in columns[index]:
                found_one = columns[index]
                if not (edge.side.true or edge.side.edges):
                    found_one = [match is not None for match in found_one]
                columns = [list(compress(column, found_one)) for column in columns]
        self.unmatched += ready - done - len(columns[0])
        elements, *columns = columns
        matches, keys = columns[: len(found)], columns[len(found) :]
        for edge in self.edges:
            if edge.strays:
                elements, matches = _among(elements, matches, edge.strays, done)
                edge.strays = []
        if self.joined:
            elements, matches = list(zip(elements, zip(*matches))), []
        return Stretch(elements, keys, stretch.mark, matches=matches)


def alone(elements: Sequence[Any]) -> tuple[list[Any], list[Matches]]:
    """Elements of the other side of an outer join that are joined with nothing: columns."""
    return [None] * len(elements), [[Several([element]) for element in elements]]


def _among(
    elements: list[Any], matches: list[Matches], strays: list[tuple[int, list[Any]]], done: int
) -> tuple[list[Any], list[Matches]]:
    """Both in the order of their keys. An outer join is the only one of its side."""
    mixed, (found,), taken = [], matches, 0
    mixed_found: Matches = []
    for answered, others in strays:
        mixed += elements[taken : answered - done]
        mixed_found += found[taken : answered - done]
        taken = answered - done
        nothing, (left_over,) = alone(others)
        mixed += nothing
        mixed_found += left_over
    return mixed + elements[taken:], [mixed_found + found[taken:]]


def _later(piece: Stretch, skip: int) -> Stretch:
    keys = [column[skip:] for column in piece.keys]
    matches = [column[skip:] for column in piece.matches]
    first = piece.first + skip
    return Stretch(piece.elements[skip:], keys, piece.mark, first, piece.after, matches)
