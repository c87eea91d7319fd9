"""Joins, windows and typed functions over streams of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .calls import Call
    from .expressions import Expr, call, const, field
    from .joins import JoinInput, On
    from .pipes import pipe
    from .signatures import EndOfStream
    from .trees import Join, With, alias, join
    from .window import Window

__all__ = [
    "Call",
    "EndOfStream",
    "Expr",
    "Join",
    "JoinInput",
    "On",
    "Window",
    "With",
    "alias",
    "call",
    "const",
    "field",
    "join",
    "pipe",
]

_HOMES = {
    "calls": ("Call",),
    "expressions": ("Expr", "call", "const", "field"),
    "joins": ("JoinInput", "On"),
    "pipes": ("pipe",),
    "signatures": ("EndOfStream",),
    "trees": ("Join", "With", "alias", "join"),
    "window": ("Window",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # the plugin module is read at every start, the classes rarely
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
