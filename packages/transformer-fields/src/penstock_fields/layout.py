"""What the options mean for records with certain fields: which steps, and what comes out of them.

This is the one place that knows the order of the options.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock_expressions import Expression, Pattern, Reader

from .steps import (
    Cast,
    Compute,
    Default,
    Fail,
    Literal,
    Nest,
    Read,
    Step,
    Substitute,
    Test,
    missing,
)

__all__ = ["Layout", "Plan"]


@dataclass(frozen=True)
class Plan:
    """The options of one node, checked, with everything in them compiled."""

    rename: Mapping[str, str]
    default: Mapping[str, Any]
    substitute: Mapping[str, Sequence[tuple[Pattern, str]]]
    cast: Mapping[str, tuple[str, Reader]]
    constants: Mapping[str, Any]
    computed: Sequence[tuple[str, Expression]]
    where: Expression | None
    nest: Mapping[str, Mapping[str, str]]
    select: Sequence[str]
    drop: Sequence[str]
    lenient: bool
    nulls: tuple[str, ...]

    def names(self) -> set[str]:
        """Every field that any option names: only these decide what is to be done."""
        found: set[str] = {*self.rename, *self.rename.values(), *self.select, *self.drop}
        found.update(self.default, self.substitute, self.cast, self.constants, self.nest)
        for members in self.nest.values():
            found.update(members.values())
        expressions = [expression for _, expression in self.computed]
        found.update(name for name, _ in self.computed)
        for expression in [*expressions, self.where] if self.where else expressions:
            found.update(expression.fields, expression.asked)
        return found


class Layout:
    """The steps for records with these columns, in an order that drops a record early.

    `outputs` gives the step behind each field of the result, and `places` the column whose place a
    field has taken, or None for a new one.
    """

    def __init__(self, plan: Plan, columns: Iterable[Any]) -> None:
        self.plan = plan
        self.columns = tuple(columns)
        self.fields: dict[Any, Step] = {column: Read(column) for column in self.columns}
        self.places: dict[Any, Any] = {column: column for column in self.columns}
        self.order: list[Step] = list(self.fields.values())
        self._rename()
        self._change()
        test = self._test()
        self._nest()
        self._choose()
        if test is not None:
            needed = _needed(test)
            first = [step for step in self.order if step in needed]
            rest = [step for step in self.order if step not in needed]
            self.order = [*first, test, *rest]
        self.outputs = self.fields

    def value(self, record: Mapping[Any, Any]) -> dict[Any, Any] | None:
        """The result for one record, slowly: None if it is dropped, RecordError if it fails."""
        values: dict[Step, Any] = {}
        for step in self.order:
            values[step] = step.value(values, record)
            if isinstance(step, Test) and not values[step]:
                return None
        return {name: values[step] for name, step in self.outputs.items()}

    def _add(self, step: Step) -> Step:
        self.order.append(step)
        return step

    def _put(self, name: Any, step: Step) -> None:
        self.fields[name] = self._add(step)
        self.places.setdefault(name, None)

    def _lacks(self, where: str, name: str) -> bool:
        """Whether a field is not there; where that matters it is a failure."""
        if name in self.fields:
            return False
        if not self.plan.lenient:
            self._add(missing(where, name, self.fields))
        return True

    def _rename(self) -> None:
        names = self.plan.rename
        for old in names:
            self._lacks(f"rename.{old}", old)
        if self.fields.keys().isdisjoint(names):
            return
        fields: dict[Any, Step] = {}
        places: dict[Any, Any] = {}
        for old, step in self.fields.items():
            new = names.get(old, old)
            if new in fields:
                culprit = next(one for one, to in names.items() if to == new)
                self._add(Fail(f"rename.{culprit}: the record already has a field {new!r}"))
            fields[new], places[new] = step, self.places[old]
        self.fields, self.places = fields, places

    def _change(self) -> None:
        plan = self.plan
        for name, value in plan.default.items():
            given = self.fields.get(name)
            where = f"default.{name}"
            if given is None:
                self._put(name, Literal(where, value))
            else:
                self._put(name, Default(where, given, value, plan.nulls))
        for name, rules in plan.substitute.items():
            if not self._lacks(f"substitute.{name}", name):
                self._put(name, Substitute(name, self.fields[name], rules))
        for name, (kind, read) in plan.cast.items():
            if not self._lacks(f"cast.{name}", name):
                self._put(name, Cast(name, self.fields[name], kind, read, plan.nulls))
        for name, value in plan.constants.items():
            self._put(name, Literal(f"constants.{name}", value))
        for name, expression in plan.computed:
            self._put(name, Compute(expression, self.fields, plan.lenient))

    def _test(self) -> Test | None:
        where = self.plan.where
        return None if where is None else Test(where, self.fields, self.plan.lenient)

    def _nest(self) -> None:
        for name, members in self.plan.nest.items():
            there = {
                inner: field
                for inner, field in members.items()
                if not self._lacks(f"nest.{name}", field)
            }
            nested = Nest(f"nest.{name}", {inner: self.fields[one] for inner, one in there.items()})
            for field in set(there.values()):
                del self.fields[field], self.places[field]
            if name in self.fields:
                self._add(Fail(f"nest.{name}: the record already has a field {name!r}"))
            self._put(name, nested)

    def _choose(self) -> None:
        if self.plan.select:
            names = [name for name in self.plan.select if not self._lacks("select", name)]
            self.fields = {name: self.fields[name] for name in names}
        for name in self.plan.drop:
            if not self._lacks("drop", name):
                del self.fields[name]


def _needed(step: Step) -> set[Step]:
    """All steps that have to be done before this one."""
    found: set[Step] = set()
    open_ = list(step.needs)
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_.extend(one.needs)
    return found
