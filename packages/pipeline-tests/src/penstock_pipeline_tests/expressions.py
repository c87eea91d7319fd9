"""Expressions over records, where the package that knows them is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock import PluginError
from penstock.plugins import load

__all__ = ["broken_by", "compiled"]

_PACKAGE = "penstock-expressions"


def compiled(text: str) -> Any:
    """The expression; ValueError with a sentence for one that means nothing."""
    try:
        compile_expression = load("penstock_expressions:compile_expression")
    except PluginError:
        raise ValueError(f"expressions come with {_PACKAGE}; pip install {_PACKAGE}") from None
    return compile_expression(text, where="each")


def broken_by(expression: Any, record: Any) -> str | None:
    """Why a record does not fulfil an expression, or None."""
    if not isinstance(record, Mapping):
        return "the record has no fields"
    try:
        return None if expression(record) else "is not true"
    except Exception as error:
        return str(expression.explain(record, error)).removeprefix("each: ")
