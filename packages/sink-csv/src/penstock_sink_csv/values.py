"""The text that stands for a value in a CSV file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from penstock import RecordError

__all__ = ["PLAIN", "escape_formula", "to_text", "written"]

PLAIN = frozenset({str, int, float, Decimal, date, UUID})
"""Types whose text is `str(value)`, which is what `csv.writer` writes by itself."""


def to_text(value: Any, null: str) -> Any:
    """`value` as text, or as something of a plain type; RecordError if it has no text.

    The error's text goes on from "column 'x' ".
    """
    kind = type(value)
    if kind in PLAIN:
        return value
    if value is None:
        return null
    form = _FORMS.get(kind) or _form_of(value)
    if form is None:
        raise RecordError(_objection(value))
    return form(value)


def escape_formula(value: Any) -> Any:
    """Put a quote before text that a spreadsheet would run; numbers stay, also those in text."""
    if isinstance(value, str) and _formula(value):
        return f"'{value}"
    return value


_formula = re.compile(r"[=@\t\r]|[+-](?![0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?\Z)").match


def _json(value: Any) -> str:
    try:
        return json.dumps(
            _opened(value),
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
            default=_in_json,
        )
    except RecordError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(
            f"has no text in JSON: {str(error)[:1].lower()}{str(error)[1:]}"
        ) from None


def written(value: Any) -> str:
    """`str(value)`; RecordError for a whole number with more digits than Python writes."""
    try:
        return str(value)
    except ValueError:
        what = "holds a number with more digits than can be written"
        raise RecordError(f"{what}; make it text before, or smaller") from None


def _bool(value: bool) -> str:
    return "true" if value else "false"


_FORMS: dict[type, Callable[[Any], Any]] = {
    bool: _bool,
    datetime: datetime.isoformat,
    time: time.isoformat,
    dict: _json,
    list: _json,
    tuple: _json,
}


def _form_of(value: Any) -> Callable[[Any], Any] | None:
    """The form of a value whose class is derived from one that has a form."""
    if isinstance(value, Enum):
        return lambda one: to_text(one.value, "")
    if isinstance(value, (date, time)):
        return lambda one: one.isoformat()
    if isinstance(value, (Mapping, list, tuple)) or _is_dataclass(value):
        return _json
    if isinstance(value, (str, int, float, Decimal, PurePath)):
        return written
    return None


def _in_json(value: Any) -> Any:
    """Called for what `json` does not know."""
    if isinstance(value, Mapping) or _is_dataclass(value):
        return _opened(value)
    text = to_text(value, "")
    return text if isinstance(text, str) else str(text)


def _opened(value: Any) -> Any:
    if _is_dataclass(value):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value


def _is_dataclass(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _objection(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "holds bytes, which are no text; decode them or leave them out"
    return f"holds a value of type {type(value).__name__}, which has no text; cast it first"
