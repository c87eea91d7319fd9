"""The broker `folders`."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock import Batch, Broker, Context, Failure, Input, Output, component, option


@component
class FoldersBroker(Broker):
    """Streams in a folder: a file for each, a line for each record."""

    path: Path = option(help="Folder of the streams.", example="streams")

    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        return FolderInput(self.path / f"{stream}.jsonl")

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        return FolderOutput(self.path / f"{stream}.jsonl")


class FolderInput(Input):
    """Reads a stream; goes on from a byte offset, and waits at the end."""

    finite = False
    batch_size = 500

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done, offset = next(iter(positions.values()), [0, 0])
        while True:
            records: list[Any] = []
            if self.path.exists():
                with self.path.open("rb") as file:
                    file.seek(offset)
                    for line in file:
                        if len(records) == self.batch_size or not line.endswith(b"\n"):
                            break  # what has no end yet is still being written
                        records.append(json.loads(line))
                        offset += len(line)
            first, done = done + 1, done + len(records)
            yield Batch(records, "", range(first, done + 1), [done, offset]) if records else None


class FolderOutput(Output):
    """Adds lines to a stream; each flush in one write, so that two outputs do not mix theirs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, context: Context) -> None:
        super().open(context)
        self.lines: list[str] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        failures = []
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            try:
                self.lines.append(f"{json.dumps(record)}\n")
            except (TypeError, ValueError) as error:
                failures.append(Failure(record, ordinal, error))
        return failures

    def flush(self) -> None:
        if not self.lines:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, "".join(self.lines).encode())
            os.fsync(file)
        finally:
            os.close(file)
        self.lines = []
