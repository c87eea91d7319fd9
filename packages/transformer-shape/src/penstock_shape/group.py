"""One record for each group of records, with what the group tells about them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from keyword import iskeyword
from operator import attrgetter, ne
from types import NoneType
from typing import Any, ClassVar, NamedTuple

from penstock import (
    BATCH_SIZE,
    Batch,
    Context,
    RecordError,
    RunError,
    Transformer,
    component,
    option,
)
from penstock.errors import nearest

from .aggregates import AGGREGATES, Aggregate
from .expressions import compiled, is_expression
from .holding import failed, freeze, thaw
from .kinds import BOOLEAN, NUMBER, Kind, kind_of
from .picking import Picked, Reader, names, one_or_more_names, pick_rows, reader, without

__all__ = ["Group"]

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)


class Call(NamedTuple):
    """`total: sum(amount)`, taken apart; `argument` is empty for `count()`."""

    name: str
    function: str
    argument: str


def parse_call(name: str, text: str) -> Call:
    """Take an aggregate apart, or raise ValueError with what is wrong with it."""
    found = _CALL.fullmatch(text)
    if found is None:
        raise ValueError(f"{name} must be an aggregate such as 'sum(amount)', got {text!r}")
    function, argument = found[1], found[2].strip()
    if function not in AGGREGATES:
        near = nearest(function, AGGREGATES)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(AGGREGATES)}"
        raise ValueError(f"{name}: no such aggregate, got {text!r}; {hint}")
    if not argument and function != "count":
        raise ValueError(f"{name} needs a field, got {text!r}; write it as '{function}(amount)'")
    if argument and not _is_name(argument):
        try:
            is_expression(argument)
        except ValueError as error:
            raise ValueError(f"{name}: {error}, got {text!r}") from error
    return Call(name, function, argument)


def _no_names_or_more(value: str | list[str]) -> None:
    if names(value):
        one_or_more_names(value)


def _calls(value: dict[str, str]) -> None:
    for name, text in value.items():
        parse_call(name, text)


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


class _Members:
    """One group: its key as it was first seen, the source record behind it, its aggregates."""

    __slots__ = ("aggregates", "count", "key", "ordinal", "source")

    def __init__(self, key: Any, source: str, ordinal: int, aggregates: list[Aggregate]) -> None:
        self.key = key
        self.source = source
        self.ordinal = ordinal
        self.count = 0
        self.aggregates = aggregates


@component
class Group(Transformer):
    """Make one record of all records with the same values in `by`, when the stream has ended.

    Groups come in the order in which they were first seen. Values that are null are left out by
    every aggregate; `count()` counts records.
    """

    mutates: ClassVar[bool] = False

    by: str | list[str] = option(
        default=[],
        help="The field or fields that make a group; left out, all records are one group.",
        check=_no_names_or_more,
        example=["country"],
    )
    aggregate: dict[str, str] = option(
        help="Fields of the results, each with count, sum, mean, min, max, first, last, list or "
        "distinct of a field or an expression.",
        check=_calls,
        example={"orders": "count()", "total": "sum(amount)"},
    )
    partitioned: bool = option(
        default=False,
        help="Every partition of the input has groups of its own, which go where it goes: several "
        "workers may share the partitions.",
    )
    max_groups: int = option(
        default=100_000, help="Stop the run rather than hold more groups.", check=_positive
    )
    max_values: int = option(
        default=1_000_000,
        help="Stop the run rather than hold more values for list and distinct.",
        check=_positive,
    )

    def check(self) -> None:
        if not names(self.by) and not self.aggregate:
            raise ValueError("give by or aggregate, or both")
        both = sorted(set(names(self.by)) & set(self.aggregate))
        if both:
            raise ValueError(f"aggregate must not use the name of a field in by, {both[0]!r}")

    def open(self, context: Context) -> None:
        super().open(context)
        self._by = names(self.by)
        self._calls = [parse_call(name, text) for name, text in self.aggregate.items()]
        self._makers = [AGGREGATES[call.function] for call in self._calls]
        self._readers = [
            reader(self._by) if self._by else _everything,
            *map(_argument, self._calls),
        ]
        self._kinds = {
            index: Kind(call.argument, make.purpose)
            for index, (call, make) in enumerate(zip(self._calls, self._makers), 1)
            if make.purpose == "put in order"
        }
        self._start()

    def _start(self) -> None:
        self._groups: dict[Any, _Members] = {}
        self._values = 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        picked = self._sound(pick_rows(self._readers, batch))
        for key, rows, ordinal in self._buckets(picked):
            members = self._groups.get(key)
            if members is None:
                members = self._new(key, batch.source, ordinal)
            members.count += len(rows)
            for aggregate, column in zip(members.aggregates, self._columns(rows)):
                self._values += aggregate.add(column)
        if self._values > self.max_values:
            raise RunError(
                f"list and distinct hold more than {self.max_values} values",
                where=self.context.name,
                hint="raise max_values, or filter before",
            )
        yield from failed(batch.source, picked.failures)

    def _new(self, key: Any, source: str, ordinal: int) -> _Members:
        if len(self._groups) == self.max_groups:
            by = " and ".join(map(repr, self._by))
            raise RunError(
                f"there are more than {self.max_groups} groups by {by}",
                where=self.context.name,
                hint="raise max_groups, or group by fewer fields",
            )
        members = _Members(key, source, ordinal, [make() for make in self._makers])
        self._groups[key] = members
        return members

    def _buckets(self, picked: Picked) -> Iterator[tuple[Any, list[Any], int]]:
        """The rows of each key with the ordinal of the first; a row is (key, *arguments)."""
        buckets: defaultdict[Any, list[Any]] = defaultdict(list)
        firsts: dict[Any, int] = {}
        for row, ordinal in zip(picked.values, picked.ordinals):
            rows = buckets[row[0]]
            if not rows:
                firsts[row[0]] = ordinal
            rows.append(row)
        for key, rows in buckets.items():
            yield key, rows, firsts[key]

    def _columns(self, rows: list[Any]) -> Iterator[Sequence[Any]]:
        _, *columns = zip(*rows)
        for call, column in zip(self._calls, columns):
            if call.argument and None in column:
                yield [value for value in column if value is not None]
            else:
                yield column

    def _sound(self, picked: Picked) -> Picked:
        """Without the records whose values an aggregate could not use."""
        columns = [*zip(*picked.values)] or [()] * len(self._readers)
        wrong = _unhashable(columns[0], " and ".join(self._by), "grouped by")
        for call, make, column in zip(self._calls, self._makers, columns[1:]):
            if make.purpose == "added":
                wrong.update(_not_numbers(column, call))
            elif make.purpose == "counted":
                wrong.update(_unhashable(column, call.argument, "counted"))
        picked = without(picked, wrong)
        for index, kind in self._kinds.items():
            picked = without(picked, kind.wrong([row[index] for row in picked.values]))
        return picked

    def finish(self) -> Iterable[Batch]:
        groups = iter(self._groups.values())
        self._start()
        for source, run in groupby(groups, key=attrgetter("source")):
            while part := list(islice(run, BATCH_SIZE)):
                yield Batch(
                    list(map(self._result, part)),
                    source,
                    [one.ordinal for one in part],
                    consumed=sum(one.count for one in part),
                    dropped=0,
                )

    def _result(self, members: _Members) -> dict[str, Any]:
        key = members.key if len(self._by) != 1 else (members.key,)
        result = dict(zip(self._by, key))
        for call, aggregate in zip(self._calls, members.aggregates):
            result[call.name] = aggregate.result()
        return result

    def snapshot(self) -> Any:
        if not self._groups:
            return None
        groups = [
            [one.key, one.source, one.ordinal, one.count, [kept.state() for kept in one.aggregates]]
            for one in self._groups.values()
        ]
        return {
            "values": self._values,
            "kinds": [kind.kind for kind in self._kinds.values()],
            "groups": freeze(groups, self.context.name),
        }

    def restore(self, state: Any) -> None:
        self._start()
        self._values = state["values"]
        for kind, known in zip(self._kinds.values(), state["kinds"], strict=True):
            kind.kind = known
        for key, source, ordinal, count, kept in thaw(state["groups"]):
            members = self._new(key, source, ordinal)
            members.count = count
            for aggregate, one in zip(members.aggregates, kept, strict=True):
                aggregate.restore(one)


def _is_name(text: str) -> bool:
    """Whether an argument is just a field, which needs no expression to be read."""
    return text.isidentifier() and not iskeyword(text)


def _argument(call: Call) -> Reader:
    if not call.argument:
        return _everything
    if _is_name(call.argument):
        return reader([call.argument])
    return compiled(call.argument, call.name)


def _everything(record: Any) -> Any:
    """The key of all records together, and what `count()` counts: always the same."""
    return ()


_NUMBERS = frozenset({int, float, bool, NoneType})
"""Types all of whose values can be added, but for the floats that are not equal to themselves."""


def _not_numbers(column: Sequence[Any], call: Call) -> dict[int, Exception]:
    types = set(map(type, column))
    if types <= _NUMBERS and not (float in types and any(map(ne, column, column))):
        return {}
    from penstock_expressions import shown  # 20 ms, and rarely needed

    return {
        index: RecordError(
            f"{call.argument}: {shown(value)} is {kind_of(value) or 'no number'}, "
            f"so {call.function} cannot add it; cast it first"
        )
        for index, value in enumerate(column)
        if value is not None and kind_of(value) not in (NUMBER, BOOLEAN)
    }


def _unhashable(column: Sequence[Any], field: str, purpose: str) -> dict[int, Exception]:
    wrong: dict[int, Exception] = {}
    try:
        list(map(hash, column))
    except TypeError:
        from penstock_expressions import shown  # 20 ms, and rarely needed

        for index, value in enumerate(column):
            try:
                hash(value)
            except TypeError:
                wrong[index] = RecordError(f"{field}: {shown(value)} cannot be {purpose}")
    return wrong
