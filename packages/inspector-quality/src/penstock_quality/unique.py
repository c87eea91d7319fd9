"""Keys that no two records may share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from penstock import Batch, Context, RecordError, RunError, component, inspect_each, option
from penstock.store import decode_record

from .judging import (
    Action,
    RecordJudge,
    field_names,
    kept,
    names,
    no_field,
    no_fields,
    positive,
    record_action,
)

__all__ = ["Unique"]


@component
class Unique(RecordJudge):
    """Object to a record whose key an earlier record had.

    A key with a null in it is not compared. Keys are remembered in memory, all of them.
    """

    key: str | list[str] = option(
        help="The field or fields that must differ.", check=field_names, example="id"
    )
    partitioned: bool = option(
        default=False,
        help="Every partition of the input has keys of its own, which go where it goes: several "
        "workers may share the partitions.",
    )
    max_keys: int = option(
        default=1_000_000, help="Stop the run rather than remember more keys.", check=positive
    )
    action: Action = record_action()

    def open(self, context: Context) -> None:
        super().open(context)
        self._fields = names(self.key)
        self._single = len(self._fields) == 1
        self._read = itemgetter(*self._fields)
        self._seen: dict[str, dict[Any, int]] = {}
        self._fresh: dict[str, tuple[list[Any], list[int]]] = {}
        self._frozen: dict[str, list[str]] = {}

    def process(self, batch: Batch) -> Iterable[Batch]:
        mine = self._seen.setdefault(batch.source, {})
        yield self.judged(batch, self._compared(batch, mine))
        if sum(map(len, self._seen.values())) > self.max_keys:
            raise RunError(
                f"there are more than {self.max_keys} different keys to remember",
                where=self.context.name,
                hint="raise max_keys, or let the destination's own key refuse repeated records",
            )

    def _compared(self, batch: Batch, mine: dict[Any, int]) -> Batch:
        if self._all_new(batch, mine):
            return Batch(batch.records, batch.source, batch.ordinals)
        source, ordinals = batch.source, iter(batch.ordinals)
        return inspect_each(lambda record: self._judge(record, source, next(ordinals)), batch)

    def _all_new(self, batch: Batch, mine: dict[Any, int]) -> bool:
        """Whether nothing is to be said of a batch, which costs a tenth of judging each record."""
        try:
            keys = list(map(self._read, batch.records))
            new = dict(zip(keys, batch.ordinals))
        except (KeyError, TypeError):
            return False
        if len(new) != len(keys) or None in (keys if self._single else chain.from_iterable(keys)):
            return False
        if not all(seen.keys().isdisjoint(new) for seen in self._seen.values()):
            return False
        mine.update(new)
        self._note(batch.source, keys, batch.ordinals)
        return True

    def _judge(self, record: Any, source: str, ordinal: int) -> None:
        key = self._key(record)
        if key is None if self._single else None in key:
            return
        for other, seen in self._seen.items():
            if key in seen:
                names = " and ".join(self._fields)
                raise RecordError(f"{names}: {key!r} was already in {other}:{seen[key]}")
        self._seen[source][key] = ordinal
        self._note(source, [key], [ordinal])

    def _key(self, record: Any) -> Any:
        if not isinstance(record, Mapping):
            raise no_fields(record)
        for name in self._fields:
            if name not in record:
                raise no_field(name, record)
        key = self._read(record)
        try:
            hash(key)
        except TypeError:
            names = " and ".join(self._fields)
            raise RecordError(f"{names}: {key!r} cannot be compared as a key") from None
        return key

    def _note(self, source: str, keys: Sequence[Any], ordinals: Sequence[int]) -> None:
        known, numbers = self._fresh.setdefault(source, ([], []))
        known.extend(keys)
        numbers.extend(ordinals)

    def snapshot(self) -> Any:
        # Keys are only ever added, so each checkpoint encodes those that came since the last one.
        for source, fresh in self._fresh.items():
            self._frozen.setdefault(source, []).append(kept(list(fresh), self.context.name))
        self._fresh = {}
        return {"seen": {source: list(parts) for source, parts in self._frozen.items()}}

    def restore(self, state: Any) -> None:
        self._frozen = {source: list(parts) for source, parts in state["seen"].items()}
        self._seen = {}
        for source, parts in self._frozen.items():
            seen = self._seen.setdefault(source, {})
            for keys, ordinals in map(decode_record, parts):
                seen.update(zip(keys, ordinals))
