"""The rules that `penstock certify` holds this package to."""

import pytest

from acme_slugs.transformer import Slug
from penstock_testkit import StageSuite


class TestSlug(StageSuite):
    @pytest.fixture
    def stage(self):
        return Slug(field="name")
