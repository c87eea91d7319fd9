"""From records to objects and back: dataclasses and msgspec structs, by their types.

Fields that a class does not have are ignored; one that is missing or of another type is an error
that names it. Nothing is converted but what JSON cannot hold: times, decimals, enums, tuples.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, Union

from penstock import RecordError
from penstock.options import short

__all__ = ["Decode", "Encode", "decoder_of", "encode"]

Decode = Callable[[Any], Any]
Encode = Callable[[Any], Any]

_Convert = Callable[[Any], Any]


class _WrongError(ValueError):
    """What is wrong with a value, and where in it."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(what)
        self.what, self.path = what, path


@lru_cache(maxsize=256)
def decoder_of(cls: Any) -> Decode:
    """The function that makes a `cls` of a record, or raises RecordError."""
    if _is_struct(cls):
        return _struct_decoder(cls)
    convert = _converter(cls)

    def decode(record: Any) -> Any:
        try:
            return convert(record)
        except _WrongError as wrong:
            path = wrong.path.removeprefix(".")
            raise RecordError(f"{path}: {wrong.what}" if path else wrong.what) from None

    return decode


def _is_struct(cls: Any) -> bool:
    return isinstance(cls, type) and hasattr(cls, "__struct_fields__")


def _struct_decoder(cls: Any) -> Decode:
    msgspec = import_module("msgspec")  # who has a struct has msgspec

    def decode(record: Any) -> Any:
        try:
            return msgspec.convert(record, cls)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            place = where.rstrip("`")
            raise RecordError(f"{place}: {_lower(what)}" if place else _lower(what)) from None

    return decode


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


@lru_cache(maxsize=1024)
def _converter(kind: Any) -> _Convert:
    """The function that checks a value, and makes a `kind` of it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or kind is object or isinstance(kind, typing.TypeVar):
        return _as_it_is
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)
    if origin is typing.Annotated:
        return _converter(arguments[0])
    if origin is Literal:
        return _of_choices(arguments)
    if origin is Union or origin is types.UnionType:
        return _of_union(arguments)
    plain = origin or kind
    if plain in (list, set, frozenset, Sequence, Iterable):
        made = list if plain in (Sequence, Iterable) else plain
        return _of_list(made, _converter(arguments[0] if arguments else Any))
    if plain is tuple:
        return _of_tuple(arguments)
    if plain in (dict, Mapping) or typing.is_typeddict(plain):
        return _of_mapping(_converter(arguments[1] if len(arguments) > 1 else Any))
    if _is_struct(plain):
        return _struct_decoder(plain)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return _of_text(plain, plain, "one of " + ", ".join(repr(one.value) for one in plain))
    if plain in _SPECIAL:
        return _SPECIAL[plain]
    if isinstance(plain, type):
        return _of_type(plain)
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _of_dataclass(cls: Any) -> _Convert:
    hints = typing.get_type_hints(cls)
    fields = [
        (
            field.name,
            _converter(hints[field.name]),
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(cls)
        if field.init
    ]

    def convert(value: Any) -> Any:
        if type(value) is cls:
            return value
        if not isinstance(value, Mapping):
            raise _WrongError(f"must be a mapping, got {short(value)}")
        given = {}
        for name, inner, required in fields:
            if name in value:
                try:
                    given[name] = inner(value[name])
                except _WrongError as wrong:
                    raise _WrongError(wrong.what, f".{name}{wrong.path}") from None
            elif required:
                raise _WrongError("is missing", f".{name}")
        return cls(**given)

    return convert


def _of_type(cls: type) -> _Convert:
    name = _NAMES.get(cls, f"a {cls.__name__}")

    def convert(value: Any) -> Any:
        if type(value) is cls or (isinstance(value, cls) and not isinstance(value, bool)):
            return value
        raise _WrongError(f"must be {name}, got {short(value)}")

    return convert


def _of_float(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise _WrongError(f"must be a number, got {short(value)}")


def _of_text(cls: Any, parse: Callable[[Any], Any], name: str) -> _Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        try:
            return parse(value)
        except (ValueError, TypeError, InvalidOperation):
            raise _WrongError(f"must be {name}, got {short(value)}") from None

    return convert


def _of_choices(choices: Sequence[Any]) -> _Convert:
    shown = " or ".join(map(repr, choices))

    def convert(value: Any) -> Any:
        if value in choices:
            return value
        raise _WrongError(f"must be {shown}, got {short(value)}")

    return convert


def _of_union(kinds: Sequence[Any]) -> _Convert:
    converters = [_converter(kind) for kind in kinds if kind is not types.NoneType]
    optional = types.NoneType in kinds

    def convert(value: Any) -> Any:
        if value is None and optional:
            return None
        wrongs = []
        for inner in converters:
            try:
                return inner(value)
            except _WrongError as wrong:
                wrongs.append(wrong)
        if len(wrongs) == 1:
            raise wrongs[0]
        names = " or ".join(wrong.what.partition(", got")[0] for wrong in wrongs)
        raise _WrongError(f"{names}, got {short(value)}")

    return convert


def _of_list(made: Any, inner: _Convert) -> _Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise _WrongError(f"must be a list, got {short(value)}")
        return made([_at(inner, one, index) for index, one in enumerate(value)])

    return convert


def _of_tuple(kinds: Sequence[Any]) -> _Convert:
    if not kinds or (len(kinds) == 2 and kinds[1] is Ellipsis):
        return _of_list(tuple, _converter(kinds[0] if kinds else Any))
    converters = [_converter(kind) for kind in kinds]

    def convert(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(converters):
            raise _WrongError(f"must be a list of {len(converters)}, got {short(value)}")
        return tuple(_at(one, value[index], index) for index, one in enumerate(converters))

    return convert


def _of_mapping(inner: _Convert) -> _Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _WrongError(f"must be a mapping, got {short(value)}")
        return {key: _at(inner, one, key) for key, one in value.items()}

    return convert


def _at(inner: _Convert, value: Any, place: Any) -> Any:
    try:
        return inner(value)
    except _WrongError as wrong:
        raise _WrongError(wrong.what, f".{place}{wrong.path}") from None


def _iso_datetime(value: str) -> datetime:
    return datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError
    made = Decimal(str(value))
    if not made.is_finite():
        raise ValueError
    return made


_NAMES: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    types.NoneType: "null",
}
_SPECIAL: Mapping[Any, _Convert] = {
    float: _of_float,
    Decimal: _of_text(Decimal, _decimal, "a decimal number"),
    datetime: _of_text(datetime, _iso_datetime, "a time in ISO 8601"),
    date: _of_text(date, date.fromisoformat, "a date in ISO 8601"),
    time: _of_text(time, time.fromisoformat, "a time of day in ISO 8601"),
}


# ---- back ---------------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """A record of an object: dataclasses and structs as mappings, also inside others."""
    cls: Any = type(value)
    if cls in _LEAVES:
        return value
    if cls is dict:
        return {key: encode(one) for key, one in value.items()}
    if cls is list or cls is tuple:
        return cls(map(encode, value))
    names = _field_names(cls)
    if names is not None:
        return {name: encode(getattr(value, name)) for name in names}
    return value.value if isinstance(value, enum.Enum) else value


_LEAVES = frozenset({str, int, float, bool, types.NoneType, bytes, Decimal, datetime, date, time})


@lru_cache(maxsize=256)
def _field_names(cls: Any) -> tuple[str, ...] | None:
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    return tuple(cls.__struct_fields__) if _is_struct(cls) else None
