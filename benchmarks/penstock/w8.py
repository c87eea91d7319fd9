"""W8 by Penstock; the same arguments as the yardstick."""

import json
import sys
import time
import uuid
from pathlib import Path

import penstock
from penstock import MemoryStore
from penstock_broker_kafka.library import load

EPOCH = 10_000
PIPELINE = """
brokers:
  bus: {{use: kafka, bootstrap: "{url}"}}
inputs:
  read: {{use: stream, broker: bus, stream: {topic}, group: {own}, until: end, codec: bytes}}
outputs:
  write: {{use: stream, broker: bus, stream: {own}, codec: bytes, transactions: {transactions}}}
pipes:
  w8: [read, write]
epoch: {{records: {epoch}}}
"""


def main(url: str, topic: str, count: int, transactions: bool) -> None:
    own = f"w8-{uuid.uuid4().hex[:12]}"
    admin = load().KafkaAdminClient(bootstrap_servers=url)
    admin.create_topics({own: {"num_partitions": 1}})
    admin.wait_for_topics([own])
    admin.close()
    path = Path(f"{own}.yaml")  # a name of its own, or it would go on where the last one was
    path.write_text(
        PIPELINE.format(
            url=url,
            topic=topic,
            own=own,
            transactions=str(transactions).lower(),
            epoch=EPOCH if transactions else count,
        )
    )
    pipeline = penstock.load_pipeline(path)
    started = time.perf_counter()
    report = pipeline.run(store=MemoryStore())
    seconds = time.perf_counter() - started
    for warning in report.warnings:
        print(warning, file=sys.stderr)
    print(json.dumps({"seconds": seconds, "records": report.balance.written}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "transactions")
