"""What is said of a failure."""

from __future__ import annotations

import pytest

from penstock import RecordError, RunError
from penstock.errors import ConfigError, Problem
from penstock.failures import describe


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RecordError("no \x1b[2J here\r\n\x9b"), "no \\x1b[2J here\\r\\n\\x9b"),
        (ValueError("a\x07b\nc"), "ValueError: a\\x07b\\nc"),
        (RunError("größer\x7f", where="w\n"), "w\\n: größer\\x7f"),
        (ConfigError([Problem("one\x1b"), Problem("two")]), "one\\x1b\ntwo"),
    ],
)
def test_control_characters_of_data_do_not_reach_a_terminal(
    error: Exception, sentence: str
) -> None:
    assert describe(error) == sentence
    assert describe(RecordError(sentence.replace("\n", ""))) == sentence.replace("\n", "")
