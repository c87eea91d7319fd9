"""Writes records to collections of MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .output import MongoOutput

__all__ = ["MongoOutput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "MongoOutput":
        from .output import MongoOutput

        return MongoOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
