"""A durable copy of what several transactional outputs are about to commit.

When a run dies between the first and the last of their commits, those that are behind get exactly
these records. Computing them again could give others: with a clock, a look-up, another batch size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import IO, Any

from .batch import Batch
from .store import decode_record, encode_record

__all__ = ["Spool"]


class Spool:
    """One epoch's batches by output, in `folder`; written while the epoch runs, sealed before it is
    committed, cleared when every output has it. Outputs on several threads may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: IO[str] | None = None
        self._lock = Lock()

    @property
    def path(self) -> Path:
        return self.folder / "epoch.spool"

    def write(self, output: str, batch: Batch) -> None:
        records = [encode_record(record) for record in batch.records]
        self._add([output, batch.source, list(batch.ordinals), records])

    def seal(self, epoch: int) -> None:
        """Make the epoch's batches durable; only a sealed spool is ever read."""
        file = self._add(epoch)
        file.flush()
        os.fsync(file.fileno())
        self.close()
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _add(self, entry: Any) -> IO[str]:
        line = json.dumps(entry) + "\n"
        with self._lock:
            if self._file is None:
                self.folder.mkdir(exist_ok=True)
                self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115
            self._file.write(line)
            return self._file

    def read(self, epoch: int, output: str) -> Iterator[Batch]:
        """The batches of a sealed epoch for one output."""
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if isinstance(entry, int):
                    if entry != epoch:
                        raise ValueError(f"the spool holds epoch {entry}, not {epoch}")
                    return
                name, source, ordinals, records = entry
                if name == output:
                    yield Batch([decode_record(one) for one in records], source, ordinals)

    def clear(self) -> None:
        """Every output has the epoch."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file. What is not sealed is never read."""
        if self._file is not None:
            self._file.close()
            self._file = None
