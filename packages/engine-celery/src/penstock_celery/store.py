"""The store of one chunk's run: the row of the chunk and its letters in the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from penstock import Checkpoint, DeadLetter, FencedError, MemoryStore
from penstock.store import Alive, IndexedKey

from .ledger import Chunk, Ledger

__all__ = ["ChunkStore"]


class ChunkStore(MemoryStore):
    """A store for one pipeline: the chunk, which was taken already. What only a longer life needs,
    as a history or an index of keys, is kept in memory and so not at all."""

    def __init__(self, ledger: Ledger, chunk: Chunk) -> None:
        super().__init__()
        self.ledger = ledger
        self.chunk = chunk
        self._tried: dict[str, int] = {}

    # ---- the lease, which whoever took the chunk renews -----------------------------------------

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Alive) -> int:
        super().lease(pipeline, holder, now, until, alive)
        self._leases[pipeline] = (holder, self.chunk.generation, until)
        self._tried = self.ledger.tried(self.chunk)
        return self.chunk.generation

    # ---- progress -------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.ledger.checkpoint(self.chunk)

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        self.ledger.save(self.chunk, checkpoint, letters)
        self._tried = {}

    def keep(
        self,
        pipeline: str,
        generation: int,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[IndexedKey] = (),
    ) -> None:
        self.ledger.keep(self.chunk, letters)

    def attempt(self, pipeline: str, generation: int, place: str) -> int:
        self._tried[place] = self._tried.get(place, 0) + 1
        self.ledger.change(self.chunk, tried=json.dumps(self._tried))
        return self._tried[place]

    def withdraw(self, pipeline: str, generation: int, places: Iterable[str]) -> None:
        for place in places:
            self._tried[place] = self._tried.get(place, 0) - 1
        self._tried = {place: count for place, count in self._tried.items() if count > 0}
        with suppress(FencedError):
            self.ledger.change(self.chunk, tried=json.dumps(self._tried))

    def attempts(self, pipeline: str) -> Mapping[str, int]:
        return dict(self._tried)

    # ---- letters and reports --------------------------------------------------------------------

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        return self.ledger.settle(self.chunk, before)

    def keep_report(self, report: Mapping[str, Any]) -> None:
        """Nothing yet: the report is kept in the step that says that the chunk is done."""
