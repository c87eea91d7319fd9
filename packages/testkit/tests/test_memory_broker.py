"""The broker in memory keeps the rules for brokers."""

from __future__ import annotations

import pytest

from penstock import Broker
from penstock_testkit import BrokerSuite, ListInput, MemoryBroker


class TestMemory(BrokerSuite):
    @pytest.fixture
    def broker(self) -> Broker:
        return MemoryBroker()


def test_a_busy_broker_is_tried_again():
    import penstock

    broker = MemoryBroker(fails=2)
    report = penstock.run(ListInput(values=[1, 2, 3]), broker.output("numbers"))
    assert report.status == "ok"
    assert broker.streams["numbers"] == [1, 2, 3]


def test_a_broker_that_stays_busy_ends_the_run():
    import penstock

    broker = MemoryBroker(fails=1000)
    with pytest.raises(penstock.PenstockError, match="the broker is busy"):
        penstock.run(ListInput(values=[1]), broker.output("numbers"))
