"""W2 as a chain of generators in which each stage counts, times and isolates its failures.

What one gets by giving every stage the duties of a pipeline the obvious way, record by record.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any


class Stage:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self.records_in = 0
        self.records_out = 0
        self.seconds = 0.0
        self.failed: list[tuple[Any, Exception]] = []

    def run(self, records: Iterable[Any]) -> Iterator[Any]:
        clock = time.perf_counter
        function = self.function
        records_in = records_out = 0
        seconds = 0.0
        try:
            for record in records:
                records_in += 1
                started = clock()
                try:
                    result = function(record)
                except Exception as error:
                    self.failed.append((record, error))
                    continue
                seconds += clock() - started
                if result is not None:
                    records_out += 1
                    yield result
        finally:
            self.records_in, self.records_out, self.seconds = records_in, records_out, seconds


def pass_on(record: Any) -> Any:
    return record


def main(count: int, stages: int) -> None:
    records = [{"n": n} for n in range(count)]
    chain: Iterable[Any] = iter(records)
    for _ in range(stages):
        chain = Stage(pass_on).run(chain)
    done = 0
    started = time.perf_counter()
    for _record in chain:
        done += 1
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": done}))


main(*map(int, sys.argv[1:]))
