"""W1a and W1b (`function`) in the core of Quix Streams: its compiled stream, without Kafka."""

import csv
import sys

from orjson import OPT_APPEND_NEWLINE, dumps
from quixstreams.core.stream import Stream


def rename(record):
    record["order_id"] = record.pop("id")
    record["created_at"] = record.pop("ts")
    record["customer"] = record.pop("user_name")


def cast(record):
    record["qty"] = int(record["qty"])
    record["amount"] = float(record["amount"])


def add_total(record):
    record["total"] = record["amount"] * record["qty"]


def declared():
    return (
        Stream()
        .add_update(rename)
        .add_update(cast)
        .add_filter(lambda record: record["qty"] >= 50)
        .add_update(add_total)
    )


def by_function():
    from w1b_function import shape

    return Stream().add_apply(shape).add_filter(lambda record: record is not None)


def main(source, target, function=""):
    with open(source, newline="", encoding="utf-8") as file, open(target, "wb") as out:

        def write(record, key, timestamp, headers):
            out.write(dumps(record, option=OPT_APPEND_NEWLINE))

        stream = by_function() if function else declared()
        execute = stream.compose_single(sink=write)
        for record in csv.DictReader(file):
            execute(record, None, 0, None)


main(*sys.argv[1:])
