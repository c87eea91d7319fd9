"""What joined elements look like as records: rows with the fields of all, or nested.

Joined elements come as `(element, matches)`, where `matches` holds a list or None for each part
that is joined to it; with an element that nothing is joined to, as itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from itertools import chain
from typing import Any, NamedTuple

from penstock import RunError

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


Shape = Callable[[Sequence[Any], int], Shaped]


class Nested:
    """`{"orders": element, "payments": [elements]}`: one record for each element."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __call__(self, elements: Sequence[Any], start: int) -> Shaped:
        tree = self.tree
        rows = [_nested(tree, element) for element in elements[start:]]
        return Shaped(rows, None, len(elements))


def _nested(tree: Tree, element: Any) -> Any:
    first, matches = element
    record = {tree.name: first}
    for part, group in zip(tree.parts, matches):
        if not group:
            record[part.name] = []
        elif part.parts:
            record[part.name] = [_nested(part, one) for one in group]
        else:
            # Elements may stand in several records, of which a stage may change one.
            record[part.name] = [one.copy() if type(one) is dict else one for one in group]
    return record


class Rows:
    """One record for each combination, with the fields of all its elements."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.simple = len(tree.parts) == 1 and not tree.parts[0].parts

    def __call__(self, elements: Sequence[Any], start: int) -> Shaped:
        try:
            return self._pairs(elements, start) if self.simple else self._all(elements, start)
        except TypeError as error:
            raise RunError(
                f"rows are made of mappings: {error}", hint="join them with shape: nested"
            ) from error

    def _pairs(self, elements: Sequence[Any], start: int) -> Shaped:
        """Two parts: nearly every join."""
        if not start:
            rows = self._ones(elements)
            if rows is not None:
                return Shaped(rows, None, len(elements))
        (part,) = self.tree.parts
        rows = []
        end = start
        for left, (group,) in elements[start:]:
            if group is None:
                rows.append(left)
            else:
                rows += [merged(left, right, part) for right in group]
            end += 1
            if len(rows) > _ENOUGH:
                break
        return Shaped(rows, [len(group or "1") for _, (group,) in elements[start:end]], end)

    def _ones(self, elements: Sequence[Any]) -> list[Any] | None:
        """The rows where each element has one match and no name is taken; else None."""
        try:
            pairs = [(left, right) for left, ((right,),) in elements]
        except (TypeError, ValueError):  # one has no match, or several
            return None
        rows = [{**left, **right} for left, right in pairs]
        (part,) = self.tree.parts
        # Of every row can be missing only names that both sides have.
        names = sum(map(len, chain.from_iterable(pairs)))
        return rows if sum(map(len, rows)) + len(part.shared) * len(rows) == names else None

    def _all(self, elements: Sequence[Any], start: int) -> Shaped:
        rows: list[Any] = []
        sizes = []
        for element in elements[start:]:
            made = _combinations(self.tree, element)
            rows += made
            sizes.append(len(made))
            if len(rows) > _ENOUGH:
                break
        return Shaped(rows, sizes, start + len(sizes))


def _combinations(tree: Tree, element: Any) -> list[Any]:
    if not tree.parts:
        return [element]
    first, matches = element
    rows = [first]
    for part, group in zip(tree.parts, matches):
        if group:
            right = [row for one in group for row in _combinations(part, one)]
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
