"""Tests of pipelines, declared beside them: what `penstock test` and pytest run."""

from __future__ import annotations

__all__ = ["Case", "Outcome", "Suite", "open_suite"]

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cases import Case
    from .running import Outcome
    from .suites import Suite, open_suite

_HOMES = {"Case": "cases", "Outcome": "running", "Suite": "suites", "open_suite": "suites"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
