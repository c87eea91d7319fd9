"""Collections for these tests, on every kind of server there is."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from penstock import Batch, Checkpoint, Context
from penstock_sink_mongodb import MongoOutput

NUMBERS = itertools.count(1)
JAVA = os.environ.get("PENSTOCK_TEST_MONGO_JAVA", "")
"""The address of a mongo-java-server, where `test_java_server` runs these tests again."""


class Place:
    """A database for one test."""

    def __init__(self, uri: str, name: str, client: Any, server: Any = None) -> None:
        self.uri, self.name, self.client, self.server = uri, name, client, server
        self.base = client[name]

    def output(self, **options: Any) -> MongoOutput:
        given = {"collection": "c", "server_timeout": 10.0, **options}
        return MongoOutput(uri=self.uri, database=self.name, **given)

    def opened(self, name: str = "out", **options: Any) -> MongoOutput:
        output = self.output(**options)
        try:
            output.open(Context(name, pipeline="p", run_id="r"))
        except BaseException:
            output.close()
            raise
        return output

    def write(self, *batches: Batch, **options: Any) -> list[tuple[Any, str]]:
        """Write as one epoch and commit it; what was refused, with the reasons."""
        output = self.opened(**options)
        try:
            return written(output, *batches)
        finally:
            output.close()

    def documents(self, collection: str = "c") -> list[dict[str, Any]]:
        return list(self.base[collection].find().sort("_id"))


def written(output: MongoOutput, *batches: Batch) -> list[tuple[Any, str]]:
    transactional = output.delivery == "transactional"
    last = output.checkpoint("p") if transactional else None
    epoch = last.epoch + 1 if last is not None else 1
    output.resume(None, 0)
    output.context.epoch = epoch
    failures = [one for batch in batches for one in output.write(batch) or ()]
    output.prepare(epoch)
    if transactional:
        output.commit(Checkpoint("p", "r", epoch))
    output.finish()
    return [(one.record, str(one.error)) for one in failures]


def place_on(server: Any) -> Iterator[Place]:
    with server.database() as name, server.client() as client:
        yield Place(server.url(), name, client, server)


@pytest.fixture
def replica_set(mongodb_server: Any) -> Iterator[Place]:
    yield from place_on(mongodb_server)
    if not mongodb_server.outside:
        mongodb_server.heal()


@pytest.fixture
def standalone(mongodb_standalone: Any) -> Iterator[Place]:
    yield from place_on(mongodb_standalone)
    mongodb_standalone.heal()


@pytest.fixture(params=["replica_set", "standalone"] if not JAVA else ["java"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """The test runs on every kind of server."""
    if request.param != "java":
        yield request.getfixturevalue(request.param)
        return
    client: Any = pymongo.MongoClient(JAVA)
    name = f"penstock_test_{next(NUMBERS)}"
    yield Place(JAVA, name, client)
    client.drop_database(name)
    client.close()
