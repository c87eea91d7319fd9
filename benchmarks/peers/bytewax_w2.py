"""W2 in Bytewax, from its own in-memory source. `tuned`: from slices of the list, 1 000 each."""

import json
import sys
import time

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource, run_main

BATCH = 1_000


class Slices(DynamicSource, StatelessSourcePartition):
    def __init__(self, records):
        self.records = records
        self.at = 0

    def build(self, step_id, worker_index, worker_count):
        return self

    def next_batch(self):
        batch = self.records[self.at : self.at + BATCH]
        if not batch:
            raise StopIteration
        self.at += BATCH
        return batch


class Counter(DynamicSink, StatelessSinkPartition):
    count = 0

    def build(self, step_id, worker_index, worker_count):
        return self

    def write_batch(self, items):
        self.count += len(items)


def pass_on(record):
    return record


def main(count, stages, tuned=""):
    records = [{"n": n} for n in range(int(count))]
    counter = Counter()
    flow = Dataflow("w2")
    source = Slices(records) if tuned else TestingSource(records, batch_size=BATCH)
    stream = op.input("in", flow, source)
    for stage in range(int(stages)):
        stream = op.map(f"stage_{stage}", stream, pass_on)
    op.output("out", stream, counter)
    started = time.perf_counter()
    run_main(flow)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "records": counter.count}))


main(*sys.argv[1:])
