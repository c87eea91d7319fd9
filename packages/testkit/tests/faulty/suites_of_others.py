"""A suite around every faulty store, engine, scheduler, dialect, syntax, command and broker."""

from __future__ import annotations

import json

import faulty_others
import pytest

from penstock import MemoryStore
from penstock_testkit import (
    BrokerSuite,
    CommandSuite,
    DialectSuite,
    EngineSuite,
    SchedulerSuite,
    StoreSuite,
    SyntaxSuite,
    driving,
)

driving.PATIENCE = 1.0  # what does not come will not come


def made(self):
    return self.made()


class _Stores(StoreSuite):
    store = pytest.fixture(made)

    @pytest.fixture
    def reopened(self):
        if self.made is not faulty_others.IsForgotten:
            return None  # these end with their process, and do not say otherwise
        return lambda store: MemoryStore()


class _Engines(EngineSuite):
    engine = pytest.fixture(made)


class _Schedulers(SchedulerSuite):
    scheduler = pytest.fixture(made)


class _Dialects(DialectSuite):
    dialect = pytest.fixture(made)

    @pytest.fixture
    def documents(self):
        return [{"inputs": {"a": {"use": "csv", "path": "a.csv"}}, "pipes": {"main": ["a"]}}]


class _Syntaxes(SyntaxSuite):
    syntax = pytest.fixture(made)

    @pytest.fixture
    def write(self):
        return lambda data: json.dumps(data, indent=1)


class _Commands(CommandSuite):
    command = pytest.fixture(made)

    @pytest.fixture
    def words(self):
        return ["world"]


class _Brokers(BrokerSuite):
    broker = pytest.fixture(made)


for _base, _faulty in (
    (_Stores, faulty_others.STORES),
    (_Engines, faulty_others.ENGINES),
    (_Schedulers, faulty_others.SCHEDULERS),
    (_Dialects, faulty_others.DIALECTS),
    (_Syntaxes, faulty_others.SYNTAXES),
    (_Commands, faulty_others.COMMANDS),
    (_Brokers, faulty_others.BROKERS),
):
    for _made in _faulty:
        _name = f"Test{_base.__name__[1:]}{_made.__name__}"
        vars()[_name] = type(_name, (_base,), {"made": _made})
