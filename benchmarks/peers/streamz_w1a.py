"""W1a in streamz: a node per declared step."""

import csv
import sys

from orjson import OPT_APPEND_NEWLINE, dumps
from streamz import Stream


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


def main(source, target):
    with open(source, newline="", encoding="utf-8") as file, open(target, "wb") as out:
        root = Stream()
        kept = root.map(rename).map(cast).filter(lambda record: record["qty"] >= 50)
        kept.map(add_total).sink(lambda record: out.write(dumps(record, option=OPT_APPEND_NEWLINE)))
        for record in csv.DictReader(file):
            root.emit(record)


main(*sys.argv[1:])
