"""Regular expressions that cannot take forever.

Python's `re` tries alternatives one after the other, and some patterns let it try exponentially
many. A pattern is looked at before it is used: where two repeats can share out the same text in
different ways the work grows, and the text that such a pattern is tried on is limited, or the
pattern refused. The analysis errs on the safe side: it may refuse a harmless pattern.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

__all__ = ["Pattern", "bounded_pattern"]

# The tree of a pattern is not a public thing of Python's, but it has kept its form since 2.0.
_sre: Any = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

_MOST_CHARACTERS = 1000
_MOST_WAYS = 10_000
"""How many ways the repeats with an upper bound may have, together, to share out one text."""
_LONGEST_TEXT = {0: 10_000_000, 1: 10_000_000, 2: 20_000, 3: 1_000}
"""By degree: a pattern of degree 2 takes time that grows with the square of the text's length."""


class Pattern:
    """A regular expression, and how long a text it may be tried on."""

    __slots__ = ("_longest", "_longest_whole", "_regex")

    def __init__(self, regex: re.Pattern[str], longest: int, longest_whole: int) -> None:
        self._regex = regex
        self._longest = longest
        self._longest_whole = longest_whole

    def matches(self, value: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._regex.fullmatch(self._checked(value, self._longest_whole)) is not None

    def search(self, value: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return self._regex.search(self._checked(value, self._longest)) is not None

    def extract(self, value: str) -> str | None:
        """The first group of the first match, or all of it in a pattern without groups."""
        found = self._regex.search(self._checked(value, self._longest))
        return found and found[1 if self._regex.groups else 0]

    def substitute(self, replacement: str, value: str) -> str:
        r"""The text with every match replaced; `\1` in the replacement is the first group."""
        return self._regex.sub(replacement, self._checked(value, self._longest))

    def _checked(self, value: str, longest: int) -> str:
        if not isinstance(value, str):
            raise TypeError(f"a pattern is tried on text, got {value!r}")
        if len(value) > longest:
            what = f"the text has {len(value)} characters, and the pattern {self._regex.pattern!r}"
            raise ValueError(f"{what} is tried on at most {longest}")
        return value


def bounded_pattern(pattern: str) -> Pattern:
    """Compile a pattern, or raise ValueError with what is wrong with it."""
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern has at most {_MOST_CHARACTERS} characters, got {len(pattern)}")
    if "\b" in pattern:
        raise ValueError(r"the pattern has a backspace in it; write r'\b' for the edge of a word")
    try:
        with warnings.catch_warnings():  # of what a later version of Python may read differently
            warnings.simplefilter("ignore")
            regex = re.compile(pattern)
            tree = _sre.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{pattern!r} is no pattern: {error}") from None
    shape = _Shape(regex, tree)
    try:
        return Pattern(regex, shape.longest(anywhere=True), shape.longest(anywhere=False))
    except _Explosive as refused:
        raise ValueError(f"the pattern {pattern!r} could take forever: {refused}") from None


class _Explosive(Exception):
    pass


@dataclass(frozen=True)
class _Piece:
    """A stretch of a pattern: what characters it takes, and in how many ways it can take them."""

    characters: frozenset[str]
    required: bool = True
    ways: int = 1
    endless: bool = False

    @property
    def varies(self) -> bool:
        return self.endless or self.ways > 1


class _Shape:
    """The pieces of a pattern in their order, and what follows from it."""

    def __init__(self, regex: re.Pattern[str], tree: Any) -> None:
        literals = {chr(code) for code in _codes(tree)}
        # ASCII stands for itself, and a few others for the letters, digits and blanks outside.
        self.alphabet = frozenset(map(chr, range(128))) | literals | frozenset("éßλж中٣\xa0\u2028°")
        self.folds = bool(regex.flags & re.IGNORECASE) or "(?" in regex.pattern
        self.degree_inside = 0
        self.tree = tree

    def longest(self, *, anywhere: bool) -> int:
        self.degree_inside = 0
        pieces = list(self._pieces(self.tree))
        ends_strict = not anywhere or self._ends_strict(self.tree)
        if anywhere:
            pieces.insert(0, _Piece(self.alphabet, required=False, endless=True))
        if not ends_strict:
            # Nothing after them can fail, so these take what they find and never give it back.
            while pieces and pieces[-1].varies and len(pieces) > 1:
                pieces.pop()
        degree = max(self.degree_inside, _degree(pieces))
        if degree not in _LONGEST_TEXT:
            raise _Explosive("too many of its repeats can match the same text")
        return _LONGEST_TEXT[degree]

    def _ends_strict(self, tree: Any) -> bool:
        """Whether something is demanded of what follows the text matched, as by `$`."""
        names = {str(operator) for operator, _ in _walk(tree)}
        return bool(names & {"AT", "ASSERT", "ASSERT_NOT"})

    def _pieces(self, tree: Any) -> Iterator[_Piece]:
        for operator, argument in tree:
            name = str(operator)
            if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
                yield _Piece(self._characters(name, argument))
            elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
                yield self._repeat(*argument)
            elif name == "SUBPATTERN":
                yield from self._pieces(argument[3])
            elif name == "ATOMIC_GROUP":
                yield from self._pieces(argument)
            elif name == "BRANCH":
                for branch in argument[1]:
                    yield from map(_optional, self._pieces(branch))
            elif name in ("ASSERT", "ASSERT_NOT"):
                yield from map(_optional, self._pieces(argument[1]))
            elif name != "AT":
                raise _Explosive("it refers back to a group")

    def _repeat(self, low: int, high: int, body: Any) -> _Piece:
        pieces = list(self._pieces(body))
        if not pieces:
            raise _Explosive("it repeats something empty")
        characters = frozenset[str]().union(*(piece.characters for piece in pieces))
        if high > 1:
            self._check_body(body, pieces)
        if high == 1 and any(piece.varies for piece in pieces):
            ways = 1
            for piece in pieces:
                ways *= piece.ways
            endless = any(piece.endless for piece in pieces)
            self.degree_inside = max(self.degree_inside, _degree(pieces))
            return _Piece(characters, False, ways + (low == 0), endless)
        endless = high - low > 100
        required = low > 0 and any(piece.required for piece in pieces)
        return _Piece(characters, required, 1 if endless else high - low + 1, endless)

    def _check_body(self, body: Any, pieces: list[_Piece]) -> None:
        """What is repeated must have one way only to be taken from a text."""
        self._check_branches(body)
        if not any(_is_variable(name, argument) for name, argument in _walk(body)):
            return
        self.degree_inside = max(self.degree_inside, _degree(pieces))
        for index, piece in enumerate(pieces):
            others = pieces[:index] + pieces[index + 1 :]
            if piece.required and not piece.varies:
                if all(piece.characters.isdisjoint(other.characters) for other in others):
                    return  # as the comma in (\d+,)*, it says where each turn ends
        raise _Explosive("it has a repeat inside a repeat")

    def _check_branches(self, tree: Any) -> None:
        for operator, argument in _walk(tree):
            if str(operator) != "BRANCH":
                continue
            taken: set[str] = set()
            for branch in argument[1]:
                first = next(iter(self._pieces(branch)), None)
                if first is None or not first.required or taken & first.characters:
                    raise _Explosive("choices inside a repeat begin with the same characters")
                taken |= first.characters

    def _characters(self, name: str, argument: Any) -> frozenset[str]:
        if name == "LITERAL":
            found = {chr(argument)}
        elif name == "NOT_LITERAL":
            found = set(self.alphabet) - {chr(argument)}
        elif name == "ANY":
            found = set(self.alphabet)
        else:
            found = self._set(argument)
        if self.folds:
            found |= {c.lower() for c in found} | {c.upper() for c in found}
        return frozenset(found)

    def _set(self, items: Any) -> set[str]:
        found: set[str] = set()
        negated = False
        for operator, argument in items:
            name = str(operator)
            if name == "NEGATE":
                negated = True
            elif name == "LITERAL":
                found.add(chr(argument))
            elif name == "RANGE":
                found |= {c for c in self.alphabet if argument[0] <= ord(c) <= argument[1]}
            else:
                category = re.compile(_CATEGORIES[str(argument)])
                found |= {c for c in self.alphabet if category.match(c)}
        return set(self.alphabet) - found if negated else found


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


def _is_variable(operator: Any, argument: Any) -> bool:
    return str(operator).endswith("_REPEAT") and bool(argument[0] != argument[1])


def _optional(piece: _Piece) -> _Piece:
    return _Piece(piece.characters, False, piece.ways + 1, piece.endless)


def _degree(pieces: list[_Piece]) -> int:
    """How many endless repeats can share out one text; the time grows with that power of it."""
    varying = [index for index, piece in enumerate(pieces) if piece.varies]
    degrees: dict[int, int] = {}
    ways: dict[int, int] = {}
    for index in varying:
        piece = pieces[index]
        rivals = [one for one in degrees if _share(pieces, one, index)]
        degrees[index] = piece.endless + max((degrees[one] for one in rivals), default=0)
        ways[index] = piece.ways * max((ways[one] for one in rivals), default=1)
        if ways[index] > _MOST_WAYS:
            raise _Explosive("many of its parts can match the same text")
    return max(degrees.values(), default=0)


def _share(pieces: list[_Piece], left: int, right: int) -> bool:
    """Whether one text can be taken by either of two pieces, and by all that is between them."""
    common = pieces[left].characters & pieces[right].characters
    between = pieces[left + 1 : right]
    return bool(common) and all(
        not piece.required or common & piece.characters for piece in between
    )


def _walk(tree: Any) -> Iterator[tuple[Any, Any]]:
    for operator, argument in tree:
        yield operator, argument
        for part in _subtrees(str(operator), argument):
            yield from _walk(part)


def _subtrees(name: str, argument: Any) -> Iterable[Any]:
    if name.endswith("_REPEAT"):
        return [argument[2]]
    if name == "SUBPATTERN":
        return [argument[3]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    if name == "BRANCH":
        return list(argument[1])
    return [argument] if name == "ATOMIC_GROUP" else []


def _codes(tree: Any) -> Iterator[int]:
    for operator, argument in _walk(tree):
        for name, value in argument if str(operator) == "IN" else [(operator, argument)]:
            if str(name) in ("LITERAL", "NOT_LITERAL"):
                yield value
            elif str(name) == "RANGE":
                yield from value
