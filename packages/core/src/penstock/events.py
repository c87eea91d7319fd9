"""Telling plugins what happens in a run, at no cost where nobody listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Events"]


class Events:
    """Calls the hooks of the second group. A hook that nobody implements becomes a no-op once, so
    that the run pays nothing for it; `heard` says whether anybody wants to know of batches."""

    def __init__(self, hooks: Any) -> None:
        self.run_started = _caller(hooks, "penstock_run_started", "run")
        self.batch_done = _caller(hooks, "penstock_batch_done", "run", "node", "batch")
        self.record_failed = _caller(hooks, "penstock_record_failed", "run", "node", "letter")
        self.checkpoint_saved = _caller(hooks, "penstock_checkpoint_saved", "run", "checkpoint")
        self.run_finished = _caller(hooks, "penstock_run_finished", "run", "report")
        self.heard = self.batch_done is not _nothing


def _caller(hooks: Any, name: str, *arguments: str) -> Callable[..., None]:
    hook = getattr(hooks, name, None)
    if hook is None or not hook.get_hookimpls():
        return _nothing

    def call(*values: Any) -> None:
        hook(**dict(zip(arguments, values, strict=True)))

    return call


def _nothing(*_: Any) -> None:
    return None
