"""Expressions in options, compiled where a pipeline uses one: importing that takes 20 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_expressions import Expression

__all__ = ["compiled", "is_expression"]


def compiled(text: str, where: str) -> Expression:
    """The function of a record that an expression describes."""
    from penstock_expressions import compile_expression

    return compile_expression(text, where=where)


def is_expression(text: str) -> None:
    """The `check` of an option that is one."""
    try:
        compiled(text, "expression")
    except ValueError as error:
        raise ValueError(str(error).removeprefix("expression: ")) from error
