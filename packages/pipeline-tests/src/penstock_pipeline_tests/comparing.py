"""Records as they should be and as they are: when two are the same, and how two lists differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from penstock.cli.showing import shown

__all__ = ["Difference", "cut", "differences", "fits", "matching", "ordered", "same", "twins"]

_LONG = 160
_TABLE = 40_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN = (str, int, float, bool, type(None))


def same(expected: Any, got: Any) -> bool:
    """Whether a value is the one that a test file can only write down.

    A number is the same as a decimal of that value, a text the same as what a type that YAML and
    JSON lack is written as; otherwise the types must agree: "1" is not 1, and 1 is not true.
    """
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(expected, Mapping) and expected.keys() == {"$repr"}:
        return bool(expected["$repr"] == repr(got))  # what could be written down only for people
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(same(expected[key], got[key]) for key in got)
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
        return len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, float) and isinstance(got, float) and expected != expected:
        return got != got  # the one value that is not equal to itself
    if isinstance(got, Decimal) and isinstance(expected, (str, int, float)):
        return _same_number(expected, got)
    if isinstance(expected, str) and not isinstance(got, (*_PLAIN, Mapping, list, tuple)):
        return expected in (str(got), _iso(got))
    return bool(expected == got)


def _same_number(expected: str | float, got: Decimal) -> bool:
    if isinstance(expected, str):  # as a file would show it: 1.5 and 1.50 differ
        return expected == str(got)
    return Decimal(str(expected)) == got


def _iso(value: Any) -> str | None:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if callable(isoformat) else None


def fits(expected: Any, got: Any) -> bool:
    """Whether a value holds what is expected of it: of a mapping, the fields that are named."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return all(key in got and fits(one, got[key]) for key, one in expected.items())
    if isinstance(expected, list) and isinstance(got, (list, tuple)):
        return len(expected) == len(got) and all(map(fits, expected, got))
    return same(expected, got)


class Difference(NamedTuple):
    """One thing that differs: `where` as "record 2, total"; a side without a value is None."""

    where: str
    expected: str | None
    got: str | None

    def __str__(self) -> str:
        if self.got is None:
            return f"{self.where}: expected and missing: {self.expected}"
        if self.expected is None:
            return f"{self.where}: got and not expected: {self.got}"
        return f"{self.where}: expected {self.expected}, got {self.got}"


def differences(expected: Any, got: Any, where: str, *, part: bool = False) -> Iterator[Difference]:
    """Field by field, how a record differs; with `part`, only in the fields that are expected."""
    if not (isinstance(expected, Mapping) and isinstance(got, Mapping)):
        if not (fits if part else same)(expected, got):
            yield Difference(where, *_told_apart(expected, got))
        return
    for key, one in expected.items():
        if key not in got:
            yield Difference(_inside(where, key), cut(shown(one)), None)
        else:
            yield from differences(one, got[key], _inside(where, key), part=part)
    for key, one in got.items():
        if key not in expected and not part:
            yield Difference(_inside(where, key), None, cut(shown(one)))


def _inside(where: str, key: Any) -> str:
    return f"{where}.{key}" if ", " in where else f"{where}, {key}"


def _told_apart(expected: Any, got: Any) -> tuple[str, str]:
    left, right = cut(shown(expected)), cut(shown(got))
    if left == right:  # the same to look at: say what they are
        return f"{left} ({type(expected).__name__})", f"{right} ({type(got).__name__})"
    return left, right


def cut(text: str) -> str:
    """A text short enough for a line, and harmless to a terminal."""
    text = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def matching(
    expected: Sequence[Any], got: Sequence[Any], agrees: Callable[[Any, Any], bool]
) -> dict[int, int]:
    """As many pairs as possible of indices of what is expected and what was got, each used once.

    Taking the first that agrees would not do: a vague expectation could take the record that only
    a precise one needs.
    """
    taken: dict[int, int] = {}  # got -> expected
    agreeing = [[j for j, one in enumerate(got) if agrees(wanted, one)] for wanted in expected]

    def find(index: int, seen: set[int]) -> bool:
        free = next((one for one in agreeing[index] if one not in taken), None)
        if free is not None:  # before any is moved: equal records would move all before them
            taken[free] = index
            return True
        for candidate in agreeing[index]:
            if candidate in seen:
                continue
            seen.add(candidate)
            if find(taken[candidate], seen):
                taken[candidate] = index
                return True
        return False

    for index in range(len(expected)):
        find(index, set())
    return {index: candidate for candidate, index in taken.items()}


def twins(expected: Sequence[Any], got: Sequence[Any]) -> dict[int, int]:
    """Pairs of indices of records that are the same, in any order. Those that are also written the
    same are found at once; only the others are compared each with each."""
    by_text: dict[str, list[int]] = {}
    for index in range(len(got) - 1, -1, -1):
        by_text.setdefault(shown(got[index]), []).append(index)
    pairs = {}
    for index, wanted in enumerate(expected):
        alike = by_text.get(shown(wanted))
        if alike and same(wanted, got[alike[-1]]):
            pairs[index] = alike.pop()
    left = [index for index in range(len(expected)) if index not in pairs]
    rest = sorted(set(range(len(got))) - set(pairs.values()))
    found = matching([expected[index] for index in left], [got[index] for index in rest], same)
    return {**pairs, **{left[i]: rest[j] for i, j in found.items()}}


def ordered(expected: Sequence[Any], got: Sequence[Any]) -> Iterator[Difference]:
    """How a list differs from the one expected, both in order. Records that are in both are lined
    up first, so that one missing record does not make every later one differ."""
    pairs = [*_common(expected, got), (len(expected), len(got))]
    i = j = 0
    for next_i, next_j in pairs:
        both = min(next_i - i, next_j - j)
        for index in range(both):
            where = f"record {j + index + 1}"
            yield from differences(expected[i + index], got[j + index], where)
        for index in range(i + both, next_i):
            yield Difference(f"record {index + 1}", cut(shown(expected[index])), None)
        for index in range(j + both, next_j):
            yield Difference(f"record {index + 1}", None, cut(shown(got[index])))
        i, j = next_i + 1, next_j + 1


def _common(expected: Sequence[Any], got: Sequence[Any]) -> list[tuple[int, int]]:
    """The longest run of pairs that are the same, in order; short of that, pairs from both ends."""
    start = 0
    while start < min(len(expected), len(got)) and same(expected[start], got[start]):
        start += 1
    end = 0
    while end < min(len(expected), len(got)) - start and same(expected[~end], got[~end]):
        end += 1
    pairs = [(index, index) for index in range(start)]
    left, right = expected[start : len(expected) - end], got[start : len(got) - end]
    if len(left) * len(right) <= _TABLE:
        pairs += [(start + i, start + j) for i, j in _longest(left, right)]
    last = zip(range(len(expected) - end, len(expected)), range(len(got) - end, len(got)))
    return [*pairs, *last]


def _longest(left: Sequence[Any], right: Sequence[Any]) -> list[tuple[int, int]]:
    """The longest common subsequence, by the table of its lengths."""
    length = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            if same(left[i], right[j]):
                length[i][j] = length[i + 1][j + 1] + 1
            else:
                length[i][j] = max(length[i + 1][j], length[i][j + 1])
    pairs = []
    i = j = 0
    while i < len(left) and j < len(right):
        if same(left[i], right[j]):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif length[i + 1][j] >= length[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs
