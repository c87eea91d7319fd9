"""A database for these tests."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from penstock import Batch, Context
from penstock_input_mongodb import MongoInput

NUMBERS = itertools.count(1)
JAVA = os.environ.get("PENSTOCK_TEST_MONGO_JAVA", "")
"""The address of a mongo-java-server, where `test_java_server` runs these tests again."""


class Place:
    """A database for one test."""

    def __init__(self, uri: str, name: str, client: Any, server: Any = None) -> None:
        self.uri, self.name, self.client, self.server = uri, name, client, server
        self.base = client[name]

    def input(self, **options: Any) -> MongoInput:
        given = {"collection": "c", "server_timeout": 10.0, **options}
        return MongoInput(uri=self.uri, database=self.name, **given)

    def batches(self, position: Any = None, **options: Any) -> list[Batch]:
        return self.read(self.input(**options), position)

    @staticmethod
    def read(one: Any, position: Any = None) -> list[Batch]:
        try:
            one.open(Context("in"))
            positions = {} if position is None else {"in": position}
            return [batch for batch in one.read(positions) if batch is not None]
        finally:
            one.close()

    def records(self, position: Any = None, **options: Any) -> list[dict[str, Any]]:
        found = self.batches(position, **options)
        return [record for batch in found for record in batch.records]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if JAVA:
        client: Any = pymongo.MongoClient(JAVA)
        name = f"penstock_test_{next(NUMBERS)}"
        yield Place(JAVA, name, client)
        client.drop_database(name)
        client.close()
        return
    server = request.getfixturevalue("mongodb_server")
    with server.database() as name, server.client() as client:
        yield Place(server.url(), name, client, server)
    if not server.outside:
        server.heal()
