"""W1a in Bytewax: an operator per declared step. `tuned`: with a batch sink."""

import sys
from pathlib import Path

import bytewax.operators as op
import orjson
from bytewax.connectors.files import CSVSource, FileSink
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main
from bytewax_sink import BatchSink


def rename(record):
    record["order_id"] = record.pop("id")
    record["created_at"] = record.pop("ts")
    record["customer"] = record.pop("user_name")
    return record


def cast(record):
    record["qty"] = int(record["qty"])
    record["amount"] = float(record["amount"])
    return record


def add_total(record):
    record["total"] = record["amount"] * record["qty"]
    return record


def line(record):
    return "all", orjson.dumps(record).decode()


def main(source, target, tuned=""):
    flow = Dataflow("w1a")
    stream = op.input("rows", flow, CSVSource(Path(source)))
    stream = op.map("rename", stream, rename)
    stream = op.map("cast", stream, cast)
    stream = op.filter("keep", stream, lambda record: record["qty"] >= 50)
    stream = op.map("total", stream, add_total)
    if tuned:
        op.output("out", stream, BatchSink(target))
    else:
        stream = op.map("line", stream, line)
        op.output("out", stream, FileSink(Path(target)))
    run_main(flow)


main(*sys.argv[1:])
