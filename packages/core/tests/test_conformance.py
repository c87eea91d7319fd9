"""What the kernel brings keeps the rules that plugins keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock import MemoryStore, Scheduler, Store
from penstock.dialect import Dialect, Syntax
from penstock.engines.inline import InlineEngine
from penstock.engines.threads import ThreadsEngine
from penstock.native import NativeDialect
from penstock.schedule import Once
from penstock.stores.sqlite import SqliteStore
from penstock.syntaxes.json import JsonSyntax
from penstock.syntaxes.toml import TomlSyntax
from penstock.syntaxes.yaml import YamlSyntax
from penstock_testkit import (
    DialectSuite,
    EngineSuite,
    SchedulerSuite,
    StoreSuite,
    SyntaxSuite,
)


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()


class TestSqliteStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        made = SqliteStore(tmp_path / "state")
        made.open()
        yield made
        made.close()

    @pytest.fixture
    def reopened(self, tmp_path: Path) -> Callable[[Store], Store]:
        def reopened(store: Store) -> Store:
            store.close()
            made = SqliteStore(tmp_path / "state")
            made.open()
            return made

        return reopened


class TestInline(EngineSuite):
    @pytest.fixture
    def engine(self) -> InlineEngine:
        return InlineEngine()


class TestThreads(EngineSuite):
    @pytest.fixture
    def engine(self) -> ThreadsEngine:
        return ThreadsEngine()


class TestThreadsWithLittleRoom(EngineSuite):
    @pytest.fixture
    def engine(self) -> ThreadsEngine:
        return ThreadsEngine(queue_batches=1, queue_bytes=1)


class TestOnce(SchedulerSuite):
    @pytest.fixture
    def scheduler(self) -> Scheduler:
        return Once()


class TestNative(DialectSuite):
    @pytest.fixture
    def dialect(self) -> Dialect:
        return NativeDialect()

    @pytest.fixture
    def documents(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "inputs": {"orders": {"use": "csv", "path": "orders.csv"}},
                "transformers": {"tidy": {"use": "fields", "drop": ["note"]}},
                "outputs": {"clean": {"use": "json", "path": "clean.jsonl"}},
                "pipes": {"main": ["orders", "tidy", "clean"]},
            },
            {"inputs": {"orders": {"use": "csv", "path": "a"}}, "pipes": {"main": ["orders"]}},
        ]


def as_toml(data: Mapping[str, Any], above: str = "") -> str:
    """A table for each mapping, a line for each value."""
    flat = {key: value for key, value in data.items() if not isinstance(value, dict)}
    text = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in flat.items()
    )
    for key, value in data.items():
        if isinstance(value, dict):
            text += f"[{above}{key}]\n{as_toml(value, f'{above}{key}.')}"
    return text


class TestYaml(SyntaxSuite):
    @pytest.fixture
    def syntax(self) -> Syntax:
        return YamlSyntax()

    @pytest.fixture
    def write(self) -> Callable[[Mapping[str, Any]], str]:
        return lambda data: yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


class TestJson(SyntaxSuite):
    @pytest.fixture
    def syntax(self) -> Syntax:
        return JsonSyntax()

    @pytest.fixture
    def write(self) -> Callable[[Mapping[str, Any]], str]:
        return lambda data: json.dumps(data, indent=1)


class TestToml(SyntaxSuite):
    @pytest.fixture
    def syntax(self) -> Syntax:
        return TomlSyntax()

    @pytest.fixture
    def write(self) -> Callable[[Mapping[str, Any]], str]:
        return as_toml
