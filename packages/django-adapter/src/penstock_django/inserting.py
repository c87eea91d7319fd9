"""Saving what items gave: many objects of a model at once, or the one that most items give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.db import connections
from django.db.models import AutoField, Manager

__all__ = ["create", "insert_into"]


def create(using: str, objects: Sequence[Any], *, mixed: bool = False) -> None:
    """Insert objects, many of a model at once. `mixed` ones may be put in another order, by their
    models; what was saved already is saved again."""
    groups: Iterable[tuple[Any, Iterable[Any]]] = groupby(objects, type)
    if len(objects) == 1:
        groups = ((type(objects[0]), objects),)
    elif mixed:
        by_model: dict[Any, list[Any]] = {}
        for one in objects:
            by_model.setdefault(type(one), []).append(one)
        groups = by_model.items()
    for model, group in groups:
        way = _way(model, using)
        together: list[Any] = []
        for one in group:
            if one._state.adding and not way.one_by_one:
                together.append(one)
            else:
                one.save(using=using)
        if together and not (len(together) == 1 and way.insert(together[0])):
            way.objects.bulk_create(together)


def insert_into(using: str, model: Any, fields: Sequence[Any]) -> str:
    """The statement that inserts a row of these fields."""
    ops = connections[using].ops
    names = ", ".join(ops.quote_name(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    table = ops.quote_name(model._meta.db_table)
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 (no values)


class _Way:
    """How objects of a model are inserted.

    An item that has a savepoint needs its objects inserted before the next item begins, and mostly
    that is one. `bulk_create` builds and compiles a query each time, which takes longer than the
    insertion; where a model is plain, its statement is always the same.
    """

    def __init__(self, model: Any, using: str) -> None:
        meta, self.using = model._meta, using
        self.objects = model._base_manager.using(using)
        # A parent's table takes rows of its own; trees number their nodes when one is saved.
        self.one_by_one = bool(meta.concrete_model._meta.parents) or hasattr(model, "_mptt_meta")
        self._key = meta.pk
        self._by_database = isinstance(meta.pk, AutoField)
        self._related = bool(meta.private_fields) or any(
            f.is_relation for f in meta.concrete_fields
        )
        self._fields = [f for f in meta.concrete_fields if not isinstance(f, AutoField)]
        self._insert = ""
        if self._is_plain(model):
            self._insert = insert_into(using, model, self._fields)
        if self._insert and self._by_database:
            self._insert += f" RETURNING {connections[using].ops.quote_name(meta.pk.column)}"

    def _is_plain(self, model: Any) -> bool:
        """Whether each field is one value, and nothing comes back but the key."""
        meta, connection = model._meta, connections[self.using]
        back = [self._key] if self._by_database else []
        return (
            connection.vendor in ("sqlite", "postgresql")
            and connection.features.can_return_columns_from_insert
            and type(model._base_manager) is Manager
            and meta.order_with_respect_to is None
            and bool(self._fields)
            and list(meta.db_returning_fields) == back
            and not any(
                f.generated or f.has_db_default() or hasattr(f, "get_placeholder")
                for f in meta.concrete_fields
            )
            and not self._key.get_db_converters(connection)
        )

    def insert(self, one: Any) -> bool:
        """Insert an object as `bulk_create` would; False where only that can."""
        if not self._insert or (one.pk is None) is not self._by_database:
            return False
        if self._related:
            one._prepare_related_fields_for_save(operation_name="bulk_create")
        connection, row = connections[self.using], []
        for field in self._fields:
            value = field.pre_save(one, add=True)
            if hasattr(value, "resolve_expression"):
                return False
            row.append(field.get_db_prep_save(value, connection=connection))
        with connection.cursor() as cursor:
            cursor.execute(self._insert, row)
            if self._by_database:
                setattr(one, self._key.attname, cursor.fetchone()[0])
        one._state.adding, one._state.db = False, self.using
        return True


@lru_cache(maxsize=256)
def _way(model: Any, using: str) -> _Way:
    return _Way(model, using)
