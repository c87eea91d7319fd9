"""Putting the fields of a mapping in the place of the mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock import RecordError
from penstock_expressions import no_field, shown

__all__ = ["flatten"]


def flatten(record: Any, names: Sequence[str], separator: str, lenient: bool) -> dict[Any, Any]:
    """A new record in which the fields of the named mappings stand in their places.

    A mapping that is None has no fields. RecordError says why a record cannot be flattened.
    """
    for name in names:
        record = _flatten_one(record, name, separator, lenient)
    return record  # type: ignore[no-any-return]


def _flatten_one(record: Any, name: str, separator: str, lenient: bool) -> Any:
    if not isinstance(record, Mapping):
        raise RecordError(f"the record must be a mapping, got {shown(record)}")
    if name not in record:
        if lenient:
            return record
        raise RecordError(f"unnest: {no_field(name, record)}")
    inner = record[name]
    if inner is None:
        inner = {}
    if not isinstance(inner, Mapping):
        raise RecordError(f"unnest.{name}: must be a mapping, got {shown(inner)}")
    result: dict[Any, Any] = {}
    for key, value in record.items():
        parts = (
            {f"{name}{separator}{one}": inner[one] for one in inner}
            if key == name
            else {key: value}
        )
        for new, part in parts.items():
            if new in result:
                raise RecordError(f"unnest.{name}: the record already has a field {new!r}")
            result[new] = part
    return result
