"""What an expression may call, and the operators that need a guard.

All of it is bounded: no call takes time or memory out of proportion to what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from .values import reader, shown, to_text

__all__ = ["FUNCTIONS", "GUARDS", "Function"]

MOST_ITEMS = 10_000_000
MOST_BITS = 100_000
MOST_DIGITS = 30


class Function(NamedTuple):
    """One function: how many arguments it takes, and what kind its result is of.

    The last argument of a reader is a format, and that of a pattern function a pattern: they are
    constants, and are prepared when the expression is compiled.
    """

    call: Callable[..., Any]
    usage: str
    low: int
    high: int
    kind: str = "any"
    special: str = ""


# ---- guards -------------------------------------------------------------------------------------


def add(left: Any, right: Any) -> Any:
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        _check_size(len(left) + len(right))
    return left + right


def multiply(left: Any, right: Any) -> Any:
    if type(left) is float or type(right) is float:
        return left * right
    for value in (left, right):
        if isinstance(value, (Sequence, bytearray)):  # "12" * 5 would be "1212121212"
            raise TypeError(f"'*' takes numbers, got {shown(value)}")
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())
    return left * right


def power(base: Any, exponent: Any) -> Any:
    for value in (base, exponent):
        if not isinstance(value, (int, float, Decimal)):
            raise TypeError(f"'**' takes numbers, got {shown(value)}")
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        _check_bits(base.bit_length() * exponent if abs(base) > 1 else 1)
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError(f"{shown(base)} has no real power {shown(exponent)}")
    return result


def modulo(left: Any, right: Any) -> Any:
    if isinstance(left, (str, bytes, bytearray)):
        raise TypeError(f"'%' takes numbers, got {shown(left)}")
    return left % right


def _check_size(size: int) -> None:
    if size > MOST_ITEMS:
        raise ValueError(f"the result would have {size} characters or items; {MOST_ITEMS} is most")


def _check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise ValueError(f"the result would have {bits} bits; {MOST_BITS} is most")


GUARDS: dict[str, Callable[..., Any]] = {
    "+": add,
    "*": multiply,
    "**": power,
    "%": modulo,
}


# ---- numbers ------------------------------------------------------------------------------------


def _round(value: Any, digits: Any = None) -> Any:
    if not isinstance(value, (int, float, Decimal)):
        raise TypeError(f"round() takes a number, got {shown(value)}")
    if digits is None:
        if isinstance(value, Decimal) and value and value.adjusted() * 4 > MOST_BITS:
            raise ValueError(f"{shown(value)} is too large to be rounded")
        return round(value)
    if not isinstance(digits, int) or abs(digits) > MOST_DIGITS:
        raise ValueError(f"round() takes at most {MOST_DIGITS} digits, got {shown(digits)}")
    return round(value, digits)


# ---- text ---------------------------------------------------------------------------------------


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{name}() takes text, got {shown(value)}")


def _lower(value: Any) -> str:
    return _text("lower", value).lower()


def _upper(value: Any) -> str:
    return _text("upper", value).upper()


def _strip(value: Any, characters: str | None = None) -> str:
    return _text("strip", value).strip(characters)


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = _text("replace", value), _text("replace", old), _text("replace", new)
    if len(new) > len(old):
        _check_size(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _split(value: Any, separator: str | None = None) -> list[str]:
    return _text("split", value).split(separator)


def _join(values: Any, separator: Any) -> str:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"join() takes a list and a separator, got {shown(values)}")
    parts = [_text("join", value) for value in values]
    between = _text("join", separator)
    _check_size(sum(map(len, parts)) + len(between) * len(parts))
    return between.join(parts)


def _startswith(value: Any, start: Any) -> bool:
    return _text("startswith", value).startswith(_text("startswith", start))


def _endswith(value: Any, end: Any) -> bool:
    return _text("endswith", value).endswith(_text("endswith", end))


def _contains(value: Any, part: Any) -> bool:
    return part in value


def _concat(*values: Any) -> str:
    parts: list[str] = [to_text(value) for value in values if value is not None]
    _check_size(sum(map(len, parts)))
    return "".join(parts)


# ---- dates --------------------------------------------------------------------------------------


def _date(name: str, value: Any, kind: type = date) -> Any:
    if isinstance(value, kind):
        return value
    what = "a time" if kind is datetime else "a date"
    raise TypeError(f"{name}() takes {what}, got {shown(value)}")


def _year(value: Any) -> Any:
    return _date("year", value).year


def _month(value: Any) -> Any:
    return _date("month", value).month


def _day(value: Any) -> Any:
    return _date("day", value).day


def _hour(value: Any) -> Any:
    return _date("hour", value, datetime).hour


def _minute(value: Any) -> Any:
    return _date("minute", value, datetime).minute


def _weekday(value: Any) -> Any:
    return _date("weekday", value).isoweekday()


def _days(value: Any) -> int:
    if isinstance(value, timedelta):
        return value.days
    raise TypeError(f"days() takes the difference of two dates, got {shown(value)}")


# ---- nothing ------------------------------------------------------------------------------------


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _get(values: Any, key: Any, default: Any = None) -> Any:
    if values is None:
        return default
    if isinstance(values, Mapping):
        return values.get(key, default)
    if isinstance(values, (list, tuple)) and isinstance(key, int):
        return values[key] if -len(values) <= key < len(values) else default
    raise TypeError(f"get() takes a mapping and a key, or a list and an index, got {shown(values)}")


_MANY = 50

FUNCTIONS: dict[str, Function] = {
    "abs": Function(abs, "abs(x)", 1, 1, "same"),
    "round": Function(_round, "round(x, digits)", 1, 2, "number"),
    "min": Function(min, "min(a, b, …)", 1, _MANY, "same"),
    "max": Function(max, "max(a, b, …)", 1, _MANY, "same"),
    "int": Function(reader("int"), "int(x)", 1, 1, "int"),
    "float": Function(reader("float"), "float(x)", 1, 1, "float"),
    "decimal": Function(reader("decimal"), "decimal(x)", 1, 1, "decimal"),
    "bool": Function(reader("bool"), "bool(x)", 1, 1, "bool"),
    "text": Function(reader("text"), "text(x)", 1, 1, "text"),
    "str": Function(reader("text"), "str(x)", 1, 1, "text"),
    "date": Function(reader("date"), "date(x, format)", 1, 2, "date", "format"),
    "datetime": Function(reader("datetime"), "datetime(x, format)", 1, 2, "date", "format"),
    "len": Function(len, "len(x)", 1, 1, "int"),
    "lower": Function(_lower, "lower(x)", 1, 1, "text"),
    "upper": Function(_upper, "upper(x)", 1, 1, "text"),
    "strip": Function(_strip, "strip(x, characters)", 1, 2, "text"),
    "replace": Function(_replace, "replace(x, old, new)", 3, 3, "text"),
    "split": Function(_split, "split(x, separator)", 1, 2),
    "join": Function(_join, "join(list, separator)", 2, 2, "text"),
    "startswith": Function(_startswith, "startswith(x, start)", 2, 2, "bool"),
    "endswith": Function(_endswith, "endswith(x, end)", 2, 2, "bool"),
    "contains": Function(_contains, "contains(x, part)", 2, 2, "bool"),
    "concat": Function(_concat, "concat(a, b, …)", 1, _MANY, "text"),
    "matches": Function(bool, "matches(x, pattern)", 2, 2, "bool", "pattern"),
    "search": Function(bool, "search(x, pattern)", 2, 2, "bool", "pattern"),
    "extract": Function(bool, "extract(x, pattern)", 2, 2, "text", "pattern"),
    "year": Function(_year, "year(x)", 1, 1, "int"),
    "month": Function(_month, "month(x)", 1, 1, "int"),
    "day": Function(_day, "day(x)", 1, 1, "int"),
    "hour": Function(_hour, "hour(x)", 1, 1, "int"),
    "minute": Function(_minute, "minute(x)", 1, 1, "int"),
    "weekday": Function(_weekday, "weekday(x)", 1, 1, "int"),
    "days": Function(_days, "days(a - b)", 1, 1, "int"),
    "coalesce": Function(_coalesce, "coalesce(a, b, …)", 1, _MANY, "same"),
    "get": Function(_get, "get(mapping, key, default)", 2, 3),
}
