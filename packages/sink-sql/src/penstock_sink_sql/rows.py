"""From a batch to the rows of a table: the same columns for all of them, values as they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from itertools import chain, compress
from operator import itemgetter
from typing import Any

from penstock import Batch, Failure, RecordError, Rows

__all__ = ["Part"]


class Part:
    """The records of a batch as rows. `at[i]` is the index in the batch of the record behind row i;
    records that are set aside leave their rows."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.failures: list[Failure] = []
        records = batch.records
        self.at: Sequence[int] = range(len(records))
        if type(records) is Rows:
            self.columns: tuple[str, ...] = records.columns
            self.rows: Sequence[Sequence[Any]] = records.rows
            self.given: Sequence[Mapping[str, Any]] | None = None
        else:
            self._from_mappings(records)

    def _from_mappings(self, records: Sequence[Any]) -> None:
        first = records[0]
        if type(first) is dict and first and set(map(type, records)) == {dict}:
            columns = tuple(first)
            if set(map(len, records)) == {len(columns)} and _are_names(columns):
                try:
                    self.columns, self.rows = columns, _values(columns, records)
                    self.given = None
                    return
                except KeyError:
                    pass  # the same number of keys, but others
        self._from_any(records)

    def _from_any(self, records: Sequence[Any]) -> None:
        given = []
        kept = []
        for index, record in enumerate(records):
            mapping = _mapping(record)
            if not mapping:
                self._set_aside(index, "is no mapping with keys, so it has no columns")
            elif not _are_names(mapping):
                self._set_aside(index, "has a key that is no text or is empty")
            else:
                given.append(mapping)
                kept.append(index)
        self.at, self.given = kept, given
        self.columns = tuple(dict.fromkeys(chain.from_iterable(given)))
        self.rows = [tuple(map(mapping.get, self.columns)) for mapping in given]

    def types(self) -> set[type]:
        """The types of all values."""
        return set(map(type, chain.from_iterable(self.rows)))

    def by_column(self) -> list[tuple[Any, ...]]:
        """The values of each column."""
        return list(zip(*self.rows))

    def has(self, column: str) -> list[int]:
        """The rows whose record has this column."""
        if self.given is None:
            return list(range(len(self.rows)))
        return [row for row, mapping in enumerate(self.given) if column in mapping]

    def leave_out(self, columns: Iterable[str]) -> None:
        """Write nothing of these columns."""
        gone = set(columns)
        keep = [name not in gone for name in self.columns]
        self.columns = tuple(compress(self.columns, keep))
        self.rows = [tuple(compress(row, keep)) for row in self.rows]

    def keep_one_of_each(self, key: Sequence[str], version: str = "") -> None:
        """Of rows with the same key keep the last one, as if they were written one after the other;
        with a version, the newest. Records without them are set aside."""
        meant = dict.fromkeys(key, "of the key") | ({version: "the version"} if version else {})
        missing = next((name for name in meant if name not in self.columns), None)
        if missing is not None:
            reason = f"has no {missing!r}, which is {meant[missing]}"
            self.refuse(dict.fromkeys(range(len(self.rows)), reason))
            return
        names, at = list(meant), [self.columns.index(name) for name in meant]
        found = [tuple(row[index] for index in at) for row in self.rows]
        empty = {
            row: names[values.index(None)] for row, values in enumerate(found) if None in values
        }
        self.refuse(
            {row: f"{name!r}, which is {meant[name]}, is empty" for row, name in empty.items()}
        )
        found = [values for values in found if None not in values]
        chosen = _newest(found) if version else {values: row for row, values in enumerate(found)}
        if len(chosen) < len(found):
            self._keep(sorted(chosen.values()))

    def _keep(self, rows: Sequence[int]) -> None:
        self.rows = [self.rows[row] for row in rows]
        self.at = [self.at[row] for row in rows]
        self.given = None if self.given is None else [self.given[row] for row in rows]

    def refuse(self, reasons: Mapping[int, BaseException | str]) -> None:
        """Set aside the records behind these rows."""
        if not reasons:
            return
        for row, reason in sorted(reasons.items()):
            self._set_aside(self.at[row], reason)
        keep = [row not in reasons for row in range(len(self.rows))]
        self.rows = list(compress(self.rows, keep))
        self.at = list(compress(self.at, keep))
        if self.given is not None:
            self.given = list(compress(self.given, keep))

    def _set_aside(self, index: int, reason: BaseException | str) -> None:
        error = RecordError(reason) if isinstance(reason, str) else reason
        self.failures.append(Failure(self.batch.records[index], self.batch.ordinals[index], error))


def _newest(found: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    """The row with the highest last value for each of the values before it; of equal ones, the
    last."""
    chosen: dict[tuple[Any, ...], int] = {}
    for row, (*key, version) in enumerate(found):
        before = chosen.setdefault(tuple(key), row)
        if version >= found[before][-1]:
            chosen[tuple(key)] = row
    return chosen


def _values(columns: tuple[str, ...], records: Sequence[Any]) -> list[tuple[Any, ...]]:
    if len(columns) == 1:
        [name] = columns
        return [(record[name],) for record in records]
    return list(map(itemgetter(*columns), records))


def _are_names(columns: Iterable[Any]) -> bool:
    return all(isinstance(name, str) and name for name in columns)


def _mapping(record: Any) -> Mapping[Any, Any]:
    if is_dataclass(record) and not isinstance(record, type):
        return asdict(record)
    return record if isinstance(record, Mapping) else {}
