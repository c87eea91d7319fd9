"""The transformer `fields`: renames, casts, computes, keeps and drops the fields of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fields import Cast, Fields, Substitution

__all__ = ["Cast", "Fields", "Substitution"]


def __getattr__(name: str) -> Any:  # listing the plugins imports this package, but not the class
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import fields

    return getattr(fields, name)
