"""W3 by hand: a merge of two sorted streams and sums per window. No checks, no counts."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from w3_streams import WINDOW, streams

BY_TIME = itemgetter("t")


def merge(left: Iterable[Any], right: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Every pair with the same key, whichever side has it several times."""
    others = groupby(right, BY_TIME)
    other, matches = next(others, (None, iter(())))
    for key, records in groupby(left, BY_TIME):
        while other is not None and other < key:
            other, matches = next(others, (None, iter(())))
        if other is None:
            return
        if other == key:
            found = list(matches)
            for record in records:
                for match in found:
                    yield {**record, **match}


def sums(rows: Iterable[Any]) -> Iterator[dict[str, int]]:
    start = None
    count = total = most = 0
    for row in rows:
        begin = row["t"] - row["t"] % WINDOW
        if begin != start:
            if start is not None:
                yield result(start, count, total, most)
            start, count, total, most = begin, 0, 0, 0
        count += 1
        total += row["value"]
        if row["limit"] > most:
            most = row["limit"]
    if start is not None:
        yield result(start, count, total, most)


def result(start: int, count: int, total: int, most: int) -> dict[str, int]:
    return {"start": start, "end": start + WINDOW, "n": count, "total": total, "most": most}


def main(rows: int) -> None:
    left, right = streams(rows)
    started = time.perf_counter()
    results = list(sums(merge(left, right)))
    seconds = time.perf_counter() - started
    with open("out.jsonl", "w", encoding="utf-8") as out:
        out.writelines(json.dumps(one) + "\n" for one in results)
    print(json.dumps({"seconds": seconds, "records": rows}))


main(int(sys.argv[1]))
