"""Options: declared once as a dataclass field, used for everything that needs to know them.

From one declaration come the typed constructor, the validation of a config mapping, `describe`,
the reference page, the JSON Schema and the masking of secrets.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar, Union

from .errors import ConfigError, Problem, nearest

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        return lambda decorated: decorated


__all__ = [
    "ByteSize",
    "Duration",
    "Option",
    "component",
    "mask",
    "option",
    "options_of",
    "read_options",
    "schema_of",
    "seconds_of",
    "secrets_of",
    "short",
    "type_name",
]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Unit:
    """Marks a number that may be written with a unit."""

    name: str
    factors: Mapping[str, float]
    example: str

    def parse(self, text: str) -> float:
        found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]*)\s*", text)
        if not found or found[2].lower() not in self.factors:
            raise ValueError(f"must be {self.name} such as {self.example}")
        return float(found[1]) * self.factors[found[2].lower()]


_DURATION = _Unit(
    "a duration",
    {"": 1, "ms": 0.001, "s": 1, "sec": 1, "seconds": 1, "m": 60, "min": 60, "minutes": 60}
    | {"h": 3600, "hours": 3600, "d": 86400, "days": 86400},
    "'30s' or '1.5h'",
)
_BYTES = _Unit(
    "a size in bytes",
    {"": 1, "b": 1, "kb": 1000, "mb": 10**6, "gb": 10**9, "kib": 1024, "mib": 2**20, "gib": 2**30},
    "'64KiB' or '1MB'",
)

Duration = Annotated[float, _DURATION]
"""Seconds; in a file also text such as "30s", "250ms", "1.5h"."""


def seconds_of(text: str) -> float:
    """What a duration as text means; ValueError for one that means nothing."""
    return _DURATION.parse(text)


ByteSize = Annotated[int, _BYTES]
"""Bytes; in a file also text such as "64KiB" or "1MB"."""


class Option(NamedTuple):
    """What was declared about one option. `default` is `dataclasses.MISSING` for a required one."""

    name: str
    type: Any
    help: str
    default: Any = MISSING
    secret: bool = False
    check: Callable[[Any], None] | None = None
    example: Any = None

    @property
    def required(self) -> bool:
        return self.default is MISSING


def option(
    *,
    help: str,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    secret: bool = False,
    check: Callable[[Any], None] | None = None,
    example: Any = None,
) -> Any:
    """Declare one option of a component.

    Without a default the option is required. `check(value)` raises ValueError with a sentence such
    as "must be one character". A `secret` is shown as `***` wherever a component is shown.
    """
    meta = {"help": help, "secret": secret, "check": check, "example": example}
    if default is not MISSING and isinstance(default, (list, dict, set)):
        default_factory, default = (lambda value=default: type(value)(value)), MISSING
    if default_factory is not MISSING:
        return dataclasses.field(default_factory=default_factory, metadata=meta, kw_only=True)
    return dataclasses.field(default=default, metadata=meta, kw_only=True)


@dataclass_transform(kw_only_default=True, field_specifiers=(option,))
def component(cls: type[T]) -> type[T]:
    """Make a class with declared options: a keyword-only dataclass that checks what it is given."""
    cls.__post_init__ = _settle  # type: ignore[attr-defined]
    made = dataclass(kw_only=True, repr=False, match_args=False)(cls)
    made.__repr__ = _represent  # type: ignore[method-assign]
    return made


def _settle(self: Any) -> None:
    given = {name: getattr(self, name) for name in options_of(type(self))}
    values, problems = read_options(type(self), given)
    if problems:
        raise ConfigError(
            Problem(
                problem.what,
                f"{type(self).__name__}.{problem.path}".rstrip("."),
                None,
                problem.hint,
            )
            for problem in problems
        )
    for name, value in values.items():
        setattr(self, name, value)


def _represent(self: Any) -> str:
    shown = []
    for name, declared in options_of(type(self)).items():
        value = getattr(self, name)
        if value != declared.default:
            shown.append(f"{name}={'***' if declared.secret else repr(value)}")
    return f"{type(self).__name__}({', '.join(shown)})"


def options_of(cls: type) -> dict[str, Option]:
    """The options that a component class declares, in order."""
    cached: dict[str, Option] | None = cls.__dict__.get("__penstock_options__")
    if cached is not None:
        return cached
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    hints = typing.get_type_hints(cls, include_extras=True) if fields else {}
    found = {}
    for field in fields:
        if "help" not in field.metadata:
            continue
        default = field.default
        if field.default_factory is not MISSING:
            default = field.default_factory()
        found[field.name] = Option(field.name, hints[field.name], default=default, **field.metadata)
    cls.__penstock_options__ = found  # type: ignore[attr-defined]
    return found


def read_options(
    cls: type, given: Mapping[str, Any], base: Path | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """Convert and check a mapping of options for `cls`; every problem is found at once.

    Relative paths are taken from `base`. So is other text that names a file, as a URL may: a note
    of an `Annotated` type with a method `place(value, base)` is asked for the value to use, and
    raises ValueError with what the value must be. The `path` of a problem is the option's name,
    with dots and indices where it lies deeper.
    """
    declared = options_of(cls)
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name in given:
        if name not in declared:
            problems.append(_unknown(str(name), declared))
    for name, one in declared.items():
        if name not in given:
            if one.required:
                problems.append(Problem("is required", name, hint=f"give {_lower(one.help)}"))
            continue
        if type(given[name]) is type(one.default) and given[name] == one.default:
            values[name] = given[name]
            continue
        try:
            value = _convert(one.type, given[name], base)
            if one.check is not None:
                one.check(value)
            values[name] = value
        except _WrongError as wrong:
            what, hint = wrong.what, wrong.hint
            if one.secret:
                what = what.split(", got ")[0]
                hint = None if str(given[name]) in (hint or "") else hint
            problems.append(Problem(what, name + wrong.path, hint=hint))
        except (ValueError, TypeError) as error:
            shown = "" if one.secret else f", got {short(given[name])}"
            text = str(error)
            problems.append(Problem(text if ", got " in text else text + shown, name))
    if not problems:
        problems.extend(_cross_check(cls, values))
    return values, problems


def _unknown(name: str, declared: Mapping[str, Option]) -> Problem:
    near = nearest(name, declared)
    if near:
        hint = f"did you mean {near!r}?"
    elif not declared:
        hint = "it takes no options"
    else:
        hint = f"there are {', '.join(declared)}"
    return Problem("no such option", name, hint=hint)


def _cross_check(cls: type, values: Mapping[str, Any]) -> list[Problem]:
    """Run the class's own `check()` on an instance made without its constructor."""
    check = getattr(cls, "check", None)
    if check is None:
        return []
    probe: Any = object.__new__(cls)
    for name, one in options_of(cls).items():
        setattr(probe, name, values.get(name, one.default))
    try:
        check(probe)
    except ConfigError as error:
        return list(error.problems)
    except ValueError as error:
        return [Problem(str(error))]
    return []


