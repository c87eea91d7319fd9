"""The rules that a field can have, and the tests that they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from penstock import component, option

__all__ = ["Length", "Rule", "Test", "tests_of"]

TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((float,), "a float"),
    "decimal": ((Decimal,), "a decimal"),
    "number": ((int, float, Decimal), "a number"),
    "bool": ((bool,), "true or false"),
    "date": ((date,), "a date"),
    "datetime": ((datetime,), "a datetime"),
    "time": ((time,), "a time"),
    "bytes": ((bytes,), "bytes"),
    "list": ((list, tuple), "a list"),
    "mapping": ((dict,), "a mapping"),
}
"""Each type's name, its classes, and the words for it."""

TypeName = Literal[
    "text",
    "int",
    "float",
    "decimal",
    "number",
    "bool",
    "date",
    "datetime",
    "time",
    "bytes",
    "list",
    "mapping",
]


@component
class Length:
    """How long a text or list may be."""

    min: int | None = option(default=None, help="At least so long.")
    max: int | None = option(default=None, help="At most so long.")


def _pattern(text: str | None) -> None:
    if text is not None:
        from penstock_expressions import bounded_pattern

        bounded_pattern(text)  # what it raises is a ValueError with a sentence


@component
class Rule:
    """What the values of one field must be."""

    type: TypeName | None = option(default=None, help="The type of the value.", example="int")
    min: Any = option(default=None, help="The least value, itself allowed.", example=0)
    max: Any = option(default=None, help="The greatest value, itself allowed.", example=100)
    pattern: str | None = option(
        default=None,
        help="A regular expression that must match the whole text.",
        check=_pattern,
        example="[A-Z]{2}[0-9]+",
    )
    enum: list[Any] | None = option(
        default=None, help="The values that are allowed.", example=["de", "fr"]
    )
    length: int | Length | None = option(
        default=None, help="The length of a text or list, or its min and max.", example={"max": 80}
    )
    optional: bool = option(default=False, help="Whether the field may be missing or null.")

    def check(self) -> None:
        if self.enum is not None and not self.enum:
            raise ValueError("enum must have at least one value, got []")
        if isinstance(self.length, Length):
            self._check_length(self.length)
        low, high = self.limits()
        try:
            wrong = low is not None and high is not None and low > high
        except TypeError:
            raise ValueError(
                f"min and max cannot be compared, got {self.min!r} and {self.max!r}"
            ) from None
        if wrong:
            raise ValueError(f"min must not be greater than max, got {self.min!r} and {self.max!r}")

    def _check_length(self, length: Length) -> None:
        if length.min is None and length.max is None:
            raise ValueError("length must have min or max, or both")
        if length.min is not None and length.max is not None and length.min > length.max:
            raise ValueError(
                f"length must not have min greater than max, got {length.min} and {length.max}"
            )

    def limits(self) -> tuple[Any, Any]:
        """`min` and `max` as values of `type`: a date stands in a file as text."""
        return self._read(self.min, "min"), self._read(self.max, "max")

    def _read(self, limit: Any, name: str) -> Any:
        if limit is None or self.type not in ("date", "datetime", "decimal"):
            return limit
        from penstock_expressions import reader

        try:
            return reader(self.type)(limit)
        except ValueError:
            raise ValueError(f"{name} must be {TYPES[self.type][1]}, got {limit!r}") from None


class Test(NamedTuple):
    """One test: the source of it with {v} and {k} for value and constant, the same as a function,
    and what a value must be that does not pass it.

    Where the source is true the function is; not the other way round, as the source may know
    fewer types.
    """

    source: str
    constant: Any
    holds: Callable[[Any], bool]
    sentence: str


def tests_of(rule: Rule) -> Iterator[Test]:
    """The tests of a rule in the order in which they make sense."""
    if rule.type is not None:
        classes, words = TYPES[rule.type]
        no_bool = bool not in classes and int in classes
        no_time = datetime not in classes and date in classes

        def of_type(value: Any) -> bool:
            if (no_bool and isinstance(value, bool)) or (no_time and isinstance(value, datetime)):
                return False
            return isinstance(value, classes)

        yield Test("type({v}) in {k}", frozenset(classes), of_type, f"must be {words}")
    low, high = rule.limits()
    if low is not None:
        yield Test("{v} >= {k}", low, lambda v: bool(v >= low), f"must be at least {rule.min!r}")
    if high is not None:
        yield Test("{v} <= {k}", high, lambda v: bool(v <= high), f"must be at most {rule.max!r}")
    if rule.length is not None:
        yield _length(rule.length)
    if rule.pattern is not None:
        from penstock_expressions import bounded_pattern

        matches = bounded_pattern(rule.pattern).matches
        yield Test("{k}({v})", matches, matches, f"must match {rule.pattern!r}")
    if rule.enum is not None:
        yield _enum(rule.enum)


def _length(length: int | Length) -> Test:
    if isinstance(length, int):
        low: int | None = length
        high: int | None = length
        words = f"must have length {length}"
    else:
        low, high = length.min, length.max
        bounds = [
            f"at least {low}" if low is not None else "",
            f"at most {high}" if high is not None else "",
        ]
        words = f"must have a length of {' and '.join(filter(None, bounds))}"
    allowed = range(low or 0, (high if high is not None else 2**62) + 1)
    return Test("len({v}) in {k}", allowed, lambda v: len(v) in allowed, words)


def _enum(values: list[Any]) -> Test:
    def holds(value: Any) -> bool:
        # 1 and true are equal in Python, but not to whoever writes a list of allowed values.
        return any(value == one and (type(value) is bool) == (type(one) is bool) for one in values)

    words = "must be one of" if len(values) > 1 else "must be"
    sentence = f"{words} {', '.join(map(repr, values))}"
    try:
        exact = frozenset((type(value), value) for value in values)
    except TypeError:  # lists and mappings have no hash
        return Test("{k}({v})", holds, holds, sentence)
    return Test("(type({v}), {v}) in {k}", exact, holds, sentence)
