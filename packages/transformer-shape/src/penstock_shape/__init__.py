"""Transformers that change which records there are, in which order, and how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dedupe import Dedupe
    from .filter import Filter
    from .group import Group
    from .limit import Limit
    from .pack import Pack, Unpack
    from .sample import Sample
    from .sort import Sort

__all__ = ["Dedupe", "Filter", "Group", "Limit", "Pack", "Sample", "Sort", "Unpack"]

_MODULES = {"Pack": "pack", "Unpack": "pack"}


def __getattr__(name: str) -> Any:  # the plugin module is read at every start, the classes rarely
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES.get(name, name.lower())}", __name__), name)