class _WrongError(ValueError):
    """`nested`: the value was a mapping as it should be, and what is wrong lies inside."""

    def __init__(
        self, what: str, path: str = "", hint: str | None = None, *, nested: bool = False
    ) -> None:
        super().__init__(what)
        self.what, self.path, self.hint, self.nested = what, path, hint, nested


def _convert(kind: Any, value: Any, base: Path | None) -> Any:
    """`value` as `kind`, or ValueError with what it must be."""
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        return _convert_unit(kind, value, base)
    if origin is Literal:
        return _convert_choice(typing.get_args(kind), value)
    if origin is Union or origin is types.UnionType:
        return _convert_union(typing.get_args(kind), value, base)
    plain = origin or kind
    if plain in _PLAIN:
        return _PLAIN[plain](value, base)
    if plain in (list, tuple, set, frozenset, Sequence, Iterable):
        return _convert_list(kind, value, base)
    if plain in (dict, Mapping):
        return _convert_dict(kind, value, base)
    if dataclasses.is_dataclass(plain):
        return _convert_nested(typing.cast(type, plain), value, base)
    if isinstance(plain, type) and isinstance(value, plain):
        return value
    if plain is Callable or kind is Callable:
        if callable(value):
            return value
        raise _WrongError(f"must be a function, got {short(value)}")
    raise _WrongError(f"must be {type_name(kind)}, got {short(value)}")


def _text(value: Any, base: Path | None) -> str:
    if isinstance(value, str):
        return value
    hint = "write it in quotes" if not isinstance(value, (list, dict)) else None
    raise _WrongError(f"must be text, got {short(value)}", hint=hint)


def _whole(value: Any, base: Path | None) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]+\s*", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _WrongError(f"must be a whole number, got {short(value)}")


