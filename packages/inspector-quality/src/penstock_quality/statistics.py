"""What the values of a stream are like, put into the report of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock import Batch, Context, Inspector, component, option
from penstock.store import decode_record

from .judging import field_names, kept, positive
from .summary import Summary

__all__ = ["Statistics"]

_ABSENT = object()


def _fields(value: list[str]) -> None:
    if value:
        field_names(value)


@component
class Statistics(Inspector):
    """Put a summary of each field into the report: counts, types, extremes, frequent values.

    Memory does not grow with the number of records: beyond a thousand different values of a field
    their number is an estimate, within some 3 %, and the counts of frequent values are the least
    they can be.
    """

    fields: list[str] = option(
        default=[], help="The fields to look at; all there are, if left out.", check=_fields
    )
    top: int = option(default=5, help="How many frequent values to show.", check=positive)
    max_fields: int = option(
        default=200, help="Look at no more fields than so many.", check=positive
    )

    def open(self, context: Context) -> None:
        super().open(context)
        self._start()

    def _start(self) -> None:
        self._records = 0
        self._others = 0
        self._left_out: set[str] = set()
        self._summaries = {name: Summary() for name in self.fields}

    def process(self, batch: Batch) -> Iterable[Batch]:
        records = [record for record in batch.records if isinstance(record, Mapping)]
        self._records += len(batch.records)
        self._others += len(batch.records) - len(records)
        for name in self.fields or self._found(records):
            column = [record.get(name, _ABSENT) for record in records]
            absent = column.count(_ABSENT) if _ABSENT in column else 0
            if absent:
                column = [value for value in column if value is not _ABSENT]
            self._summaries[name].add(column)
        yield Batch(batch.records, batch.source, batch.ordinals)

    def _found(self, records: Sequence[Mapping[str, Any]]) -> Iterable[str]:
        """The names of all fields so far; a field that is new gets a summary."""
        for names in dict.fromkeys(map(tuple, records)):
            for name in names:
                if name in self._summaries:
                    continue
                if len(self._summaries) < self.max_fields:
                    self._summaries[name] = Summary()
                elif len(self._left_out) < self.max_fields:
                    self._left_out.add(name)
        return self._summaries

    def finish(self) -> Iterable[Batch]:
        observe = self.context.observe
        observe("records", self._records)
        observe(
            "fields",
            {
                str(name): one.report(self._records - self._others, self.top)
                for name, one in self._summaries.items()
            },
        )
        if self._others:
            observe("records without fields", self._others)
        if self._left_out:
            observe("fields left out", sorted(map(str, self._left_out)))
        self._start()
        return ()

    def snapshot(self) -> Any:
        where = self.context.name
        return {
            "records": self._records,
            "others": self._others,
            "left_out": sorted(self._left_out),
            "fields": kept([[name, one.state()] for name, one in self._summaries.items()], where),
        }

    def restore(self, state: Any) -> None:
        self._start()
        self._records, self._others = state["records"], state["others"]
        self._left_out = set(state["left_out"])
        for name, one in decode_record(state["fields"]):
            self._summaries[name] = Summary()
            self._summaries[name].restore(one)
