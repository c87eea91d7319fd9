"""Items: what names one, how many of them are read at a time, and how they are found again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, QuerySet

from penstock import Batch, Input
from penstock.store import decode_record, encode_record

__all__ = ["Items", "Key", "item_of", "items_of", "key_of", "keys_of", "object_of", "type_of"]

Key = tuple[int | None, str]
"""The content type and the primary key of a model object; None and the JSON of anything else, also
of an object that was never saved."""


def type_of(model: Any) -> Any:
    """The content type of a model or of one of its objects."""
    return ContentType.objects.get_for_model(model, for_concrete_model=False)


def key_of(item: Any) -> Key:
    """What names an item in the tables."""
    if isinstance(item, Model) and item.pk is not None:
        return (type_of(item).pk, str(item.pk))
    return (None, encode_record(item))


def keys_of(items: Iterable[Any]) -> dict[int, Key]:
    """What names each of these items, by its `id()`."""
    types: dict[type, int] = {}  # many are of one model, and asking for it takes its time
    found: dict[int, Key] = {}
    for item in items:
        if not isinstance(item, Model) or item.pk is None:
            found[id(item)] = key_of(item)
            continue
        model = type(item)
        if model not in types:
            types[model] = type_of(item).pk
        found[id(item)] = (types[model], str(item.pk))
    return found


def object_of(type_id: int | None, key: str) -> Any:
    """A model object by its names; None when it is gone."""
    if type_id is None:
        return None
    model = ContentType.objects.get_for_id(type_id).model_class()
    return model._base_manager.filter(pk=key).first() if model is not None else None


def item_of(error: Any) -> Any:
    """The item of an error."""
    if error.item_type_id is not None:
        return object_of(error.item_type_id, error.item_id)
    record = decode_record(error.record)
    return None if isinstance(record, dict) and record.keys() == {"$repr"} else record


def items_of(errors: Iterable[Any]) -> list[Any]:
    """The items of errors, each once, in the errors' order of arrival."""
    found: dict[tuple[Any, str], Any] = {}
    for error in sorted(errors, key=lambda one: one.pk):
        key = (error.item_type_id, error.item_id or error.record)
        if key not in found:
            found[key] = item_of(error)
    return [item for item in found.values() if item is not None]


class Items(Input):
    """Reads items in chunks: those of a list, or of a queryset by their primary keys.

    Which items a queryset means is decided when reading begins: one that leaves its conditions in
    the meantime, as when a pipe marks it as done, is still an item. One that is deleted is not.
    """

    def __init__(self, items: Any, chunksize: int) -> None:
        self.items = items
        self.chunksize = chunksize
        self.total = 0

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = 0
        for chunk in self._chunks():
            first, done = done + 1, done + len(chunk)
            yield Batch(chunk, "", range(first, done + 1), done)

    def _chunks(self) -> Iterator[list[Any]]:
        whole: Any = self.items
        of_models = isinstance(whole, QuerySet) and issubclass(whole._iterable_class, _ROWS)
        if isinstance(whole, QuerySet) and not of_models:
            whole = list(whole)  # values() and the like: there is no key to read by
        keys: Sequence[Any] = list(whole.values_list("pk", flat=True)) if of_models else whole
        self.total = len(keys)
        for start in range(0, len(keys), self.chunksize):
            chunk = keys[start : start + self.chunksize]
            found = _by_key(whole, chunk) if of_models else list(chunk)
            if found:
                yield found


_ROWS: type = QuerySet(model=ContentType)._iterable_class


def _by_key(queryset: Any, keys: Sequence[Any]) -> list[Any]:
    """The objects of these keys, in their order."""
    sliced = queryset.query.is_sliced or bool(queryset.query.distinct_fields)
    there = {} if sliced else queryset.order_by().in_bulk(keys)
    missing = [key for key in keys if key not in there]
    if missing:
        there = {**there, **queryset.model._base_manager.using(queryset.db).in_bulk(missing)}
    return [there[key] for key in keys if key in there]
