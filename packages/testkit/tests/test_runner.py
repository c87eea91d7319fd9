"""Suites are held in a process of their own; what cannot be held is said in a sentence."""

from __future__ import annotations

import pytest

from penstock import PluginError
from penstock_testkit.runner import hold


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import nowhere_at_all\n", "its suites cannot be imported: "),
        ("", "there is no suite in it; inherit from one of penstock_testkit"),
    ],
)
def test_a_file_that_cannot_be_held_to_anything(tmp_path, text, sentence):
    file = tmp_path / "test_rules.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PluginError) as caught:
        hold(file)
    assert str(caught.value).startswith(f"{file}: {sentence}")


def test_a_suite_that_is_not_there_is_said(tmp_path):
    file = tmp_path / "test_rules.py"
    file.write_text("class TestOther:\n    def test_it(self):\n        pass\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"there is no suite in it|its suites cannot be run"):
        hold(file, "TestNowhere")
