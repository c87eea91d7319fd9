"""Reads documents from collections of MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .input import MongoInput

__all__ = ["MongoInput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "MongoInput":
        from .input import MongoInput

        return MongoInput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
