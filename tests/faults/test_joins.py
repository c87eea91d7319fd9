"""A join that is cut off after any record it gives goes on with the next one: random joins, and how
often they were cut off."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from faults.certificates import Wrong
from faults.oracle import Verdict
from hypothesis import HealthCheck, Phase, given, seed, settings
from repository import REPO

from penstock_streams import joins, merging
from penstock_streams.joins import JoinInput

sys.path.insert(0, str(REPO / "packages" / "streams" / "tests"))
from joining import Case, FromTheReaders, cases, read


def test_a_join_goes_on_after_every_record(
    monkeypatch: pytest.MonkeyPatch, certify: Callable[..., None], long: bool
) -> None:
    """Two to four inputs in stars and chains, inner, left, outer and as of, with what is out of
    order, idle moments and batches that are cut in another way the second time."""
    monkeypatch.setattr(joins, "BATCH_SIZE", 1)
    monkeypatch.setattr(merging, "_FEW", 1)
    count = 400 if long else 20
    cuts, right = cut_off(JoinInput, count)
    assert right == Verdict()
    tried, wrong = cut_off(FromTheReaders, count)
    assert wrong.lost
    certify(
        "stop after record k",
        f"{count} random joins of two to four inputs",
        cuts,
        right,
        wrong=Wrong("keeps where it has read to", tried, wrong),
    )


def cut_off(cls: type[JoinInput], count: int) -> tuple[int, Verdict]:
    """How often joins were cut off, and what was wrong with what came then: of all of them, or up
    to the first with which something was."""
    cuts, found = 0, Verdict()

    @seed(1)
    @given(cases())
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Case) -> None:
        nonlocal cuts, found
        if not found.right:
            return
        whole = read(case.input(cls))
        for given_so_far, _, positions in whole.positions:
            rest = read(case.input(cls, cuts=3), positions)
            cuts += 1
            found += judged(whole.records[given_so_far:], rest.records)

    one()
    return cuts, found


def judged(wanted: list[Any], found: list[Any]) -> Verdict:
    one, other = (Counter(map(json.dumps, records)) for records in (wanted, found))
    return Verdict(
        lost=(one - other).total(), repeated=(other - one).total(), moved=wanted != found
    )
