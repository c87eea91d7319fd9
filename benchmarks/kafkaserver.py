"""The Kafka of W8: the one of `PENSTOCK_TEST_KAFKA`, or one of our own; and what is in it."""

from __future__ import annotations

import atexit
from functools import lru_cache

__all__ = ["MESSAGE", "filled"]

MESSAGE = 200
_PARTITIONS = 1


@lru_cache(maxsize=1)
def _server() -> str:
    """Where it is; raises RuntimeError with the reason when there can be none."""
    try:
        from _pytest.outcomes import OutcomeException

        from penstock_testkit.servers import Kafka
    except ImportError as error:
        raise RuntimeError(f"needs penstock-testkit: {error}") from None
    try:
        server = Kafka()
        server.make()
        server.start()
    except OutcomeException as error:
        raise RuntimeError(str(error)) from None
    atexit.register(server.remove)
    return server.url()


def filled(count: int) -> tuple[str, str]:
    """The server and a topic with so many messages."""
    url, topic = _server(), f"w8-{count}"
    try:
        from penstock_broker_kafka.library import load
    except ImportError as error:
        raise RuntimeError(f"needs penstock-broker-kafka: {error}") from None
    kafka = load()
    admin = kafka.KafkaAdminClient(bootstrap_servers=url)
    if topic not in admin.list_topics():
        admin.create_topics({topic: {"num_partitions": _PARTITIONS}})
        admin.wait_for_topics([topic])
        producer = kafka.KafkaProducer(bootstrap_servers=url, linger_ms=5, batch_size=1 << 16)
        for number in range(count):
            producer.send(topic, b"%0*d" % (MESSAGE, number))
        producer.flush()
        producer.close()
    admin.close()
    return url, topic
