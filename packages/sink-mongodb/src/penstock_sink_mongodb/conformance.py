"""The rules that `penstock certify` holds this package to, on the double of MongoDB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from penstock_sink_mongodb.output import MongoOutput
from penstock_testkit import OutputSuite


class _OnMongoDB(OutputSuite):
    ordered = False

    @pytest.fixture
    def server(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def destination(self, server: Any) -> Iterator[Any]:
        with server.database() as database, server.client() as client:
            numbers = itertools.count(1)

            def destination() -> tuple[Any, Any]:
                name = f"{database}_{next(numbers)}"  # each has checkpoints of its own

                def there() -> list[Any]:
                    return list(client[name].c.find({}, {"_id": 0}))

                return MongoOutput(uri=server.url(), database=name, collection="c"), there

            yield destination
            for number in range(1, next(numbers)):
                client.drop_database(f"{database}_{number}")


class TestReplicaSet(_OnMongoDB):
    @pytest.fixture
    def server(self, mongodb_server: Any) -> Any:
        return mongodb_server


class TestStandalone(_OnMongoDB):
    @pytest.fixture
    def server(self, mongodb_standalone: Any) -> Any:
        return mongodb_standalone
