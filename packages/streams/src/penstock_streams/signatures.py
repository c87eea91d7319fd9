"""What a function's signature says about the pipeline that it is.

    def speed(now: Location, later: Mapping[Location, list[Later]], db: Connection) -> Speed: ...

Its first argument is an element of the stream, or a list of them: a window. Mappings are what is
joined: for each element the list of its matches. Everything else is provided.
"""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Union

from penstock import ConfigError

__all__ = ["EndOfStream", "Match", "Signature", "signature_of"]


@dataclass(frozen=True)
class EndOfStream:
    """Returned, or yielded last, by a function: there will be no more results."""

    eos__: bool = True


class Match(NamedTuple):
    """An argument `later: Mapping[Location, list[Later]]`."""

    name: str
    left: Any
    right: Any


class Signature(NamedTuple):
    """`results` are the types that it may give, without None and EndOfStream; None: not said."""

    name: str
    first: str
    element: Any
    windowed: bool
    matches: tuple[Match, ...]
    provided: dict[str, Any]
    results: tuple[Any, ...] | None


_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_GENERATORS = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
)


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read a signature; ConfigError says which argument is wrong."""
    name = getattr(function, "__name__", type(function).__name__)
    called = function if inspect.isroutine(function) else type(function).__call__
    try:
        hints = typing.get_type_hints(called)
    except (NameError, TypeError) as error:
        raise ConfigError(f"{name}: its annotations cannot be read: {error}") from error
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in (
        parameters[0].POSITIONAL_ONLY,
        parameters[0].POSITIONAL_OR_KEYWORD,
    ):
        raise ConfigError(f"{name}: takes no element; give it a first argument for one")
    for parameter in parameters:
        if parameter.name not in hints and parameter.default is parameter.empty:
            raise ConfigError(
                f"{name}: argument {parameter.name!r} has no type; annotate it, as in "
                f"{parameter.name}: Location"
            )
    first = parameters[0].name
    element, windowed = _inside(hints[first], _LISTS)
    matches = []
    provided = {}
    for parameter in parameters[1:]:
        kind = hints.get(parameter.name)
        if typing.get_origin(kind) in _MAPPINGS:
            matches.append(_match(name, parameter.name, kind))
        elif parameter.default is parameter.empty:
            provided[parameter.name] = kind
    results = _results(hints["return"]) if "return" in hints else None
    return Signature(name, first, element, windowed, tuple(matches), provided, results)


def _inside(kind: Any, around: tuple[Any, ...]) -> tuple[Any, bool]:
    """`A` of `list[A]`, and whether it was one."""
    if typing.get_origin(kind) in around:
        return typing.get_args(kind)[0], True
    return kind, False


def _match(function: str, name: str, kind: Any) -> Match:
    left, right = typing.get_args(kind)
    element, listed = _inside(right, _LISTS)
    if not listed:
        raise ConfigError(
            f"{function}: argument {name!r} must be a Mapping of one type to a list of another, as "
            "in Mapping[Order, list[Payment]]"
        )
    return Match(name, left, element)


def _results(kind: Any) -> tuple[Any, ...]:
    if kind in (None, types.NoneType, NoReturn):
        return ()
    inner, _ = _inside(kind, _GENERATORS)
    origin = typing.get_origin(inner)
    kinds = typing.get_args(inner) if origin in (Union, types.UnionType) else (inner,)
    return tuple(one for one in kinds if one not in (types.NoneType, EndOfStream))
