"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import pytest

from penstock import Broker
from penstock_broker_file.broker import FileBroker
from penstock_testkit import BrokerInputSuite, BrokerOutputSuite, BrokerSuite


class _OnePartition:
    @pytest.fixture
    def broker(self, tmp_path_factory: pytest.TempPathFactory) -> Broker:
        return FileBroker(path=tmp_path_factory.mktemp("streams"))


class _ThreePartitions:
    ordered = False

    @pytest.fixture
    def broker(self, tmp_path_factory: pytest.TempPathFactory) -> Broker:
        return FileBroker(
            path=tmp_path_factory.mktemp("streams"), partitions=3, segment_size=20_000
        )


class TestStreams(_OnePartition, BrokerSuite): ...


class TestPartitions(_ThreePartitions, BrokerSuite): ...


class TestInput(_OnePartition, BrokerInputSuite): ...


class TestInputOfPartitions(_ThreePartitions, BrokerInputSuite): ...


class TestOutput(_OnePartition, BrokerOutputSuite): ...


class TestOutputToPartitions(_ThreePartitions, BrokerOutputSuite): ...
