"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

import pytest

from penstock import Stage
from penstock_fields.fields import Fields
from penstock_testkit import StageSuite


class TestFields(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Fields(rename={"name": "who"}, cast={"amount": "decimal"}, where="amount > 0.5")


class TestDrop(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Fields(drop=["name"], set={"twice": "amount * 2"})
