"""Inspectors that judge records, and inspectors that judge a stream as a whole at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .check import Check, Condition
    from .contract import Contract
    from .count import Count
    from .freshness import Freshness
    from .require import Require
    from .rules import Length, Rule
    from .statistics import Statistics
    from .unique import Unique

__all__ = [
    "Check",
    "Condition",
    "Contract",
    "Count",
    "Freshness",
    "Length",
    "Require",
    "Rule",
    "Statistics",
    "Unique",
]

_MODULES = {"Condition": "check", "Length": "rules", "Rule": "rules"}


def __getattr__(name: str) -> Any:  # the plugin module is read at every start, the classes rarely
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_MODULES.get(name, name.lower())}", __name__), name)
