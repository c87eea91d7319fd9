"""Reads records from tables and queries of SQL databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .input import SqlInput

__all__ = ["SqlInput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "SqlInput":
        from .input import SqlInput

        return SqlInput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
