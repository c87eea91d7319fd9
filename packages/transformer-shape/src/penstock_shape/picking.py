"""Values out of the records of a batch, with the records that lack them set aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from penstock import Batch, Failure, RecordError

__all__ = [
    "Picked",
    "Reader",
    "names",
    "no_field",
    "no_fields",
    "one_or_more_names",
    "pick",
    "pick_rows",
    "reader",
    "without",
]

Reader = Callable[[Any], Any]
"""Gets a value out of a record: a function, or an `Expression`, which words its own failures."""


class Picked(NamedTuple):
    """`values[i]` was read from `records[i]`, whose ordinal is `ordinals[i]`."""

    values: list[Any]
    records: list[Any]
    ordinals: Sequence[int]
    failures: list[Failure]


def names(given: str | Sequence[str]) -> list[str]:
    """An option that is a name or a list of names, as a list."""
    return [given] if isinstance(given, str) else list(given)


def one_or_more_names(given: str | Sequence[str]) -> None:
    """The `check` of such an option."""
    listed = names(given)
    if not listed or not all(listed):
        raise ValueError("must name at least one field")
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:
        raise ValueError(f"must name each field once, not {', '.join(map(repr, twice))} twice")


def reader(fields: Sequence[str]) -> Reader:
    """Reads one field as its value and several as a tuple."""
    return itemgetter(*fields)


def pick(read: Reader, batch: Batch) -> Picked:
    """Call `read`, which must not change anything, with every record of a batch."""
    records = _listed(batch)
    try:
        values = list(map(getattr(read, "function", read), records))
        return Picked(values, records, batch.ordinals, [])
    except Exception:  # the slow way finds out which record it was, and reads the others again
        return _one_by_one(read, [read], batch)


def pick_rows(readers: Sequence[Reader], batch: Batch) -> Picked:
    """The same with several readers; each value is the tuple of what they gave."""
    records = _listed(batch)
    try:
        rows = list(zip(*(map(getattr(read, "function", read), records) for read in readers)))
        return Picked(rows, records, batch.ordinals, [])
    except Exception:
        return _one_by_one(lambda record: tuple([read(record) for read in readers]), readers, batch)


def _listed(batch: Batch) -> list[Any]:
    return batch.records if type(batch.records) is list else list(batch.records)


def _one_by_one(read: Reader, parts: Sequence[Reader], batch: Batch) -> Picked:
    picked = Picked([], [], ordinals := [], [])
    for record, ordinal in zip(batch.records, batch.ordinals):
        try:
            picked.values.append(read(record))
        except Exception as error:
            picked.failures.append(Failure(record, ordinal, _explained(error, parts, record)))
        else:
            picked.records.append(record)
            ordinals.append(ordinal)
    return picked


def without(picked: Picked, wrong: Mapping[int, Exception]) -> Picked:
    """The same with the records at the indices in `wrong` set aside."""
    if not wrong:
        return picked
    rows = zip(picked.values, picked.records, picked.ordinals)
    good = [row for index, row in enumerate(rows) if index not in wrong]
    failures = [
        Failure(picked.records[index], picked.ordinals[index], error)
        for index, error in wrong.items()
    ]
    return Picked(
        [value for value, _, _ in good],
        [record for _, record, _ in good],
        [ordinal for _, _, ordinal in good],
        [*picked.failures, *failures],
    )


def _explained(error: Exception, parts: Sequence[Reader], record: Any) -> Exception:
    """The error as a sentence, where the reader that raised it or the record tells more."""
    if not isinstance(record, Mapping):
        return no_fields(record)
    for read in parts:
        try:
            read(record)
        except Exception as again:
            explain = getattr(read, "explain", None)
            if explain is not None:
                return RecordError(explain(record, again))
            if isinstance(again, KeyError) and again.args[0] not in record:
                return no_field(again.args[0], record)
            return again
    return error


def no_fields(record: Any) -> RecordError:
    """What to say of a record that is not a mapping."""
    return RecordError(f"a record of type {type(record).__name__} has no fields")


def no_field(name: Any, record: Mapping[Any, Any]) -> RecordError:
    """What to say of a mapping without this field."""
    from penstock_expressions import no_field as worded  # 20 ms, and rarely needed

    return RecordError(worded(name, record))
