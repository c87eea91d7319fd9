"""What a word in a YAML file is: YAML 1.2's core schema, and the dates and times of TOML.

So `no`, `on` and `12:30` are text and `010` is ten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from . import MAX_DIGITS

__all__ = ["resolve"]

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:(?:[Tt]|[ \t]+)([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"[ \t]*(?:([Zz])|([-+])([0-9]{2}):([0-9]{2}))?)?"
)


def resolve(text: str, tag: str | None) -> Any:
    """The value of a scalar; `tag` is a core tag as in `!!int`, or None for a plain word.

    KeyError: there is no such tag. ValueError has what is wrong and what to do as its arguments.
    """
    if tag is not None:
        return _TAGGED[tag](text)
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text[0] in "-+.0123456789":
        for pattern, convert in ((_INT, _integer), (_FLOAT, _number), (_TIME, _moment)):
            if pattern.fullmatch(text):
                return convert(text)
    return _text(text)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # from an escape; the fast loader refuses those by itself
        raise ValueError("the text has half of a surrogate pair", "write the character") from None
    return text


def _null(text: str) -> None:
    if text not in _NULLS:
        raise _misfit(text, "null")


def _boolean(text: str) -> bool:
    if text not in _BOOLS:
        raise _misfit(text, "true or false")
    return _BOOLS[text]


def _integer(text: str) -> int:
    if not _INT.fullmatch(text):
        raise _misfit(text, "a whole number")
    _check_digits(text)
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _number(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise _misfit(text, "a number")
    _check_digits(text)
    if text[-1] in "fFnN":
        return float(text.replace(".", ""))
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large for a number", "put it in quotes")
    return value


def _check_digits(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits", "put it in quotes")


def _moment(text: str) -> date | datetime:
    found = _TIME.fullmatch(text)
    if not found:
        raise _misfit(text, "a date or time")
    year, month, day, hour, minute, second, fraction, utc, sign, off, minutes = found.groups()
    try:
        if hour is None:
            return date(int(year), int(month), int(day))
        zone = timezone.utc if utc else None
        if sign:
            zone = _zone(sign, int(off), int(minutes))
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        clock = (int(hour), int(minute), int(second), micro)
        return datetime(int(year), int(month), int(day), *clock, tzinfo=zone)
    except ValueError as error:
        what = f"there is no such date or time as {text[:40]} ({error})"
        raise ValueError(what, "correct it, or put it in quotes") from None


def _zone(sign: str, hours: int, minutes: int) -> timezone:
    if hours > 23 or minutes > 59:
        raise ValueError("offset must be in -23:59..23:59")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if sign == "-" else offset)


def _misfit(text: str, what: str) -> ValueError:
    return ValueError(
        f"{text[:40]!r} is not {what}, as its tag says", "correct it, or drop the tag"
    )


_TAGGED: Mapping[str, Callable[[str], Any]] = {
    "str": _text,
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "null": _null,
    "timestamp": _moment,
}
