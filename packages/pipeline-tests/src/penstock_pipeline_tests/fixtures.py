"""The components that stand in for others: an input of given records, an output that keeps them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

from penstock import Batch, Failure, Output, RecordInput, component, option
from penstock.store import decode_record

__all__ = ["Captured", "Fixture", "Tape", "typed"]


def typed(value: Any) -> Any:
    """A value of a test file with its tags resolved: {"$decimal": "1.50"} is a Decimal."""
    if isinstance(value, dict):
        if len(value) == 1 and str(next(iter(value))).startswith("$"):
            return decode_record(json.dumps(value))
        return {key: typed(one) for key, one in value.items()}
    return [typed(one) for one in value] if isinstance(value, list) else value


@component
class Fixture(RecordInput):
    """Reads the records of a test."""

    values: list[Any] = option(help="The records.", default=[])

    def records(self, skip: int) -> Iterator[Any]:
        for value in islice(self.values, skip, None):
            yield typed(copy.deepcopy(value))  # a stage may change it in place


class Tape:
    """What an output has written, for as long as its test lives; a started-again run goes on."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def add(self, records: Sequence[Any]) -> None:
        self.records.extend(copy.deepcopy(list(records)))

    def __repr__(self) -> str:
        return "<tape>"  # not what is on it: the configuration of a run must not change with it


@component
class Captured(Output):
    """Keeps what is written on a tape, and takes back what was not committed."""

    delivery: ClassVar[str] = "rewindable"

    tape: Any = option(help="Where the records go.")

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.tape.add(batch.records)
        return None

    def prepare(self, epoch: int) -> int:
        return len(self.tape.records)

    def resume(self, mark: Any, epoch: int) -> None:
        del self.tape.records[mark or 0 :]

    def finish(self) -> None:
        """There is nothing to move into place."""
