"""The rules that `penstock certify` holds this package to."""

import json

import pytest

from acme_letters.output import LettersOutput
from penstock_testkit import OutputSuite


class TestLetters(OutputSuite):
    ordered = False

    @pytest.fixture
    def destination(self, tmp_path_factory):
        def destination():
            path = tmp_path_factory.mktemp("out")
            there = lambda: [json.loads(one.read_text()) for one in path.glob("*.json")]  # noqa: E731
            return LettersOutput(path=path), there

        return destination
