"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from penstock import Stage
from penstock_quality import Check, Contract, Count, Freshness, Require, Statistics, Unique
from penstock_testkit import StageSuite


class TestRequire(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Require(fields=["id", "name"])


class TestStatistics(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Statistics()


class TestUnique(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Unique(key=["id"])


class TestCount(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Count(min=1)


class TestCheck(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Check(where="amount > 0.5")


class TestContract(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Contract(schema={"type": "object", "required": ["id"]})


class TestFreshness(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Freshness(field="at", max_age=86400.0)

    @pytest.fixture
    def records(self) -> Any:
        now = datetime.now(timezone.utc)
        return lambda count: [{"id": number, "at": now} for number in range(count)]
