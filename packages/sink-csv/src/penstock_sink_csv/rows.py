"""Records as the rows of a table with fixed columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from penstock import Batch, Failure, RecordError, Rows, each

from .values import PLAIN, escape_formula, to_text

__all__ = ["Made", "Table", "columns_of"]

Row = Sequence[Any]


class Made(NamedTuple):
    """Rows, the indices of the records that they were made from, and the records without one."""

    rows: list[Row]
    indices: Sequence[int]
    failures: list[Failure]


def columns_of(batch: Batch) -> tuple[str, ...] | None:
    """The keys of the first record that has any."""
    if isinstance(batch.records, Rows):
        return batch.records.columns
    for record in batch.records:
        mapping = _as_mapping(record)
        if mapping:
            return tuple(mapping)
    return None


class Table:
    """Turns batches into rows of `columns`.

    `extra` and `missing` say whether a record may have keys beyond these, or lack some.
    """

    def __init__(
        self, columns: Sequence[str], *, extra: bool, missing: bool, null: str, escape: bool
    ) -> None:
        self.columns = tuple(columns)
        self._extra = extra
        self._missing = missing
        self._null = null
        self._escape = escape
        self._pick = _picker(self.columns)
        self._plain = PLAIN if null else PLAIN | {type(None)}  # csv.writer writes None as nothing
        self._known = set(self.columns)

    def rows(self, batch: Batch) -> Made:
        """The rows, of values that `csv.writer` gives the right text."""
        rows = self._quickly(batch)
        if rows is None:
            return self._one_by_one(self._row, list(batch.records), batch)
        unlike = not self._plain.issuperset(map(type, chain.from_iterable(rows)))
        if unlike or self._escape:
            try:
                rows = self._by_column(rows)
            except RecordError:
                return self._one_by_one(self._texts, rows, batch)
        return Made(rows, range(len(rows)), [])

    def _quickly(self, batch: Batch) -> list[Row] | None:
        """The rows if every record has exactly the columns, None if one may have others."""
        if isinstance(batch.records, Rows):
            return batch.records.rows if batch.records.columns == self.columns else None
        try:
            if not self._extra and any(map(len(self.columns).__ne__, map(len, batch.records))):
                return None
            return list(map(self._pick, batch.records))
        except (KeyError, TypeError, IndexError):
            return None  # one is no dict or lacks a key: look at each of them

    def _by_column(self, rows: list[Row]) -> list[Row]:
        columns = list(zip(*rows))
        for index, values in enumerate(columns):
            if not self._plain.issuperset(map(type, values)):
                columns[index] = values = tuple([to_text(value, self._null) for value in values])
            if self._escape:
                columns[index] = tuple(map(escape_formula, values))
        return list(zip(*columns))

    def _one_by_one(self, make: Callable[[Any], Row], items: list[Any], batch: Batch) -> Made:
        # Several records may have the same ordinal, so their indices take its place meanwhile.
        made = each(make, Batch(items, "", range(len(items))))
        failures = [
            Failure(batch.records[index], batch.ordinals[index], error)
            for _, index, error in made.failures
        ]
        return Made(list(made.records), made.ordinals, failures)

    def _row(self, record: Any) -> Row:
        mapping = _as_mapping(record)
        if mapping is None:
            kind = type(record).__name__
            raise RecordError(f"the record is of type {kind}, without columns; make it a mapping")
        if not self._extra:
            for key in mapping:
                if key not in self._known:
                    raise RecordError(f"there is no column {key!r}; drop it, or set extra: ignore")
        if not self._missing:
            for name in self.columns:
                if name not in mapping:
                    hint = "add it, or set missing: empty"
                    raise RecordError(f"column {name!r} is missing; {hint}")
        return self._texts([mapping.get(name) for name in self.columns])

    def _texts(self, row: Row) -> Row:
        texts = []
        for name, value in zip(self.columns, row):
            try:
                text = to_text(value, self._null)
            except RecordError as error:
                raise RecordError(f"column {name!r} {error}") from None
            texts.append(escape_formula(text) if self._escape else text)
        return texts


def _as_mapping(record: Any) -> Mapping[str, Any] | None:
    if isinstance(record, Mapping):
        return record
    if is_dataclass(record) and not isinstance(record, type):
        return {one.name: getattr(record, one.name) for one in fields(record)}
    return None


def _picker(columns: tuple[str, ...]) -> Callable[[Any], Row]:
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda record: [record[name] for name in columns]
