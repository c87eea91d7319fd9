"""W4m by hand: pymongo's bulk_write alone, a thousand at a time; on a replica set in transactions
of ten thousand. What is there already is replaced, as after a crash.

Arguments: uri, number of documents, "plain" or "transactions".
"""

import contextlib
import json
import sys
import time
import uuid

import pymongo
from pymongo import ReplaceOne

EPOCH, SIZE = 10_000, 1000


def main(uri: str, count: int, transactions: bool) -> None:
    records = [{"n": n, "name": f"name {n}", "price": n / 4, "note": None} for n in range(count)]
    client: pymongo.MongoClient = pymongo.MongoClient(uri, w="majority", journal=True)
    base = client[f"w4m_{uuid.uuid4().hex[:12]}"]
    base.create_collection("c")
    started = time.perf_counter()
    with client.start_session() as session:
        for first in range(0, count, EPOCH):
            within = session.start_transaction() if transactions else contextlib.nullcontext()
            with within:
                for begin in range(first, min(first + EPOCH, count), SIZE):
                    part = records[begin : begin + SIZE]
                    names = [f"w4m/out/rows:{begin + at}" for at in range(len(part))]
                    writes = [
                        ReplaceOne({"_id": name}, {"_id": name, **one}, upsert=True)
                        for name, one in zip(names, part)
                    ]
                    given = session if transactions else None
                    base.c.bulk_write(writes, ordered=transactions, session=given)
    seconds = time.perf_counter() - started
    there = base.c.count_documents({})
    client.drop_database(base.name)
    client.close()
    print(json.dumps({"seconds": seconds, "records": there}))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "transactions")
