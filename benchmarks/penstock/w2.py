"""W2 in Penstock, from Python: a list in memory, pass-through transformers, a counter.

Everything at its defaults: the inline engine, counts, timing, isolation, conservation and report.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

from penstock import Batch, Output, RecordInput, Transformer, component, option, run


@component
class ListInput(RecordInput):
    """Read the items of a list."""

    items: list[Any] = option(help="The records.")

    def records(self, skip: int) -> Iterable[Any]:
        return self.items[skip:] if skip else self.items


@component
class PassOn(Transformer):
    """Do nothing."""

    def transform(self, record: Any) -> Any:
        return record


@component
class CountOutput(Output):
    """Count records and forget them."""

    def open(self, context: Any) -> None:
        super().open(context)
        self.count = 0

    def write(self, batch: Batch) -> None:
        self.count += len(batch.records)


def main(count: int, stages: int) -> None:
    records = [{"n": n} for n in range(count)]
    counter = CountOutput()
    started = time.perf_counter()
    run(ListInput(items=records), *(PassOn() for _ in range(stages)), counter)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": counter.count}))


main(*map(int, sys.argv[1:]))
