"""The input `tides`."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from penstock import Batch, Context, Failure, Input, component, option


@component
class TidesInput(Input):
    """Read a file of heights, one to a line; goes on from a byte offset."""

    path: Path = option(help="File to read.", example="tides.txt")
    batch_size: int = option(default=500, help="Lines in a batch.")

    def open(self, context: Context) -> None:
        super().open(context)
        self.file = self.path.open("rb")

    def close(self) -> None:
        file = self.__dict__.pop("file", None)
        if file is not None:
            file.close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done, offset = positions.get(self.context.name, [0, 0])
        self.file.seek(offset)
        while lines := list(islice(iter(self.file.readline, b""), self.batch_size)):
            records, ordinals, failures = [], [], []
            for ordinal, line in enumerate(lines, done + 1):
                try:
                    records.append({"metres": float(line)})
                    ordinals.append(ordinal)
                except ValueError as error:
                    failures.append(Failure(line.decode(errors="replace"), ordinal, error))
            done += len(lines)
            yield Batch(records, "", ordinals, [done, self.file.tell()], failures)
