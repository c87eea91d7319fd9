"""The tuned output of the Bytewax scripts: it writes a batch at once, where FileSink goes line
by line and waits for the disk after each batch."""

import orjson
from bytewax.outputs import DynamicSink, StatelessSinkPartition


class BatchPartition(StatelessSinkPartition):
    def __init__(self, path):
        self.file = open(path, "wb")  # noqa: SIM115

    def write_batch(self, items):
        self.file.write(b"\n".join(map(orjson.dumps, items)))
        self.file.write(b"\n")

    def close(self):
        self.file.close()


class BatchSink(DynamicSink):
    def __init__(self, path):
        self.path = path

    def build(self, step_id, worker_index, worker_count):
        return BatchPartition(self.path)
