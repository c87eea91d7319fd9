"""The rules that `penstock certify` holds this package to."""

import pytest

from acme_tides.input import TidesInput
from penstock_testkit import InputSuite


class TestTides(InputSuite):
    @pytest.fixture
    def source(self, tmp_path_factory):
        def source(count):
            path = tmp_path_factory.mktemp("in") / "tides.txt"
            heights = [number / 4 for number in range(count)]
            path.write_text("".join(f"{height}\n" for height in heights))
            return TidesInput(path=path), [{"metres": height} for height in heights]

        return source
