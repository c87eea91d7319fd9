"""What an epoch has written so far, kept so that its transaction can be done again."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any

__all__ = ["Kept"]

_IN_MEMORY = 20_000


class Kept:
    """Lists of things in the order in which they were added; many of them are in a file."""

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._most = in_memory
        self._lists: list[list[Any]] = []
        self._count = 0
        self._file: IO[bytes] | None = None

    def add(self, things: list[Any]) -> None:
        if not things:
            return
        self._lists.append(things)
        self._count += len(things)
        if self._count > self._most:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="penstock-")  # noqa: SIM115 (see clear)
            self._file.seek(0, 2)
            for one in self._lists:
                pickle.dump(one, self._file, pickle.HIGHEST_PROTOCOL)
            self._lists, self._count = [], 0

    def __iter__(self) -> Iterator[list[Any]]:
        if self._file is not None:
            self._file.seek(0)
            end = self._file.seek(0, 2)
            at = self._file.seek(0)
            while at < end:
                things: list[Any] = pickle.load(self._file)  # noqa: S301 (nobody else has the file)
                at = self._file.tell()
                yield things
        yield from self._lists

    def clear(self) -> None:
        """Forget all of it."""
        self._lists, self._count = [], 0
        if self._file is not None:
            self._file.close()
            self._file = None