def _number(value: Any, base: Path | None) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            pass  # reported below, with the words for every other wrong value
    raise _WrongError(f"must be a number, got {short(value)}")


_TRUTH = {"true": True, "yes": True, "on": True, "1": True}
_TRUTH |= {"false": False, "no": False, "off": False, "0": False}


def _bool(value: Any, base: Path | None) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    raise _WrongError(f"must be true or false, got {short(value)}")


def _path(value: Any, base: Path | None) -> Path:
    if isinstance(value, str):
        if not value:
            raise _WrongError("must be a path, got ''")
        value = Path(value)
    if not isinstance(value, Path):
        raise _WrongError(f"must be a path, got {short(value)}")
    if base is None or str(value) == "-":  # "-" is standard input or output
        return value
    try:
        return base / value.expanduser()
    except RuntimeError:
        raise _WrongError(
            f"must be a path, got {short(str(value))}", hint="there is no such user"
        ) from None


def _nothing(value: Any, base: Path | None) -> None:
    if value is not None:
        raise _WrongError(f"must be empty, got {short(value)}")


_PLAIN: dict[Any, Callable[[Any, Path | None], Any]] = {
    str: _text,
    int: _whole,
    float: _number,
    bool: _bool,
    Path: _path,
    types.NoneType: _nothing,
}


def _convert_unit(kind: Any, value: Any, base: Path | None) -> Any:
    plain, *notes = typing.get_args(kind)
    if base is not None:
        for note in notes:
            if hasattr(note, "place"):
                value = note.place(_convert(plain, value, base), base)
    unit = next((note for note in notes if isinstance(note, _Unit)), None)
    if unit is None:
        return _convert(plain, value, base)
    if isinstance(value, str):
        try:
            return plain(unit.parse(value))
        except ValueError as error:
            raise _WrongError(f"{error}, got {short(value)}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise _WrongError(f"must be {unit.name} such as {unit.example}, got {short(value)}")
    return plain(value)


def _convert_choice(choices: tuple[Any, ...], value: Any) -> Any:
    for choice in choices:
        if value == choice and type(value) is type(choice):
            return choice
    near = (
        nearest(value, [c for c in choices if isinstance(c, str)])
        if isinstance(value, str)
        else None
    )
    raise _WrongError(
        f"must be {_or([repr(choice) for choice in choices])}, got {short(value)}",
        hint=f"did you mean {near!r}?" if near else None,
    )


def _convert_union(kinds: tuple[Any, ...], value: Any, base: Path | None) -> Any:
    for kind in kinds:  # an exact match first, so that `int | str` keeps "5" as text
        if isinstance(kind, type) and type(value) is kind:
            return _convert(kind, value, base)
    wrongs = []
    for kind in kinds:
        try:
            return _convert(kind, value, base)
        except _WrongError as wrong:
            wrongs.append(wrong)
    deeper = [wrong for wrong in wrongs if wrong.path or wrong.nested]
    if deeper:
        raise deeper[0]
    shown = [type_name(kind) for kind in kinds if kind is not types.NoneType]
    raise _WrongError(f"must be {_or(shown)}, got {short(value)}", hint=wrongs[0].hint)


def _convert_list(kind: Any, value: Any, base: Path | None) -> Any:
    plain = typing.get_origin(kind) or kind
    inner = (typing.get_args(kind) or (Any,))[0]
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise _WrongError(
            f"must be a list, got {short(value)}",
            hint=f"write [{value}]" if isinstance(value, str) and len(value) < _SHORT else None,
        )
    made = []
    for index, one in enumerate(value):
        try:
            made.append(_convert(inner, one, base))
        except _WrongError as wrong:
            raise _WrongError(wrong.what, f".{index}{wrong.path}", wrong.hint) from None
    return made if plain not in (tuple, set, frozenset) else plain(made)


def _convert_dict(kind: Any, value: Any, base: Path | None) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _WrongError(f"must be a mapping, got {short(value)}")
    key_kind, value_kind = typing.get_args(kind) or (Any, Any)
    made = {}
    for key, one in value.items():
        try:
            made[_convert(key_kind, key, base)] = _convert(value_kind, one, base)
        except _WrongError as wrong:
            raise _WrongError(wrong.what, f".{key}{wrong.path}", wrong.hint) from None
    return made


def _convert_nested(cls: type, value: Any, base: Path | None) -> Any:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise _WrongError(f"must be a mapping, got {short(value)}")
    values, problems = read_options(cls, value, base)
    if problems:
        first = problems[0]
        path = f".{first.path}" if first.path else ""
        raise _WrongError(first.what, path, first.hint, nested=True)
    return cls(**values)


def type_name(kind: Any) -> str:
    """A type as a reader of the reference sees it: "whole number", "list of text"."""
    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin is Annotated:
        named = [note.name for note in arguments[1:] if hasattr(note, "name")]
        return named[0] if named else type_name(arguments[0])
    if origin is Literal:
        return _or([repr(choice) for choice in arguments])
    if origin is Union or origin is types.UnionType:
        return _or([type_name(one) for one in arguments if one is not types.NoneType])
    plain = origin or kind
    if plain in _NAMES:
        return _NAMES[plain]
    if plain in (list, tuple, set, frozenset, Sequence, Iterable):
        return f"a list of {_plural(type_name(arguments[0]))}" if arguments else "a list"
    if plain in (dict, Mapping):
        return f"a mapping to {_plural(type_name(arguments[1]))}" if arguments else "a mapping"
    if dataclasses.is_dataclass(plain):
        return f"a mapping of {', '.join(options_of(typing.cast(type, plain)))}"
    return getattr(plain, "__name__", str(plain))


_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
    Any: "any value",
    types.NoneType: "nothing",
}


