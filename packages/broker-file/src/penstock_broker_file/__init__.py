"""Streams in a folder, which several processes write and read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .broker import FileBroker

__all__ = ["FileBroker"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "FileBroker":
        from .broker import FileBroker

        return FileBroker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
