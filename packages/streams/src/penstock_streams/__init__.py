"""Joins, windows and typed functions over streams of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .expressions import Expr, call, const, field
    from .join import JoinInput, On
    from .window import Window

__all__ = ["Expr", "JoinInput", "On", "Window", "call", "const", "field"]

_HOMES = {
    "expressions": ("Expr", "call", "const", "field"),
    "join": ("JoinInput", "On"),
    "window": ("Window",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:  # the plugin module is read at every start, the classes rarely
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
