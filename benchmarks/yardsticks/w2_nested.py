"""W2 by hand: `write(f(f(f(record))))`. No counts per stage, no timing, no isolation."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any


def pass_on(record: Any) -> Any:
    return record


def nested(stages: int) -> Callable[[Any], Any]:
    """`lambda record: f(f(record))`, as deep as there are stages."""
    calls = f"{'f(' * stages}record{')' * stages}"
    function: Callable[[Any], Any] = eval(f"lambda record: {calls}", {"f": pass_on})
    return function


def main(count: int, stages: int) -> None:
    records = [{"n": n} for n in range(count)]
    function = nested(stages)
    done = 0

    def write(record: Any) -> None:
        nonlocal done
        done += 1

    started = time.perf_counter()
    for record in records:
        write(function(record))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": done}))


main(*map(int, sys.argv[1:]))
