"""Which file the state of a pipeline belongs to: two of the same name must not share it."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import UsageError
from .store import Store

__all__ = ["claim", "refuse_other"]


def claim(store: Store, pipeline: str, file: Path) -> None:
    """Note that a pipeline of that name stands in this file; UsageError when it is another's."""
    folder = getattr(store, "folder", None)
    if folder is None:
        return
    refuse_other(store, pipeline, file)
    own = _from(folder, file)
    if store.claimed(pipeline) != own:
        store.claim(pipeline, own)


def refuse_other(store: Store, pipeline: str, file: Path) -> None:
    """Raise when what is kept under the name of a pipeline is of another file. One that is gone, as
    when it was renamed, leaves its state to the next of that name."""
    folder = getattr(store, "folder", None)
    other = store.claimed(pipeline) if folder is not None else None
    if folder is None or other is None or other == _from(folder, file):
        return
    there = folder / other
    if not there.exists() or (file.exists() and there.samefile(file)):
        return
    raise UsageError(
        f"has the same name as {str(Path(os.path.normpath(there)))!r}, {pipeline!r}, and would "
        "share its state",
        where=str(file),
        hint="give one of them another name (name: ...), or a folder of its own with --state",
    )


def _from(folder: Path, file: Path) -> str:
    """The file as seen from the state folder, so that both may be moved together."""
    try:
        return os.path.relpath(file.absolute(), folder.absolute())
    except ValueError:  # on another drive
        return str(file.absolute())
