"""Fakes keep the rules that they are there to try on others."""

from __future__ import annotations

import pytest

from penstock.testing import ListInput, ListOutput


@pytest.mark.parametrize("cls", [ListInput, ListOutput])
def test_a_list_that_was_never_opened_can_be_closed(cls):
    made = cls()
    made.close()
    assert made.closed == 1
