"""Writes records to tables of SQL databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .output import SqlOutput

__all__ = ["SqlOutput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "SqlOutput":
        from .output import SqlOutput

        return SqlOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
