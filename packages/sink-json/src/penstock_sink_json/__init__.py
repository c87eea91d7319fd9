"""Writes records as JSON Lines or as one JSON array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .output import JsonOutput

__all__ = ["JsonOutput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "JsonOutput":
        from .output import JsonOutput

        return JsonOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
