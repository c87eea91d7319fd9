"""The output that prints: what a pipeline without an output ends in."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from .batch import Batch, Failure, each
from .components import Output
from .options import component

__all__ = ["PrintOutput"]


@component
class PrintOutput(Output):
    """Print each record as one line of JSON on standard output; other values by their `str`."""

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        lines = each(_line, batch)
        text = "\n".join(lines.records)
        if text:
            sys.stdout.write(text + "\n")
        return lines.failures

    def flush(self) -> None:
        sys.stdout.flush()


def _line(record: Any) -> str:
    if isinstance(record, str):
        return record
    return json.dumps(record, ensure_ascii=False, default=str)
