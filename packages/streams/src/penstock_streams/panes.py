"""Open windows: what each has taken in so far, and what it gives when it closes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from penstock.errors import nearest
from penstock_shape.aggregates import AGGREGATES, Aggregate

from .keys import Key, check_key

__all__ = ["Call", "Pane", "Table", "calls", "check_calls"]

_CALL = re.compile(r"\s*([\w.:]+)\s*\((.*)\)\s*", re.DOTALL)


class Call(NamedTuple):
    """An aggregate of a window: `total: sum(amount)`. `key` is None for `count()`."""

    name: str
    make: Callable[[], Aggregate]
    key: Key | None


def check_calls(value: Mapping[str, Any]) -> None:
    """The `check` of an option with aggregates."""
    for name, text in value.items():
        _taken_apart(name, text)


def calls(given: Mapping[str, Any]) -> list[Call]:
    """The aggregates, with their classes loaded."""
    made = []
    for name, text in given.items():
        function, argument = _taken_apart(name, text)
        if isinstance(function, str):
            function = AGGREGATES.get(function) or _loaded(function)
        made.append(Call(name, function, None if argument is None else Key(argument, name)))
    return made


def _taken_apart(name: str, text: Any) -> tuple[Any, Any]:
    if isinstance(text, (list, tuple)):
        function, argument = text
        check_key(argument)
        return function, argument
    found = _CALL.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{name} must be an aggregate such as 'sum(amount)', got {text!r}")
    function, argument = found[1], found[2].strip() or None
    function = "list" if function == "collect" else function
    if ":" not in function and function not in AGGREGATES:
        near = nearest(function, AGGREGATES)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(AGGREGATES)}"
        raise ValueError(f"{name}: no such aggregate, got {text!r}; {hint}")
    if argument is None and function != "count":
        raise ValueError(f"{name} needs a field, got {text!r}; write it as '{function}(amount)'")
    if argument is not None:
        check_key(argument)
    return function, argument


def _loaded(reference: str) -> Any:
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


class Table(NamedTuple):
    """The records of a batch that can be windowed, with what is needed of them, by column."""

    source: str
    records: list[Any]
    ordinals: Sequence[int]
    times: list[Any]
    bys: list[Any]
    columns: list[list[Any]]  # one for each aggregate
    holes: Sequence[bool]  # whether None is in the column
    in_order: bool = False  # the times are known not to fall, and none is late


def _at(column: list[Any], rows: Sequence[int]) -> list[Any]:
    if type(rows) is range:
        return column[rows.start : rows.stop]
    return [column[row] for row in rows]


class Pane:
    """One open window.

    It answers for `answers` of the records in it: a record in several windows is answered for by
    one of them. `rows`, of windows that may still be merged or cut, are taken in when they close.
    """

    __slots__ = (
        "aggregates",
        "answers",
        "by",
        "count",
        "end",
        "number",
        "ordinal",
        "records",
        "source",
        "start",
    )

    def __init__(self, by: Any, start: Any, end: Any, number: int, made: list[Aggregate]) -> None:
        self.by = by
        self.start = start
        self.end = end
        self.number = number  # in the order in which windows were opened
        self.aggregates = made
        self.records: list[Any] = []
        self.count = self.answers = 0
        self.source = ""
        self.ordinal = 0

    def take(self, table: Table, rows: Sequence[int], *, keep: bool, answer: bool = True) -> None:
        """Take in these rows of a table."""
        if not self.count:
            self.source, self.ordinal = table.source, table.ordinals[rows[0]]
        self.count += len(rows)
        if answer:
            self.answers += len(rows)
        if keep:
            self.records.extend(_at(table.records, rows))
        for aggregate, column, holes in zip(self.aggregates, table.columns, table.holes):
            values = _at(column, rows)
            aggregate.add([one for one in values if one is not None] if holes else values)

    def state(self) -> list[Any]:
        return [
            self.by,
            self.start,
            self.end,
            self.number,
            self.count,
            self.answers,
            self.source,
            self.ordinal,
            self.records,
            [one.state() for one in self.aggregates],
        ]

    def restore(self, state: Sequence[Any]) -> None:
        self.number, self.count, self.answers, self.source, self.ordinal = state[3:8]
        self.records = list(state[8])
        for aggregate, kept in zip(self.aggregates, state[9], strict=True):
            aggregate.restore(kept)
