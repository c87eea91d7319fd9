"""W3 in Penstock, from Python: lists in memory, `join`, `window`, a list.

Everything at its defaults: keys checked, misses counted, positions, report, conservation.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from w3_streams import WINDOW, streams

from penstock import BATCH_SIZE, Batch, Input, Output, component, run
from penstock_streams import JoinInput, On, Window


class ListInput(Input):
    """Hand out slices of a list, which is data and not an option: nothing looks at each item."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done: int = positions.get(self.context.name, 0)
        while part := self.items[done : done + BATCH_SIZE]:
            first, done = done + 1, done + len(part)
            yield Batch(part, "", range(first, done + 1), done)


@component
class KeepOutput(Output):
    """Keep records."""

    def open(self, context: Any) -> None:
        super().open(context)
        self.kept: list[Any] = []

    def write(self, batch: Batch) -> None:
        self.kept.extend(batch.records)


def pipe(left: list[Any], right: list[Any]) -> tuple[JoinInput, Window, KeepOutput]:
    join = JoinInput(
        inputs={"readings": ListInput(left), "limits": ListInput(right)},
        on={"limits": On(left="t", right="t")},
    )
    window = Window(
        kind="tumbling",
        time="t",
        size=WINDOW,
        aggregate={"n": "count()", "total": "sum(value)", "most": "max(limit)"},
    )
    return join, window, KeepOutput()


def main(rows: int) -> None:
    left, right = streams(rows)
    # Penstock imports when it is first used, the yardstick when it is started.
    run(*pipe(left[:10], right[:10]))
    *stages, out = pipe(left, right)
    started = time.perf_counter()
    run(*stages, out)
    seconds = time.perf_counter() - started
    with open("out.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in out.kept)
    print(json.dumps({"seconds": seconds, "records": rows}))


main(int(sys.argv[1]))
