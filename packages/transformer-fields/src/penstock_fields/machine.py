"""What runs a plan over batches: finds the function for what arrives, and sees to what fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from penstock import Batch, Failure, RecordError, Rows
from penstock_expressions import shown

from .compiled import Compiled, Loop
from .layout import Layout, Plan
from .unnest import flatten

__all__ = ["Machine"]

MOST_SHAPES = 64
"""So many combinations of fields get a function of their own; records of all others share some."""

MOST_COMPILED = 1024


class Machine:
    """Runs one plan. It keeps the functions that it has compiled, and nothing about records."""

    def __init__(self, plan: Plan, unnest: Sequence[str] = (), separator: str = ".") -> None:
        self._plan = plan
        self._unnest = unnest
        self._separator = separator
        self._named = plan.names()
        self._of_rows: dict[tuple[Any, ...], Compiled] = {}
        self._of_mappings: dict[tuple[Any, ...], Compiled] = {}
        self._crowded = False

    def run(self, batch: Batch) -> Batch:
        """The batch with every record transformed; those that fail are set aside."""
        records = batch.records
        if type(records) is Rows and records.rows and not self._unnest:
            work = self._run_rows(batch, records)
        elif self._unnest:
            work = self._run_nested(batch)
        else:
            items = records if type(records) is list else list(records)
            work = _Work(items, batch.ordinals)
            work.run(_hand_out, self._loop_for, self._settle)
        failures = [Failure(records[index], batch.ordinals[index], e) for index, e in work.failed]
        ordinals = batch.ordinals
        if self._plan.where is not None:
            ordinals = work.numbers
        elif failures:
            failed = {index for index, _ in work.failed}
            ordinals = [n for index, n in enumerate(ordinals) if index not in failed]
        return Batch(
            work.results,
            batch.source,
            ordinals,
            failures=failures,
            consumed=len(records),
        )

    # ---- rows -------------------------------------------------------------------------------

    def _run_rows(self, batch: Batch, records: Rows) -> _Work:
        columns = records.columns
        compiled = self._of_rows.get(columns) or self._compiled(columns, of_rows=True)

        def settle(row: Sequence[Any]) -> Any:
            value = compiled.layout.value(dict(zip(columns, row, strict=True)))
            compiled.allow_any()
            return value

        work = _Work(records.rows, batch.ordinals)
        work.run(compiled.loop(records.rows[0]), compiled.loop, settle)
        return work

    # ---- mappings ---------------------------------------------------------------------------

    def _run_nested(self, batch: Batch) -> _Work:
        items, origins, failed = [], [], []
        for index, record in enumerate(batch.records):
            try:
                items.append(flatten(record, self._unnest, self._separator, self._plan.lenient))
                origins.append(index)
            except RecordError as error:
                failed.append((index, error))
        work = _Work(items, [batch.ordinals[index] for index in origins])
        work.run(_hand_out, self._loop_for, self._settle)
        work.failed = sorted(
            [*failed, *((origins[index], error) for index, error in work.failed)],
            key=lambda pair: pair[0],
        )
        return work

    def _loop_for(self, record: Any) -> Loop:
        _check_mapping(record)
        shape = tuple(record)
        compiled = self._of_mappings.get(shape)
        if compiled is None:
            if self._crowded or len(self._of_mappings) >= MOST_SHAPES:
                self._crowded = True
                return self._loop_of_any
            compiled = self._compiled(shape)
        return compiled.loop(record)

    def _settle(self, record: Any) -> Any:
        """The result for a record that the fast function gave up on, or RecordError."""
        _check_mapping(record)
        shape = tuple(record)
        compiled = self._of_mappings.get(shape)
        value = (compiled.layout if compiled else Layout(self._plan, shape)).value(record)
        if compiled:
            compiled.allow_any()
        return value

    def _loop_of_any(
        self,
        pairs: Iterable[tuple[int, Any]],
        keep: Callable[[Any], None],
        number: Callable[[int], None],
    ) -> None:
        """For records that hardly ever have the same fields: only those in the options decide."""
        for ordinal, record in pairs:
            _check_mapping(record)
            known = {name: value for name, value in record.items() if name in self._named}
            shape = tuple(known)
            compiled = self._of_mappings.get(shape) or self._compiled(shape)
            made: list[dict[Any, Any]] = []
            compiled.loop(known)([(ordinal, known)], made.append, _forget)
            if made:
                keep(self._with_others(record, made[0], compiled.layout))
                number(ordinal)

    def _with_others(self, record: Mapping[Any, Any], made: Any, layout: Layout) -> Any:
        """What was made of the fields in the options, with all other fields in their places."""
        if self._plan.select:
            return made
        at_place = {layout.places[name]: name for name in made}
        result: dict[Any, Any] = {}
        for name, value in record.items():
            if name not in self._named:
                result[name] = value
            elif name in at_place:
                result[at_place[name]] = made.pop(at_place[name])
        result.update(made)
        return result

    def _compiled(self, columns: tuple[Any, ...], *, of_rows: bool = False) -> Compiled:
        kept = self._of_rows if of_rows else self._of_mappings
        if len(kept) >= MOST_COMPILED:
            kept.clear()
        kept[columns] = Compiled(Layout(self._plan, columns), of_rows=of_rows)
        return kept[columns]


class _Work:
    """One pass over the items of a batch."""

    def __init__(self, items: list[Any], ordinals: Sequence[int]) -> None:
        self.items = items
        self.ordinals = ordinals
        self.results: list[Any] = []
        self.numbers: list[int] = []
        self.failed: list[tuple[int, Exception]] = []

    def run(
        self, loop: Loop, loop_for: Callable[[Any], Loop], settle: Callable[[Any], Any]
    ) -> None:
        """Run `loop` over all items, and another for items that it is not made for.

        After an exception the iterator knows how many items are left, so the failing one is found
        without counting, and the loop goes on after it. `settle` gives its result after all or
        raises what is wrong with it.
        """
        items, keep, number = self.items, self.results.append, self.numbers.append
        remaining: Any = iter(items)
        pairs: Iterator[tuple[int, Any]] = zip(self.ordinals, remaining)
        other: tuple[int, Any] | None = None
        while True:
            try:
                if other is not None:
                    one, other = other, None
                    loop = loop_for(one[1])
                    loop(iter((one,)), keep, number)
                other = loop(pairs, keep, number)
                if other is None:
                    return
            except Exception:
                index = len(items) - remaining.__length_hint__() - 1
                try:
                    value = settle(items[index])
                except Exception as error:
                    self.failed.append((index, error))
                    continue
                if value is not None:
                    keep(value)
                    number(self.ordinals[index])
                loop = loop_for(items[index])  # it was not what the loop had expected


def _hand_out(
    pairs: Iterable[tuple[int, Any]], keep: Callable[[Any], None], number: Callable[[int], None]
) -> tuple[int, Any] | None:
    """The loop before the first record: it is made for no record, so it hands it back."""
    return next(iter(pairs), None)


def _check_mapping(record: Any) -> None:
    if not isinstance(record, Mapping):
        raise RecordError(f"the record must be a mapping, got {shown(record)}")


def _forget(ordinal: int) -> None:
    pass
