"""Join trees and windows by the names that watermill gave them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from penstock_streams import Expr, Join, With, alias, call, const, field, join

__all__ = [
    "JoinWith",
    "Window",
    "const_expression",
    "function_call",
    "get_field",
    "get_fields",
    "join_streams",
    "type_alias",
    "window",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Window:
    """Elements of `cls` in a row for which `window_expression` is the same."""

    cls: Any
    window_expression: Any


@dataclass(frozen=True)
class JoinTree:
    """A join, and how the elements of its first stream are put into windows, if they are."""

    join: Join
    window_expression: Any = None


class JoinWith:
    """A stream, or a join of its own, with the conditions under which its elements match."""

    def __init__(self, with_type: Any, left_expression: Any, right_expression: Any) -> None:
        self.with_type = with_type
        self.left_expression = left_expression
        self.right_expression = right_expression

    def part(self) -> With:
        what = self.with_type
        if isinstance(what, Window) or (
            isinstance(what, JoinTree) and what.window_expression is not None
        ):
            raise ValueError("only the first stream of a join can be put into windows")
        if isinstance(what, JoinTree):
            what = what.join
        return With(what, left=self.left_expression, right=self.right_expression)


def join_streams(master: Any, *parts: JoinWith) -> JoinTree:
    """Join streams to `master`, a class or a `window` of one. Several parts make a star; a part
    that is a join itself makes a chain."""
    expression = None
    if isinstance(master, Window):
        master, expression = master.cls, master.window_expression
    return JoinTree(join(master, *(part.part() for part in parts)), expression)


def window(cls: Any, window_expression: Any) -> Window:
    """Lists of elements in a row for which `window_expression` is the same."""
    return Window(cls, window_expression)


def get_field(name: str) -> Expr:
    """The value of a field."""
    return field(name)


get_fields = get_field
"""The document uses both names."""


def function_call(function: Callable[[Any], Any]) -> Expr:
    """What a function gives for an element; for None, while no element comes."""
    return call(function)


def const_expression(value: Any) -> Expr:
    """The same value for every element."""
    return const(value)


def type_alias(cls: type[T], name: str) -> type[T]:
    """The same class for another node of a join."""
    return alias(cls, name)
