"""An input that reads CSV files and says of every line that it cannot read which one it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .input import CsvInput

__all__ = ["CsvInput"]


def __getattr__(name: str) -> Any:  # the plugin module is read at every start, the class rarely
    if name != "CsvInput":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .input import CsvInput

    return CsvInput
