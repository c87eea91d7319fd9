"""Reading values strictly: text becomes the one value that it plainly stands for, or an error.

Each reader takes any value, leaves None as it is, and raises ValueError with the sentence that a
person should see. A value that already is of the kind is returned unchanged.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache, partial, wraps
from typing import Any

__all__ = ["KINDS", "Reader", "reader", "shown"]

Reader = Callable[[Any], Any]

_MOST_DIGITS = 4300
"""As many as Python reads from text; a decimal such as 1E+999999999 would fill the memory."""


def shown(value: Any, width: int = 60) -> str:
    """The value as a message shows it: its repr, cut where it is long."""
    text = repr(value[:width] if isinstance(value, (str, bytes)) else value)
    cut = isinstance(value, (str, bytes)) and len(value) > width
    return text[:width] + "…" if cut or len(text) > 2 * width else text


def reader(kind: str, format: str | None = None) -> Reader:
    """The function that reads values as `kind`, one of KINDS; `format` is for dates and times."""
    if format is None:
        return _READERS[kind]
    if kind == "datetime" and format in _UNITS:
        return partial(_read_unix, format)
    if kind not in ("date", "datetime"):
        raise ValueError(f"{kind} takes no format")
    check_format(format)
    if kind == "datetime":
        return partial(_read_formatted_time, format)
    # Dates repeat themselves, and strptime takes 5 µs.
    return partial(_read_formatted_date, format, lru_cache(4096)(partial(_parse_date, format)))


def check_format(format: str) -> None:
    """Raise ValueError unless a time can be written in `format` and read again."""
    try:
        datetime.strptime(datetime(2001, 2, 3).strftime(format), format)
    except ValueError:
        pass
    else:
        if "%" in format:
            return
    raise ValueError(f"cannot be a format, got {format!r}; write one such as '%d.%m.%Y'")


def _strict(name: str) -> Callable[[Reader], Reader]:
    """Say what cannot be read, whatever way the conversion fails."""

    def decorate(read: Reader) -> Reader:
        @wraps(read)
        def strict(value: Any) -> Any:
            try:
                return read(value)
            except (ValueError, TypeError, ArithmeticError, RecursionError):
                raise ValueError(f"cannot read {shown(value)} as {name}") from None

        return strict

    return decorate


@_strict("int")
def to_int(value: Any) -> int | None:
    if type(value) is int or value is None:
        return value
    if isinstance(value, str):
        return int(_plain(value), 10)
    if isinstance(value, Decimal) and value and value.adjusted() > _MOST_DIGITS:
        raise ValueError
    if isinstance(value, (float, Decimal)):
        whole = int(value)
        if whole != value:
            raise ValueError
        return whole
    return int(operator.index(value))


@_strict("float")
def to_float(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _plain(value)
    elif isinstance(value, (bytes, bytearray)):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


@_strict("decimal")
def to_decimal(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _plain(value)
    elif isinstance(value, float):
        value = repr(value)  # 0.1, not the 55 digits that are nearest to it
    elif not isinstance(value, (int, Decimal)):
        raise TypeError
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError
    return number


def _plain(text: str) -> str:
    """Python allows underscores between digits; data with one in it is no number."""
    if "_" in text:
        raise ValueError
    return text


_TRUTH: dict[Any, bool | None] = {None: None, 1: True, 0: False}
_TRUTH |= dict.fromkeys(("true", "yes", "on", "1"), True)
_TRUTH |= dict.fromkeys(("false", "no", "off", "0"), False)


@_strict("bool")
def to_bool(value: Any) -> bool | None:
    try:
        return _TRUTH[value]
    except KeyError:
        if not isinstance(value, str):
            raise TypeError from None
    try:
        return _TRUTH[value.strip().lower()]
    except KeyError:
        raise ValueError from None


@_strict("text")
def to_text(value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    raise TypeError


@_strict("date")
def to_date(value: Any) -> date | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if len(text) != 10 or text[7] != "-":  # Python 3.11 also reads 20240131 and 2024-W05-3
        raise ValueError
    return date.fromisoformat(text)


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))?"
    r"(?: ?(?:(Z)|([+-]\d\d):?(\d\d)?))?)?",
    re.ASCII | re.IGNORECASE,
)


@_strict("datetime")
def to_datetime(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not isinstance(value, str):
        raise TypeError
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise ValueError
    day, minute, second, fraction, utc, hours, minutes = found.groups()
    text = f"{day}T{minute or '00:00'}{second or ':00'}"
    if fraction:
        text += f".{fraction:0<6.6}"
    if utc:
        text += "+00:00"
    elif hours:
        text += f"{hours}:{minutes or '00'}"
    return datetime.fromisoformat(text)


@_strict("json")
def to_json(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        raise TypeError
    if not isinstance(value, str):
        return value
    return json.loads(value, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError


def _parse_date(format: str, text: str) -> date:
    return datetime.strptime(text, format).date()


def _read_formatted_date(written: str, parse: Callable[[str], date], value: Any) -> date | None:
    if not isinstance(value, str):
        return to_date(value)  # type: ignore[no-any-return]
    try:
        return parse(value)
    except ValueError:
        what = f"cannot read {shown(value)} as date in the format {written!r}"
        raise ValueError(what) from None


def _read_formatted_time(format: str, value: Any) -> datetime | None:
    if not isinstance(value, str):
        return to_datetime(value)  # type: ignore[no-any-return]
    try:
        return datetime.strptime(value, format)
    except ValueError:
        what = f"cannot read {shown(value)} as datetime in the format {format!r}"
        raise ValueError(what) from None


_UNITS = ("unix", "unix_ms")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _read_unix(unit: str, value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        if isinstance(value, date):
            raise TypeError
        number = to_float(value)
        parts = {"seconds": number} if unit == "unix" else {"milliseconds": number}
        return _EPOCH + timedelta(**parts)
    except (ValueError, TypeError, ArithmeticError):
        raise ValueError(f"cannot read {shown(value)} as datetime in the format {unit!r}") from None


_READERS: dict[str, Reader] = {
    "int": to_int,
    "float": to_float,
    "decimal": to_decimal,
    "bool": to_bool,
    "text": to_text,
    "date": to_date,
    "datetime": to_datetime,
    "json": to_json,
}

KINDS = tuple(_READERS)
"""What values can be read as."""
