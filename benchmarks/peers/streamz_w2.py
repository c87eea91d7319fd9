"""W2 in streamz."""

import json
import sys
import time

from streamz import Stream


def pass_on(record):
    return record


def main(count, stages):
    records = [{"n": n} for n in range(count)]
    done = 0

    def write(record):
        nonlocal done
        done += 1

    root = stream = Stream()
    for _ in range(stages):
        stream = stream.map(pass_on)
    stream.sink(write)
    started = time.perf_counter()
    for record in records:
        root.emit(record)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": done}))


main(*map(int, sys.argv[1:]))
