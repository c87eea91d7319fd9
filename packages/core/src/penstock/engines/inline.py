"""The inline engine: pulls batches through the graph on the caller's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..options import component

if TYPE_CHECKING:
    from ..runs import Run

__all__ = ["InlineEngine"]


@component
class InlineEngine:
    """Read a batch, push it through everything, read the next."""

    def execute(self, run: Run) -> None:
        run.drive(run.turns(), run.push, _settle)


def _settle() -> None:
    """Nothing is ever under way between two calls of this engine."""
