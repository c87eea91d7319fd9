"""Reads records from JSON Lines or from one JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .input import JsonInput

__all__ = ["JsonInput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "JsonInput":
        from .input import JsonInput

        return JsonInput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
