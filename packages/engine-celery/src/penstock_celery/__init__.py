"""Runs the parts of a pipeline on Celery workers, with a database as the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import CeleryEngine
    from .worker import serve

__all__ = ["CeleryEngine", "serve"]

_HOMES = {"CeleryEngine": "engine", "serve": "worker"}


def __getattr__(name: str) -> Any:
    # The kernel imports this package when it lists plugins; Celery is needed only by a run.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
