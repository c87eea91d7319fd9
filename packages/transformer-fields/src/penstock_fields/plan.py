"""From the options of `fields` to a plan, or a sentence about what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from penstock import ConfigError, Problem
from penstock_expressions import (
    Expression,
    Pattern,
    Reader,
    bounded_pattern,
    compile_expression,
    reader,
)

from .layout import Plan

if TYPE_CHECKING:
    from .fields import Fields

__all__ = ["make_plan"]

Made = TypeVar("Made")


def make_plan(fields: Fields) -> Plan:
    """Compile everything that the options contain; ConfigError for all that is wrong with them."""
    wrong: list[Problem] = []
    if fields.select and fields.drop:
        wrong.append(Problem("select and drop cannot be used together; give one of them"))
    with _noting(wrong, "rename"):
        _check_rename(fields.rename)
    nest = _each(wrong, "nest", fields.nest, _members)
    with _noting(wrong, "nest"):
        _check_nest(nest)
    for where in ("select", "drop", "unnest"):
        with _noting(wrong, where):
            _check_twice(where, getattr(fields, where))
    condition = {} if fields.where is None else {"where": fields.where}
    made = Plan(
        rename=fields.rename,
        default=fields.default,
        substitute=_each(wrong, "substitute", fields.substitute, _rules),
        cast=_each(wrong, "cast", fields.cast, _reader),
        constants=fields.constants,
        computed=list(_each(wrong, "set", fields.set, _computed).items()),
        where=_each(wrong, "", condition, _condition).get("where"),
        nest=nest,
        select=fields.select,
        drop=fields.drop,
        lenient=fields.missing == "ignore",
        nulls=tuple(fields.nulls),
    )
    if wrong:
        raise ConfigError(wrong)
    return made


def _each(
    wrong: list[Problem], option: str, given: Mapping[str, Any], make: Callable[[str, Any], Made]
) -> dict[str, Made]:
    """What each value of an option becomes; those that are wrong are noted and left out."""
    found = {}
    for name, value in given.items():
        with _noting(wrong, f"{option}.{name}" if option else name):
            found[name] = make(name, value)
    return found


@contextmanager
def _noting(wrong: list[Problem], path: str) -> Iterator[None]:
    """Note a ValueError as a problem; its text may begin with a place that is more exact."""
    try:
        yield
    except ValueError as error:
        place, colon, what = str(error).partition(": ")
        inside = bool(colon) and (place == path or place.startswith(f"{path}."))
        wrong.append(Problem(what, place) if inside else Problem(str(error), path))


def _check_rename(rename: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for old, new in rename.items():
        if new in seen:
            raise ValueError(f"rename.{old}: {seen[new]!r} is also renamed to {new!r}")
        seen[new] = old


def _check_nest(nest: Mapping[str, Mapping[str, str]]) -> None:
    taken: dict[str, str] = {}
    for name, members in nest.items():
        for field in members.values():
            if field in taken:
                raise ValueError(f"nest.{name}: {field!r} is already moved to {taken[field]!r}")
            taken[field] = name


def _check_twice(where: str, names: Sequence[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{where}: {name!r} stands there twice")


def _members(name: str, members: Sequence[str] | Mapping[str, str]) -> Mapping[str, str]:
    if isinstance(members, Mapping):
        return members
    _check_twice(f"nest.{name}", members)
    return {member: member for member in members}


def _rules(name: str, rules: Any) -> list[tuple[Pattern, str]]:
    made = []
    for rule in rules if isinstance(rules, list) else [rules]:
        try:
            pattern = bounded_pattern(rule.pattern)
            pattern.substitute(rule.replacement, "")
        except (ValueError, IndexError, re.error) as error:
            raise ValueError(f"substitute.{name}: {error}") from None
        made.append((pattern, rule.replacement))
    return made


def _reader(name: str, cast: Any) -> tuple[str, Reader]:
    if isinstance(cast, str):
        return cast, reader(cast)
    try:
        return cast.use, reader(cast.use, cast.format)
    except ValueError as error:
        raise ValueError(f"cast.{name}.format: {error}") from None


def _computed(name: str, text: str) -> Expression:
    return compile_expression(text, where=f"set.{name}")


def _condition(name: str, text: str) -> Expression:
    return compile_expression(text, where=name)