def _plural(name: str) -> str:
    words = {
        "a whole number": "whole numbers",
        "a number": "numbers",
        "a path": "paths",
        "any value": "any values",
    }
    return words.get(name, name)


_SHORT = 60


def short(value: Any) -> str:
    """A value as a message shows it: whole, or its beginning when it is long."""
    # A text is cut before `repr`, which would copy all of it; two quotes are part of the length.
    text = repr(value[:_SHORT] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def schema_of(cls: type) -> dict[str, Any]:
    """JSON Schema (draft 7) of a mapping with the options of `cls`."""
    properties: dict[str, Any] = {}
    for name, one in options_of(cls).items():
        entry = {"description": one.help, **_schema(one.type)}
        if not one.required and _is_json(one.default):
            entry["default"] = "***" if one.secret and one.default else one.default
        if one.example is not None and _is_json(one.example):
            entry["examples"] = [one.example]
        properties[name] = entry
    required = [name for name, one in options_of(cls).items() if one.required]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**schema, "required": required} if required else schema


_PLACEHOLDER = {"type": "string", "pattern": r"\$\{"}


def _schema(kind: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        if any(isinstance(note, _Unit) for note in arguments[1:]):
            return {"type": ["number", "string"]}
        return _schema(arguments[0])
    if origin is Literal:
        return {"anyOf": [{"enum": list(arguments)}, _PLACEHOLDER]}
    if origin is Union or origin is types.UnionType:
        return {"anyOf": [_schema(one) for one in arguments]}
    plain = origin or kind
    if plain in (int, float, bool):
        name = {int: "integer", float: "number", bool: "boolean"}[plain]
        return {"anyOf": [{"type": name}, _PLACEHOLDER]}
    if plain in (str, Path):
        return {"type": "string"}
    if plain is types.NoneType:
        return {"type": "null"}
    if plain in (list, tuple, set, frozenset, Sequence, Iterable):
        return {"type": "array", "items": _schema(arguments[0]) if arguments else {}}
    if plain in (dict, Mapping):
        return {
            "type": "object",
            "additionalProperties": _schema(arguments[1]) if arguments else {},
        }
    if dataclasses.is_dataclass(plain):
        return schema_of(typing.cast(type, plain))
    return {}


def _is_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(one) for key, one in value.items())
    return value is None or isinstance(value, (str, int, float, bool))


_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)(?=@)")


def secrets_of(component: Any) -> set[str]:
    """The texts that must not appear in a message about this component."""
    found: set[str] = set()
    for name, declared in options_of(type(component)).items():
        value = getattr(component, name, None)
        if declared.secret and isinstance(value, str) and value:
            found.add(value)
        elif isinstance(value, str):
            found.update(match[2] for match in _PASSWORD_IN_URL.finditer(value))
        elif isinstance(value, Mapping):  # such as the inputs that one is made of
            found.update(
                *(secrets_of(o) for o in value.values() if dataclasses.is_dataclass(type(o)))
            )
    return found


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with every secret, and every password in a URL, shown as `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _PASSWORD_IN_URL.sub(r"\1:***", text)
