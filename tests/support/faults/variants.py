"""Wrong ways to keep the promise, each a single change. A test that does not catch them is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["VARIANTS"]


def ignores_the_mark() -> None:
    """An output that goes on at the end of what it finds."""
    from penstock_files.writing import FileWriter

    resume = FileWriter.resume

    def go_on(self: FileWriter, mark: Any = None) -> None:
        if mark is not None and self._target is not None:
            length = os.fstat(self._file.fileno()).st_size
            mark = {"length": length, "tail": None}
            self._has = lambda *_: True  # type: ignore[method-assign]
        resume(self, mark)

    FileWriter.resume = go_on  # type: ignore[method-assign]


def saves_positions_first() -> None:
    """A run that stores where it is before its outputs are flushed."""
    from penstock_files.writing import FileWriter

    def flush(_: FileWriter) -> None:
        """Later."""

    FileWriter.flush = flush  # type: ignore[method-assign, assignment]


def forgets_the_states() -> None:
    """A run that does not keep what its stages hold."""
    from penstock.components import Stage
    from penstock_shape.pack import Pack

    Pack.snapshot = Stage.snapshot  # type: ignore[method-assign]


def leaves_folders() -> None:
    """An output that does not make the name of its file durable."""
    import penstock_files.writing as writing

    def leave(folder: Path) -> None:
        """As if closing it were enough."""

    writing._sync_folder = leave


VARIANTS: dict[str, Callable[[], None]] = {
    "ignores the mark": ignores_the_mark,
    "saves positions first": saves_positions_first,
    "forgets the states": forgets_the_states,
    "leaves folders": leaves_folders,
}
