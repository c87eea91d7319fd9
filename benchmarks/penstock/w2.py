"""W2 in Penstock, from Python: a list in memory, pass-through transformers, a counter.

Everything at its defaults: the inline engine, counts, timing, isolation, conservation and report.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

from penstock import Batch, Output, RecordInput, Transformer, component, run


class ListInput(RecordInput):
    """Read the items of a list, which are data and not an option: nothing looks at each."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def records(self, skip: int) -> Iterable[Any]:
        return islice(self.items, skip, None)


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
    # Penstock imports when it is first used, the others when they are imported.
    run(ListInput(records[:10]), PassOn(), CountOutput())
    counter = CountOutput()
    started = time.perf_counter()
    run(ListInput(records), *(PassOn() for _ in range(stages)), counter)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": counter.count}))


main(*map(int, sys.argv[1:]))
