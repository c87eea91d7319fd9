"""The rules that `penstock certify` holds this package to, on the double of MongoDB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from penstock import Input
from penstock_input_mongodb.input import MongoInput
from penstock_testkit import InputSuite


class TestDouble(InputSuite):
    @pytest.fixture
    def source(self, mongodb_server: Any) -> Iterator[Any]:
        with mongodb_server.database() as name, mongodb_server.client() as client:
            numbers = itertools.count(1)

            def source(count: int) -> tuple[Input, list[Any]]:
                collection = f"c{next(numbers)}"
                documents = [{"_id": n, "name": f"name {n}"} for n in range(1, count + 1)]
                client[name].create_collection(collection)
                if documents:
                    client[name][collection].insert_many(documents)
                uri = mongodb_server.url()
                return MongoInput(uri=uri, database=name, collection=collection), documents

            yield source
