"""The input `django`: the objects of a model, read by key in pages, so that it can be resumed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock import Batch, Context, Input, Rows, RunError, component, option
from penstock.store import decode_record, encode_record

from .connection import Line, model_of, set_up

__all__ = ["DjangoInput"]


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


def _a_label(value: str) -> None:
    if value.count(".") != 1:
        raise ValueError("must name an app and a model, as in 'shop.Order'")


@component
class DjangoInput(Input):
    """Read the objects of a Django model as dicts."""

    model: str = option(help="App and model.", check=_a_label, example="shop.Order")
    filter: dict[str, Any] = option(
        default={}, help="Conditions, as for filter() of a queryset.", example={"paid": True}
    )
    fields: list[str] = option(
        default=[], help="Fields to read, also across relations; the model's own if left out."
    )
    order_by: list[str] = option(
        default=[], help="Fields that give each object its place, before its primary key."
    )
    cursor: str = option(
        default="", help="Field that grows: each run goes on after the last object read."
    )
    using: str = option(default="default", help="Name of the database in the settings.")
    batch_size: int = option(default=1000, help="Objects in a batch and page.", check=_positive)

    _range: tuple[Any, Any] = (None, None)

    def check(self) -> None:
        if self.cursor and self.order_by:
            raise ValueError("give either a cursor or order_by")

    @property
    def finite(self) -> bool:  # type: ignore[override]
        """With a cursor, the objects are a log."""
        return not self.cursor

    @property
    def _order(self) -> list[str]:
        first = [self.cursor] if self.cursor else self.order_by
        return [*(name for name in first if name != "pk"), "pk"]

    def open(self, context: Context) -> None:
        super().open(context)
        set_up()
        self._look()
        self._line = Line(self.using)

    def _look(self) -> None:
        """Refuse an order in which an object may have no place."""
        from django.core.exceptions import FieldError

        self._model = model_of(self.model)
        concrete = [one.attname for one in self._model._meta.concrete_fields]
        self._columns = tuple(self.fields or concrete)
        try:
            str(self._objects().values_list(*self._columns, *self._order).query)
        except FieldError as error:
            raise RunError(str(error), where=self.model, hint="look at the fields") from error
        except Exception as error:
            if type(error).__name__ != "EmptyResultSet":  # a filter that nothing meets
                raise RunError(f"cannot be asked for: {error}", where=self.model) from error
        for name in self._order[:-1]:
            if self._model._meta.get_field(name).null:
                raise RunError(
                    f"{name!r} may be empty, so it gives an object no place",
                    where=self.model,
                    hint="order by another field",
                )

    def close(self) -> None:
        if hasattr(self, "_line"):
            self._line.close()

    def _objects(self) -> Any:
        found = self._model._base_manager.using(self.using).filter(**self.filter)
        low, high = self._range
        if low is not None:
            found = found.filter(pk__gte=low)
        if high is not None:
            found = found.filter(pk__lt=high)
        return found.order_by(*self._order)

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        position = positions.get(self.context.name)
        after, done = None, 0
        if position is not None:
            after, done = self._understood(position), position["rows"]
        columns, own = self._columns, len(self._columns)
        while True:
            rows = self._page(after)
            if not rows:
                return
            first, done = done + 1, done + len(rows)
            after = [_plain(value) for value in rows[-1][own:]]
            resume = {"by": self._order, "after": encode_record(after), "rows": done}
            records = Rows(columns, [row[:own] for row in rows])
            yield Batch(records, "", range(first, done + 1), resume)
            # The end is found by an empty page: objects may have come since a short one.

    def _understood(self, position: Mapping[str, Any]) -> Any:
        if position["by"] != self._order:
            raise RunError(
                f"the kept position is in the order of {', '.join(position['by'])}, "
                f"objects are read by {', '.join(self._order)}",
                hint="put the order back, or start over with --fresh",
            )
        return decode_record(position["after"])

    def _page(self, after: Sequence[Any] | None) -> list[Any]:
        with self._line.bound():
            found = self._objects()
            if after is not None:
                found = found.filter(_behind(self._order, after))
            return list(found.values_list(*self._columns, *self._order)[: self.batch_size])

    def split(self, n: int) -> Sequence[Input]:
        """At most `n` inputs with about as many objects each, by ranges of the primary key."""
        if self._order != ["pk"]:
            return [self]
        set_up()
        self._model = model_of(self.model)
        line = Line(self.using)
        try:
            with line.bound():
                keys = self._objects().values_list("pk", flat=True)
                count = keys.count()
                at = sorted({count * part // n for part in range(1, n)} - {0, count})
                bounds = [keys[one] for one in at]
        finally:
            line.close()
        parts: list[Input] = []
        for low, high in zip([self._range[0], *bounds], [*bounds, self._range[1]]):
            part = copy.copy(self)
            part._range = (low, high)
            parts.append(part)
        return parts


def _plain(value: Any) -> Any:
    """A value of the order as it is kept in a position; a UUID is looked up by its text."""
    from uuid import UUID

    return str(value) if isinstance(value, UUID) else value


def _behind(order: Sequence[str], after: Sequence[Any]) -> Any:
    """The condition that an object comes after another one in this order."""
    from django.db.models import Q

    condition = Q()
    for name, value in reversed(list(zip(order, after, strict=True))):
        behind = Q(**{f"{name}__gt": value})
        same = Q(**{name: value})
        condition = behind | (same & condition) if condition else behind
    return condition
