"""The rules that `penstock certify` holds this package to."""

import pytest

from acme_folders.broker import FoldersBroker
from penstock_testkit import BrokerInputSuite, BrokerOutputSuite, BrokerSuite


class _Folders:
    @pytest.fixture
    def broker(self, tmp_path):
        return FoldersBroker(path=tmp_path / "streams")


class TestBroker(_Folders, BrokerSuite):
    pass


class TestInput(_Folders, BrokerInputSuite):
    pass


class TestOutput(_Folders, BrokerOutputSuite):
    pass
