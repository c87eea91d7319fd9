"""The output that prints: what a pipeline without an output ends in."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .batch import Batch, Failure, each
from .components import Context, Output
from .errors import ConnectError, RunError
from .options import component

__all__ = ["PrintOutput"]


@component
class PrintOutput(Output):
    """Print each record as one line of JSON on standard output; other values by their `str`."""

    def open(self, context: Context) -> None:
        super().open(context)
        if _closed():
            raise ConnectError(
                "is closed", where="standard output", hint="open it, or give the pipeline an output"
            )

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        lines = each(_line, batch)
        text = "\n".join(lines.records)
        if text:
            with _sentences():
                sys.stdout.write(text + "\n")
        return lines.failures

    def flush(self) -> None:
        with _sentences():
            sys.stdout.flush()


def _closed() -> bool:
    """Whether there was no standard output when Python began; the command line then puts the null
    device in its place, under its number."""
    if sys.stdout is None:
        return True
    return sys.__stdout__ is None and isinstance(getattr(sys.stdout, "name", None), int)


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise RunError(
            "the disk is full", where="standard output", hint="make room and run it again"
        ) from error


def _line(record: Any) -> str:
    if isinstance(record, str):
        return record
    return json.dumps(record, ensure_ascii=False, default=str)
