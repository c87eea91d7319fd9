"""Writes records as rows of a CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .output import CsvOutput

__all__ = ["CsvOutput"]


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; the class is needed only by a pipeline.
    if name == "CsvOutput":
        from .output import CsvOutput

        return CsvOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
