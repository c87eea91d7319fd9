"""What joined elements look like as records: rows with the fields of all, or nested.

Joined elements come in columns: theirs, and for each part that is joined to them the matches; those
that are joined to other parts as well stand in these as `(element, matches)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from itertools import islice
from typing import Any, NamedTuple

from penstock import RunError

from .merging import Matches, listed
from .parts import Stretch

__all__ = ["Nested", "Rows", "Shaped", "Tree"]

_ENOUGH = 4096  # rows to make at once, where elements have many matches


class Tree(NamedTuple):
    """The name of a part with what is joined to it. `shared` are the fields that are equal on both
    sides of its condition, and have the same name."""

    name: str
    parts: Sequence[Tree] = ()
    shared: Set[str] = frozenset()


class Shaped(NamedTuple):
    """`rows` were made of the elements up to `end`; `sizes` says how many of each, None: one."""

    rows: list[Any]
    sizes: list[int] | None
    end: int


Shape = Callable[[Stretch, int], Shaped]


class Nested:
    """`{"orders": element, "payments": [elements]}`: one record for each element."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __call__(self, stretch: Stretch, start: int) -> Shaped:
        tree = self.tree
        rows = [_nested(tree, *one) for one in _joined(stretch, start)]
        return Shaped(rows, None, len(stretch.elements))


def _joined(stretch: Stretch, start: int) -> list[tuple[Any, Any]]:
    """The elements from `start` on, each with its matches, one for every part."""
    return list(islice(zip(stretch.elements, zip(*stretch.matches)), start, None))


def _nested(tree: Tree, element: Any, matches: Matches) -> Any:
    record = {tree.name: element}
    for part, match in zip(tree.parts, matches):
        if part.parts:
            record[part.name] = [_nested(part, *one) for one in listed(match)]
        else:
            # Elements may stand in several records, of which a stage may change one.
            record[part.name] = [one.copy() if type(one) is dict else one for one in listed(match)]
    return record


class Rows:
    """One record for each combination, with the fields of all its elements."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.simple = len(tree.parts) == 1 and not tree.parts[0].parts

    def __call__(self, stretch: Stretch, start: int) -> Shaped:
        if self.simple and not start:
            rows = self._ones(stretch.elements, *stretch.matches)
            if rows is not None:
                return Shaped(rows, None, len(rows))
        try:
            return self._all(_joined(stretch, start), start)
        except TypeError as error:
            raise RunError(
                f"rows are made of mappings: {error}", hint="join them with shape: nested"
            ) from error

    def _ones(self, elements: Sequence[Any], matches: Matches) -> list[Any] | None:
        """Of two parts the rows where each element has one match and no name is taken: nearly
        every join. Else None."""
        try:
            rows = [{**left, **right} for left, right in zip(elements, matches)]
        except TypeError:  # one has no match, or several; or it is no mapping
            return None
        (part,) = self.tree.parts
        # Of every row can be missing only names that both sides have.
        names = sum(map(len, elements)) + sum(map(len, matches)) - len(part.shared) * len(rows)
        return rows if sum(map(len, rows)) == names else None

    def _all(self, joined: Sequence[tuple[Any, Any]], start: int) -> Shaped:
        rows: list[Any] = []
        sizes = []
        for element, matches in joined:
            made = _combinations(self.tree, element, matches)
            rows += made
            sizes.append(len(made))
            if len(rows) > _ENOUGH:
                break
        return Shaped(rows, sizes, start + len(sizes))


def _combinations(tree: Tree, element: Any, matches: Matches) -> list[Any]:
    rows = [element]
    for part, match in zip(tree.parts, matches):
        right: Sequence[Any] = listed(match)
        if part.parts:
            right = [row for one in right for row in _combinations(part, *one)]
        if right:
            rows = [merged(left, one, part) for left in rows for one in right]
    return rows


def merged(left: dict[str, Any], right: dict[str, Any], part: Tree) -> dict[str, Any]:
    """Both in one; a field of the right side whose name is taken gets that of its part before."""
    row = dict(left)
    for name, value in right.items():
        if name in left:
            if name in part.shared:
                continue
            name = f"{part.name}_{name}"
            while name in left or name in right:
                name = f"{part.name}_{name}"
        row[name] = value
    return row
