"""Fields that every record must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from penstock import Context, RecordError, component, option

from .judging import Action, RecordJudge, field_names, names, no_fields, record_action

__all__ = ["Require"]


@component
class Require(RecordJudge):
    """Object to records that lack a field, or have null, "" or an empty list or mapping in it."""

    fields: str | list[str] = option(
        help="The fields that must have a value; 0 and false are values.",
        check=field_names,
        example=["id", "amount"],
    )
    action: Action = record_action()

    def open(self, context: Context) -> None:
        super().open(context)
        self.inspect = _compiled(names(self.fields))  # type: ignore[assignment, method-assign]


def _compiled(fields: list[str]) -> Callable[[Any], None]:
    """One function for all fields: a record in which each value is true is done with at once."""

    def lacking(record: Any) -> None:
        if not isinstance(record, Mapping):
            raise no_fields(record)
        found = []
        for name in fields:
            if name not in record:
                found.append(f"{name} is missing")
            elif record[name] is None:
                found.append(f"{name} is null")
            elif isinstance(record[name], _EMPTY) and not record[name]:
                found.append(f"{name} is empty")
        if found:
            raise RecordError(", ".join(found))

    from penstock_expressions import make_function

    every = " and ".join(f"r[{name!r}]" for name in fields)
    source = f"""
def inspect(r):
    try:
        if {every}:
            return
    except Exception:
        pass  # `lacking` says what is wrong with it
    lacking(r)
"""
    return make_function(source, "inspect", {"lacking": lacking, "Exception": Exception})


_EMPTY = (str, bytes, list, tuple, dict, set, frozenset)
