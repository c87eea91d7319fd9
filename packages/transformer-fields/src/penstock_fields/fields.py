"""The transformer `fields`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Literal

from penstock import Batch, Context, Transformer, component, option

from .machine import Machine
from .plan import make_plan

__all__ = ["Cast", "Fields", "Substitution"]

Kind = Literal["int", "float", "decimal", "bool", "text", "date", "datetime", "json"]


@component
class Cast:
    """How one field is read."""

    use: Kind = option(help="What the values are read as.")
    format: str | None = option(
        help="How a date or datetime is written, as in Python's strptime, or unix or unix_ms.",
        default=None,
        example="%d.%m.%Y",
    )


@component
class Substitution:
    """What is replaced in the text of a field."""

    pattern: str = option(help="Regular expression of what is replaced.", example="[^0-9+]")
    replacement: str = option(help=r"What stands there instead; \1 is the first group.", default="")


@component
class Fields(Transformer):
    """Rename, cast, compute, keep and drop the fields of records."""

    mutates: ClassVar[bool] = False

    unnest: list[str] = option(help="Mappings whose fields are put in their place.", default=[])
    separator: str = option(help="What stands between the names in an unnested field.", default=".")
    rename: dict[str, str] = option(
        help="New names of fields.", default={}, example={"id": "order_id"}
    )
    default: dict[str, Any] = option(
        help="Values for fields that are missing, None or one of nulls.", default={}
    )
    substitute: dict[str, Substitution | list[Substitution]] = option(
        help="Regular expressions to replace in the text of fields.", default={}
    )
    cast: dict[str, Kind | Cast] = option(
        help="What the values of fields are read as.", default={}, example={"qty": "int"}
    )
    constants: dict[str, Any] = option(help="Fields with fixed values.", default={})
    set: dict[str, str] = option(
        help="Fields that are computed, each by an expression.",
        default={},
        example={"total": "amount * qty"},
    )
    where: str | None = option(
        help="Expression that is true for the records to keep.", default=None, example="qty >= 50"
    )
    nest: dict[str, list[str] | dict[str, str]] = option(
        help="Mappings made of fields, which are moved there.", default={}
    )
    select: list[str] = option(help="Fields to keep, in this order.", default=[])
    drop: list[str] = option(help="Fields to remove.", default=[])
    missing: Literal["fail", "ignore"] = option(
        help="What happens when a field that is named is not there.", default="fail"
    )
    nulls: list[str] = option(
        help="Texts that default and cast take as nothing.", default=[], example=["", "n/a"]
    )

    def check(self) -> None:
        make_plan(self)

    def open(self, context: Context) -> None:
        super().open(context)
        self._machine = Machine(make_plan(self), self.unnest, self.separator)

    def transform(self, record: Any) -> Any:
        """One record by itself: None if it is dropped, RecordError if it fails."""
        [batch] = self.process(Batch([record]))
        for failure in batch.failures:
            raise failure.error
        return batch.records[0] if batch.records else None

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield self._machine.run(batch)

    @cached_property
    def _machine(self) -> Machine:
        return Machine(make_plan(self), self.unnest, self.separator)

    def __getstate__(self) -> dict[str, Any]:  # generated functions cannot be pickled
        return {name: value for name, value in self.__dict__.items() if name != "_machine"}
