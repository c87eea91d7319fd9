"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

from typing import Any

import pytest

from penstock import Stage
from penstock_shape import Dedupe, Filter, Group, Limit, Pack, Sample, Sort, Unpack
from penstock_testkit import StageSuite, waive


class TestFilter(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Filter(where="amount > 0.5")


class TestDedupe(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Dedupe(key=["name"])


class TestSort(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Sort(by=["name", "-amount"])

    @waive("sorting needs every record before it can give the first")
    def test_memory_does_not_grow_with_the_records(self) -> None: ...


class TestLimit(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Limit(count=5, offset=2)


class TestSample(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Sample(fraction=0.5)


class TestBatch(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Pack(size=4)


class TestUnbatch(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Unpack(field="tags", carry=["id"])

    @pytest.fixture
    def records(self) -> Any:
        return lambda count: [
            {"id": n, "tags": [{"tag": t} for t in range(n % 4)]} for n in range(count)
        ]


class TestGroup(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Group(by=["name"], aggregate={"total": "sum(amount)"})
