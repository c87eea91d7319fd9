"""A durable copy of what several transactional outputs are about to commit.

When a run dies between the first and the last of their commits, those that are behind get exactly
these records. Computing them again could give others: with a clock, a look-up, another batch size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, Any
from urllib.parse import quote

from .batch import Batch, Failure
from .errors import RunError
from .store import decode_record, encode_record

__all__ = ["Spool", "kept"]

_WHY = "cannot be kept until several transactional outputs have committed"


class Spool:
    """One epoch's batches by output, in `folder`; written while the epoch runs, sealed before it is
    committed, cleared when every output has it. Outputs on several threads may write.

    Each generation of the pipeline's lease has a file of its own: a run that was overtaken may
    still be writing when the next one reads what was sealed before."""

    def __init__(self, folder: Path, pipeline: str, generation: int) -> None:
        self.folder = folder
        self._stem = quote(pipeline, safe=" ")  # a folder may serve several
        self.generation = generation
        self.path = folder / f"{self._stem}.{generation}.epoch"
        self._file: IO[str] | None = None
        self._lock = Lock()

    def write(self, output: str, batch: Batch, failures: Sequence[Failure] = ()) -> None:
        """Keep what `output` has taken of a batch: the records that are not among `failures`."""
        pairs = list(zip(batch.ordinals, batch.records, strict=True))
        for failure in failures:
            same = [pair for pair in pairs if pair[0] == failure.ordinal]
            # Several records may have come of one; an output names the one it refuses.
            pairs.remove(next((pair for pair in same if pair[1] == failure.record), same[0]))
        records = [kept(record, _WHY) for _, record in pairs]
        self._add([output, batch.source, [ordinal for ordinal, _ in pairs], records])

    def seal(self, epoch: tuple[str, int] | None) -> None:
        """Make an epoch's batches durable, under its run and number; only a sealed spool is ever
        read."""
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

    def holds(self, epoch: tuple[str, int] | None) -> bool:
        """Whether this epoch is here, and was sealed."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.readlines()[-1:] == [json.dumps(epoch) + "\n"]
        except FileNotFoundError:
            return False

    def read(self, output: str) -> Iterator[Batch]:
        """The batches of a sealed epoch for one output; see `holds`."""
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                entry = json.loads(line)
                if len(entry) == 2:
                    return
                name, source, ordinals, records = entry
                if name == output:
                    yield Batch([decode_record(one) for one in records], source, ordinals)

    def clear(self) -> None:
        """Every output has the epoch, so those before it are of no use either."""
        self.close()
        self.path.unlink(missing_ok=True)
        for path in self.folder.glob(f"{self._stem}.*.epoch"):
            number = path.name[len(self._stem) + 1 : -len(".epoch")]
            if number.isdigit() and int(number) < self.generation:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file. What is not sealed is never read."""
        if self._file is not None:
            self._file.close()
            self._file = None


def kept(record: Any, why: str) -> str:
    """A record as text from which it comes back as it was; `why` ends the sentence if it cannot."""
    text = encode_record(record)
    if '"$repr"' in text:
        lost: list[str] = []
        json.loads(
            text, object_hook=lambda one: lost.extend(one.values()) if "$repr" in one else one
        )
        if lost:
            raise RunError(
                f"{lost[0]} {why}",
                hint="convert it to text or a number before that",
            )
    return text
