"""W8 by hand: kafka-python alone, from one topic to another; at least once, or in transactions of
ten thousand messages with the offsets inside.

Arguments: server, topic, number of messages, "plain" or "transactions".
"""

import json
import sys
import time
import uuid
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka

EPOCH = 10_000


def main(url: str, topic: str, count: int, transactions: bool) -> None:
    own = f"w8-{uuid.uuid4().hex[:12]}"
    admin = kafka.KafkaAdminClient(bootstrap_servers=url)
    admin.create_topics({own: {"num_partitions": 1}})
    admin.wait_for_topics([own])
    admin.close()
    started = time.perf_counter()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=url,
        group_id=own,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_poll_records=512,
        metrics_enabled=False,
    )
    consumer.subscribe([topic])
    more = {"transactional_id": own} if transactions else {}
    producer = kafka.KafkaProducer(
        bootstrap_servers=url, linger_ms=5, batch_size=1 << 16, metrics_enabled=False, **more
    )
    if transactions:
        producer.init_transactions()
    done = since = 0
    errors: list[BaseException] = []
    begun = False
    while done < count:
        for messages in consumer.poll(timeout_ms=200).values():
            if transactions and not begun:
                producer.begin_transaction()
                begun = True
            for message in messages:
                producer.send(own, message.value).add_errback(errors.append)
            done += len(messages)
            since += len(messages)
        if transactions and (since >= EPOCH or done >= count):
            tp = kafka.TopicPartition(topic, 0)
            offset = kafka.OffsetAndMetadata(consumer.position(tp), "", -1)
            producer.send_offsets_to_transaction({tp: offset}, consumer.group_metadata())
            producer.commit_transaction()
            since, begun = 0, False
    producer.flush()
    if not transactions:
        consumer.commit()
    seconds = time.perf_counter() - started
    if errors:
        raise errors[0]
    consumer.close()
    producer.close()
    print(json.dumps({"seconds": seconds, "records": done}))


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "transactions")
