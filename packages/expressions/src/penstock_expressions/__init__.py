"""Small, safe expressions over the fields of a record, and the strict reading of values."""

from __future__ import annotations

from .code import Code, ExpressionError, Scope, make_function
from .expression import Expression, compile_expression, no_field
from .patterns import Pattern, bounded_pattern
from .values import KINDS, Reader, reader, shown

__all__ = [
    "KINDS",
    "Code",
    "Expression",
    "ExpressionError",
    "Pattern",
    "Reader",
    "Scope",
    "bounded_pattern",
    "compile_expression",
    "make_function",
    "no_field",
    "reader",
    "shown",
]
