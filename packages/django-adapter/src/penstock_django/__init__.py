"""Penstock inside Django: pipes, sessions, and a store on the ORM.

Names are imported when they are first used: Django imports this package before its models can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .models import PipelineError, PipelineTrack
    from .pipes import Pipe, PipeBreak, PipeContinue, PipeError, PipeIgnore
    from .registry import pipeline
    from .sessions import Session, get_session
    from .store import DjangoStore

_HOME_OF = {
    "DjangoStore": "store",
    "Pipe": "pipes",
    "PipeBreak": "pipes",
    "PipeContinue": "pipes",
    "PipeError": "pipes",
    "PipeIgnore": "pipes",
    "PipelineError": "models",
    "PipelineTrack": "models",
    "Session": "sessions",
    "get_session": "sessions",
    "pipeline": "registry",
}

__all__ = [
    "DjangoStore",
    "Pipe",
    "PipeBreak",
    "PipeContinue",
    "PipeError",
    "PipeIgnore",
    "PipelineError",
    "PipelineTrack",
    "Session",
    "get_session",
    "pipeline",
]


def __getattr__(name: str) -> Any:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
