"""W2 in the core of Quix Streams: its compiled stream, without Kafka."""

import json
import sys
import time

from quixstreams.core.stream import Stream


def pass_on(record):
    return record


def main(count, stages):
    records = [{"n": n} for n in range(count)]
    done = 0

    def write(record, key, timestamp, headers):
        nonlocal done
        done += 1

    stream = Stream()
    for _ in range(stages):
        stream = stream.add_apply(pass_on)
    execute = stream.compose_single(sink=write)
    started = time.perf_counter()
    for record in records:
        execute(record, None, 0, None)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": done}))


main(*map(int, sys.argv[1:]))
