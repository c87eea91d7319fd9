"""Sorted runs of records in files, and the merge of them.

A run that is written is never changed, so a checkpoint can refer to it by its name.
"""

from __future__ import annotations

import heapq
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from penstock import BATCH_SIZE, RunError

from .holding import Held

__all__ = ["Runs"]

_WIDTH = 64
"""Files that are read at once; more are merged in several rounds."""


class Runs:
    """The files of one sort, in a folder of their own inside `folder`."""

    def __init__(self, folder: Path | None, where: str) -> None:
        self._parent = folder
        self._where = where
        self._folder: Path | None = None
        self._names: list[str] = []
        self._made = 0

    def __len__(self) -> int:
        return len(self._names)

    def add(self, held: Iterable[Held]) -> None:
        """Write records that are in order as one more run, durably."""
        self._names.append(self._write(held))

    def merged(self, key: Callable[[Held], Any]) -> Iterator[Held]:
        """All records in order; those with equal keys as they were added."""
        names = self._names
        while len(names) > _WIDTH:
            names = [
                self._write(self._merge(names[first : first + _WIDTH], key))
                for first in range(0, len(names), _WIDTH)
            ]
        return self._merge(names, key)

    def forget(self) -> None:
        """Begin anew. The files stay until `discard`, as a checkpoint may still name them."""
        self._names = []

    def discard(self) -> None:
        """Delete every file."""
        if self._folder is not None:
            shutil.rmtree(self._folder)
            self._folder = None
        self._names = []

    def state(self) -> Any:
        return {"folder": str(self._folder), "runs": list(self._names), "made": self._made}

    def restore(self, state: Any) -> None:
        folder = Path(state["folder"])
        missing = [name for name in state["runs"] if not (folder / name).is_file()]
        if missing:
            raise RunError(
                f"cannot go on sorting: {str(folder / missing[0])!r} is gone",
                where=self._where,
                hint="start over, and give a folder that is not cleaned up",
            )
        if not _is_private(folder):
            raise RunError(
                f"cannot go on sorting: others may write to {str(folder)!r}",
                where=self._where,
                hint="start over",
            )
        self._folder, self._names, self._made = folder, list(state["runs"]), state["made"]

    def _write(self, held: Iterable[Held]) -> str:
        self._made += 1
        name = f"run-{self._made:06}"
        entries = iter(held)
        try:
            if self._folder is None:
                self._folder = _new_folder(self._parent)
            with (self._folder / name).open("wb") as file:
                while part := list(islice(entries, BATCH_SIZE)):
                    pickle.dump([tuple(entry) for entry in part], file, pickle.HIGHEST_PROTOCOL)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            place = str(self._folder or self._parent or tempfile.gettempdir())
            raise RunError(
                f"cannot write sorted records to {place!r}: {error.strerror}",
                where=self._where,
                hint="give a folder with room, or more memory",
            ) from error
        return name

    def _merge(self, names: list[str], key: Callable[[Held], Any]) -> Iterator[Held]:
        if len(names) == 1:
            return self._read(names[0])
        return heapq.merge(*map(self._read, names), key=key)

    def _read(self, name: str) -> Iterator[Held]:
        assert self._folder is not None
        with (self._folder / name).open("rb") as file:
            while True:
                try:
                    # Written by this process or an earlier one of this user: `restore` has looked.
                    part = pickle.load(file)  # noqa: S301
                except EOFError:
                    return
                yield from map(Held._make, part)


def _new_folder(parent: Path | None) -> Path:
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="penstock-sort-", dir=parent))
    return folder.resolve()


def _is_private(folder: Path) -> bool:
    """Whether this user made the folder and nobody else may write to it."""
    if not hasattr(os, "getuid"):
        return True  # a temporary folder of Windows belongs to the user's profile
    found = folder.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022
