"""From the options of `fields` to a plan, or a sentence about what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock_expressions import Pattern, Reader, bounded_pattern, compile_expression, reader

from .layout import Plan

if TYPE_CHECKING:
    from .fields import Fields

__all__ = ["make_plan"]


def make_plan(fields: Fields) -> Plan:
    """Compile everything that the options contain; ValueError for the first that is wrong."""
    if fields.select and fields.drop:
        raise ValueError("select and drop cannot be used together; give one of them")
    _check_rename(fields.rename)
    nest = {name: _members(name, members) for name, members in fields.nest.items()}
    _check_nest(nest)
    for where in ("select", "drop", "unnest"):
        _check_twice(where, getattr(fields, where))
    return Plan(
        rename=fields.rename,
        default=fields.default,
        substitute={name: _rules(name, rules) for name, rules in fields.substitute.items()},
        cast={name: _reader(name, cast) for name, cast in fields.cast.items()},
        constants=fields.constants,
        computed=[
            (name, compile_expression(text, where=f"set.{name}"))
            for name, text in fields.set.items()
        ],
        where=None if fields.where is None else compile_expression(fields.where, where="where"),
        nest=nest,
        select=fields.select,
        drop=fields.drop,
        lenient=fields.missing == "ignore",
        nulls=tuple(fields.nulls),
    )


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
