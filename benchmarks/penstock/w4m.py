"""W4m by Penstock; the same arguments as the yardstick."""

import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pymongo

import penstock
from penstock import Batch, Input, MemoryStore
from penstock.build import pipeline_of
from penstock_sink_mongodb import MongoOutput

EPOCH, SIZE = 10_000, 1000


class Records(Input):
    """Hand out slices of a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done: int = positions.get(self.context.name, 0)
        while part := self.items[done : done + SIZE]:
            first, done = done + 1, done + len(part)
            yield Batch(part, "", range(first, done + 1), done)


def main(uri: str, count: int, transactions: bool) -> None:
    records = [{"n": n, "name": f"name {n}", "price": n / 4, "note": None} for n in range(count)]
    base = f"w4m_{uuid.uuid4().hex[:12]}"
    kind = "on" if transactions else "off"
    output = MongoOutput(uri=uri, database=base, collection="c", transactions=kind)
    pipeline = pipeline_of([[Records(records), output]], penstock.Plugins(discover=False))
    pipeline.spec.epoch = {"records": EPOCH}
    started = time.perf_counter()
    pipeline.run(store=MemoryStore())
    seconds = time.perf_counter() - started
    client: pymongo.MongoClient = pymongo.MongoClient(uri)
    there = client[base].c.count_documents({})
    client.drop_database(base)
    client.close()
    print(json.dumps({"seconds": seconds, "records": there}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "transactions")
