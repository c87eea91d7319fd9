"""Inputs and outputs of lists and files, which do what they are told: fail, wait, refuse."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock import Batch, Context, Failure, Output, component, option
from penstock.store import decode_record, encode_record
from penstock.testing import FakeClock, Idle, ListInput, ListOutput, Raise, run_stage

__all__ = [
    "FakeClock",
    "Idle",
    "LinesOutput",
    "ListInput",
    "ListOutput",
    "Raise",
    "lines_of",
    "run_stage",
]


@component
class LinesOutput(Output):
    """Keeps every record in a file, so that what was written can be seen after the process died.

    Rewindable: it is cut back to its mark.
    """

    delivery = "rewindable"

    path: Path = option(help="File to write.")

    def open(self, context: Context) -> None:
        super().open(context)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)

    def resume(self, mark: Any, epoch: int) -> None:
        os.ftruncate(self._file, mark or 0)
        os.lseek(self._file, 0, os.SEEK_END)

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        text = "".join(f"{encode_record(record)}\n" for record in batch.records)
        os.write(self._file, text.encode())
        return None

    def flush(self) -> None:
        os.fsync(self._file)

    def prepare(self, epoch: int) -> Any:
        self.flush()
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def close(self) -> None:
        file = self.__dict__.pop("_file", None)
        if file is not None:
            os.close(file)


def lines_of(path: Path) -> Iterator[Any]:
    """The records in a file of `LinesOutput`."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield decode_record(line)
