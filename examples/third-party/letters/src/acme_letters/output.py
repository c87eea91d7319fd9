"""The output `letters`."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from penstock import Batch, Failure, Output, component, option


@component
class LettersOutput(Output):
    """Write each record to a file that is named by its key."""

    delivery = "keyed"

    path: Path = option(help="Folder to write to.", example="letters")
    key: str = option(help="Field that names the file.", default="id")

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        failures = []
        self.path.mkdir(parents=True, exist_ok=True)
        for ordinal, record in zip(batch.ordinals, batch.records, strict=True):
            try:
                self.put(str(record[self.key]).encode().hex(), json.dumps(record))
            except (KeyError, TypeError, ValueError) as error:
                failures.append(Failure(record, ordinal, error))
        return failures

    def put(self, name: str, text: str) -> None:
        part: Any = self.path / f"{name}.part"
        with part.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path / f"{name}.json")

    def flush(self) -> None:
        if self.path.exists():
            folder = os.open(self.path, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
