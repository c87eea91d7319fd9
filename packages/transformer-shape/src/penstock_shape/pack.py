"""Several records as one, and one as several."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from penstock import Batch, Context, Duration, RecordError, Transformer, component, expand, option

from .holding import freeze, thaw
from .picking import no_field, no_fields

__all__ = ["Pack", "Unpack"]


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


class _Open:
    """The pack of one source that is being filled."""

    __slots__ = ("first", "records", "since")

    def __init__(self, first: int, since: float, records: list[Any]) -> None:
        self.first = first
        self.since = since
        self.records = records


@component
class Pack(Transformer):
    """Pack every `size` records of a source, in their order, into one record.

    The last pack of a source may be smaller.
    """

    mutates: ClassVar[bool] = False
    partitioned = True

    size: int = option(help="How many records make a pack.", check=_positive, example=100)
    field: str | None = option(
        default="records", help="The field that holds them; null: the pack is the list itself."
    )
    wait: Duration | None = option(
        default=None,
        help="Give up a smaller pack when nothing has arrived to fill it for so long.",
        example="5s",
    )

    def open(self, context: Context) -> None:
        super().open(context)
        self._open: dict[str, _Open] = {}

    def process(self, batch: Batch) -> Iterable[Batch]:
        packs, firsts, answered = [], [], 0
        records, ordinals = list(batch.records), batch.ordinals
        start = 0
        while start < len(records):
            pack = self._open.get(batch.source)
            if pack is None:
                pack = _Open(ordinals[start], self.context.clock.now(), [])
                self._open[batch.source] = pack
            part = records[start : start + self.size - len(pack.records)]
            pack.records += part
            start += len(part)
            if len(pack.records) == self.size:
                packs.append(self._packed(pack.records))
                firsts.append(pack.first)
                answered += self.size
                del self._open[batch.source]
        if packs:
            yield Batch(packs, batch.source, firsts, consumed=answered, dropped=0)

    def idle(self, now: float) -> Iterable[Batch]:
        if self.wait is not None:
            old = [name for name, pack in self._open.items() if now - pack.since >= self.wait]
            yield from map(self._give_up, old)

    def finish(self) -> Iterable[Batch]:
        yield from map(self._give_up, list(self._open))

    def _give_up(self, source: str) -> Batch:
        pack = self._open.pop(source)
        packed = [self._packed(pack.records)]
        return Batch(packed, source, [pack.first], consumed=len(pack.records), dropped=0)

    def _packed(self, records: list[Any]) -> Any:
        return records if self.field is None else {self.field: records}

    def snapshot(self) -> Any:
        if not self._open:
            return None
        held = [[source, one.first, one.records] for source, one in self._open.items()]
        return {"open": freeze(held, self.context.name)}

    def restore(self, state: Any) -> None:
        now = self.context.clock.now()
        self._open = {
            source: _Open(first, now, records) for source, first, records in thaw(state["open"])
        }


@component
class Unpack(Transformer):
    """Make one record of each element of a list; an empty list makes none."""

    mutates: ClassVar[bool] = False

    field: str | None = option(
        default="records", help="The field that holds the list; null: the record is the list."
    )
    carry: list[str] = option(
        default=[], help="Other fields to copy into each element.", example=["order_id"]
    )

    def check(self) -> None:
        if self.carry and self.field is None:
            raise ValueError("carry needs field, as a list has no other fields")
        if self.field in self.carry:
            raise ValueError(f"carry must not name the field itself, {self.field!r}")

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield expand(self._carried if self.carry else self._elements, batch)

    def _elements(self, record: Any) -> list[Any]:
        elements = record if self.field is None else _value(record, self.field)
        if not isinstance(elements, (list, tuple)):
            where = "the record" if self.field is None else self.field
            raise RecordError(f"{where}: must be a list, not of type {type(elements).__name__}")
        return list(elements)

    def _carried(self, record: Any) -> Iterator[Any]:
        carried = {}
        elements = self._elements(record)
        for name in self.carry:
            carried[name] = _value(record, name)
        for number, element in enumerate(elements, 1):
            if not isinstance(element, Mapping):
                raise RecordError(
                    f"{self.field}: element {number} is {element!r}, which cannot carry fields"
                )
            both = sorted(carried.keys() & element.keys())
            if both:
                raise RecordError(f"{self.field}: element {number} has its own field {both[0]!r}")
            yield {**carried, **element}


def _value(record: Any, name: str) -> Any:
    if not isinstance(record, Mapping):
        raise no_fields(record)
    if name not in record:
        raise no_field(name, record)
    return record[name]
