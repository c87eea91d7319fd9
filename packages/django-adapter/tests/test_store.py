"""The store on the ORM keeps to the rules for stores, on SQLite and PostgreSQL."""

from __future__ import annotations

import pytest

from penstock import Checkpoint
from penstock_django import DjangoStore
from penstock_testkit import StoreSuite


class TestDjangoStore(StoreSuite):
    @pytest.fixture
    def store(self, place):
        store = DjangoStore()
        store.open()
        yield store
        store.close()

    @pytest.fixture
    def reopened(self):
        def reopened(store):
            store.close()
            again = DjangoStore()
            again.open()
            return again

        return reopened


def test_old_checkpoints_are_forgotten(db):
    store = DjangoStore()
    generation = store.lease("p", "me", 1.0, 2.0, lambda _: False)
    for epoch in range(1, 15):
        store.save(Checkpoint("p", "r", epoch, generation))
    assert [one.epoch for one in store.history("p")] == list(range(14, 4, -1))
    store.close()
