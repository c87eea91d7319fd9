"""The rules for stages, which `iban` keeps."""

import pytest
from acme_iban.inspector import IbanInspector

from penstock_testkit import StageSuite


class TestRules(StageSuite):
    @pytest.fixture
    def stage(self):
        """The inspector."""
        return IbanInspector()

    @pytest.fixture
    def records(self):
        """A function that gives so many records, one in three with a wrong number."""
        return lambda count: [
            {"id": n, "iban": f"GB8{2 + (n % 3 == 0)} WEST 1234 5698 7654 32"} for n in range(count)
        ]
