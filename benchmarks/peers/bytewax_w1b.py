"""W1b in Bytewax: the function in `filter_map`. `tuned`: with a batch sink."""

import sys
from pathlib import Path

import bytewax.operators as op
import orjson
from bytewax.connectors.files import CSVSource, FileSink
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main
from bytewax_sink import BatchSink
from w1b_function import shape


def line(record):
    return "all", orjson.dumps(record).decode()


def main(source, target, tuned=""):
    flow = Dataflow("w1b")
    stream = op.input("rows", flow, CSVSource(Path(source)))
    stream = op.filter_map("shape", stream, shape)
    if tuned:
        op.output("out", stream, BatchSink(target))
    else:
        stream = op.map("line", stream, line)
        op.output("out", stream, FileSink(Path(target)))
    run_main(flow)


main(*sys.argv[1:])
