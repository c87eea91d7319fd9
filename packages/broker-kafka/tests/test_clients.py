"""Clients that cannot be made leave nothing behind."""

from __future__ import annotations

import gc
import threading
import warnings

import pytest

from penstock import ConnectError
from penstock_broker_kafka import KafkaBroker
from penstock_broker_kafka.clients import connected
from penstock_testkit.servers import free_port


@pytest.mark.parametrize("kind", ["KafkaAdminClient", "KafkaConsumer", "KafkaProducer"])
def test_of_a_client_that_could_not_be_made_nothing_is_left(kind):
    """The client library alone leaves its sockets to the garbage collector, and a thread."""
    nowhere = KafkaBroker(bootstrap=f"127.0.0.1:{free_port()}", connect_timeout=0.3)
    threads = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with pytest.raises(ConnectError):
            connected(nowhere, kind)
        gc.collect()
    assert [str(one.message) for one in found if one.category is ResourceWarning] == []
    assert set(threading.enumerate()) <= threads
