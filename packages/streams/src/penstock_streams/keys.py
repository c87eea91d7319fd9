"""Keys: what an element is joined or windowed by, read from whole batches at once.

A key is given as the text of an expression, as an `Expr`, or as a function of the element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from operator import attrgetter, itemgetter, le
from typing import Any

from penstock import RecordError
from penstock.errors import nearest
from penstock.store import decode_record, encode_record

from .expressions import Expr

__all__ = [
    "BOTTOM",
    "TOP",
    "Key",
    "check_key",
    "frozen",
    "in_order",
    "numbers",
    "out_of_order",
    "thawed",
]

KeyText = str | Expr | Callable[[Any], Any]


class _Bound:
    """Compares as smaller, or as greater, than every key."""

    def __init__(self, greater: bool) -> None:
        self.greater = greater

    def __lt__(self, _: Any) -> bool:
        return not self.greater

    __le__ = __lt__

    def __gt__(self, _: Any) -> bool:
        return self.greater

    __ge__ = __gt__

    def __repr__(self) -> str:
        return "TOP" if self.greater else "BOTTOM"


BOTTOM = _Bound(greater=False)
TOP = _Bound(greater=True)
"""Stands after the last key of a batch, so that a loop over keys needs no index check."""


def check_key(value: Any) -> None:
    """The `check` of an option that is a key: raises ValueError with what is wrong."""
    if isinstance(value, str):
        if not value.isidentifier():
            Key(value)
    elif not isinstance(value, Expr) and not callable(value):
        raise ValueError("must be a field, an expression or a function")


class Key:
    """One key, ready for loops. `attributes`: the elements are objects and no mappings; `ordered`:
    it must not fall from one element to the next."""

    def __init__(
        self, given: KeyText, where: str = "key", *, attributes: bool = False, ordered: bool = True
    ) -> None:
        self.given = given
        self.ordered = ordered
        self.where = where
        self.attributes = attributes
        self._expression: Any = None
        self.is_field = isinstance(given, str) and given.isidentifier()
        self.function: Callable[[Any], Any]
        if isinstance(given, Expr):
            self.function = given.function(attributes=attributes)
        elif not isinstance(given, str):
            self.function = given
        elif self.is_field:
            self.function = attrgetter(given) if attributes else itemgetter(given)
        else:
            from penstock_expressions import compile_expression  # 20 ms, for those who need it

            self._expression = compile_expression(given, where=where)
            inner = self._expression.function
            self.function = (lambda element: inner(vars(element))) if attributes else inner

    def of(self, elements: Sequence[Any]) -> list[Any]:
        """The key of each element; raises what the first that fails raises."""
        return list(map(self.function, elements))

    def failure(self, element: Any, error: Exception) -> RecordError:
        """What went wrong with this element, as a sentence."""
        if not self.attributes and not isinstance(element, Mapping):
            return RecordError(f"{self.where}: a {type(element).__name__} has no fields")
        if self._expression is not None and isinstance(element, Mapping):
            return RecordError(self._expression.explain(element, error))
        if isinstance(error, KeyError) and error.args:
            name = str(error.args[0])
            near = nearest(name, map(str, element))
            hint = f"; did you mean {near!r}?" if near else ""
            return RecordError(f"{self.where}: the record has no field {name!r}{hint}")
        return RecordError(f"{self.where}: {type(error).__name__}: {error}")

    def __repr__(self) -> str:
        return self.given if isinstance(self.given, str) else repr(self.given)


def numbers(values: Sequence[Any]) -> Any:
    """`int` where all are whole numbers, `float` where some have a fraction, else None: told by
    their sum, which is quicker than to look at the type of each."""
    try:
        kind = type(sum(values))
    except (TypeError, ArithmeticError):
        return None
    return kind if kind is int or kind is float else None


def in_order(keys: list[Any], last: Any) -> bool:
    """Whether no key is None, nan or smaller than one before it; `last` came before them all."""
    if not keys:
        return True
    try:
        first = keys[0]
        # To sort what is sorted is quicker than to compare neighbours.
        if numbers(keys) is int if type(first) is int else set(map(type, keys)) == {str}:
            return bool(last <= first) and sorted(keys) == keys
        return (
            first is not None
            and first == first
            and bool(last <= first)
            and all(map(le, keys, islice(keys, 1, None)))
        )
    except TypeError:  # keys of several kinds, or none: the slow way tells which
        return False


def out_of_order(key: Any, last: Any) -> str | None:
    """Why an element with this key cannot come after one with the key `last`; None if it can."""
    if key is None:
        return "is None, so it is joined with nothing"
    try:
        if key != key:
            return f"is {key!r}, so it is joined with nothing"
        if last <= key:
            return None
    except TypeError:
        return f"is {key!r}, which cannot be compared with {last!r} before it; make them one type"
    return f"is {key!r} and came after {last!r}; keys must not fall"


def frozen(key: Any) -> Any:
    """A key as JSON, None where there was none yet."""
    if key is BOTTOM or type(key) in (int, str):
        return None if key is BOTTOM else key
    return {"key": encode_record(key)}


def thawed(kept: Any) -> Any:
    if kept is None:
        return BOTTOM
    return decode_record(kept["key"]) if isinstance(kept, dict) else kept
