"""A join that is cut off at any record goes on with the next one, whatever its inputs do."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parent))
from joining import Case, FromTheReaders, Read, cases, expected, read, rows, set_aside

from penstock_streams import joins as join_module
from penstock_streams import merging as merging_module
from penstock_streams.joins import JoinInput

EXAMPLES = 400 if os.environ.get("PENSTOCK_FAULTS") == "long" else 60
quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True, params=[1, 8])
def a_position_after_every_record(monkeypatch, request):
    monkeypatch.setattr(join_module, "BATCH_SIZE", 1)
    monkeypatch.setattr(merging_module, "_FEW", request.param)


def reads_to_the_end(case: Case) -> bool:
    """Only an outer join does: the others do not read on when nothing more can match."""
    return all(on["kind"] == "outer" for on in case.on.values())


def stops_early(case: Case) -> bool:
    return any(on["kind"] == "inner" for on in case.on.values())


def comparable(case: Case, records: list[Any]) -> list[Any]:
    if case.shape == "nested":
        return records
    names = {f"{name}_n" for name in case.streams} | {"n"}
    return [sorted(row[name] for name in names & row.keys()) for row in records]


def wanted(case: Case) -> list[Any]:
    nested = expected(case)
    if case.shape == "nested":
        return nested
    return [sorted(row.values()) for row in rows(case, nested)]


@given(cases())
@quick
def test_a_join_gives_what_comparing_everything_with_everything_gives(case):
    whole = read(case.input())
    assert comparable(case, whole.records) == wanted(case)
    assert whole.ordinals == list(range(1, len(whole.records) + 1))
    assert len(whole.failures) <= set_aside(case)
    if reads_to_the_end(case):
        assert len(whole.failures) == set_aside(case)


def resumes_at_every_record(case: Case, cls: type[JoinInput] = JoinInput) -> None:
    """Cut off after each record, with batches cut anew, the rest is what was missing."""
    whole: Read = read(case.input(cls))
    for given_so_far, failed_so_far, positions in whole.positions:
        rest = read(case.input(cls, cuts=3), positions)
        assert rest.records == whole.records[given_so_far:]
        assert rest.ordinals == whole.ordinals[given_so_far:]
        if positions.get("join") is None or stops_early(case):
            continue
        # Right sides are read ahead; the left one, and both of an outer join, to their ends.
        for source in ["join/a", "join/b"] if reads_to_the_end(case) else ["join/a"]:
            again = [one for one in whole.failures[failed_so_far:] if one[0] == source]
            assert again == [one for one in rest.failures if one[0] == source]
        if is_star_of_equals(case):  # elsewhere sides are read ahead, and less far when resumed
            assert unmatched(rest) == unmatched(whole)


def is_star_of_equals(case: Case) -> bool:
    return all(on["match"] == "equal" and on["to"] == "a" for on in case.on.values())


def unmatched(found: Read) -> dict[str, int]:
    return {name: counts["unmatched"] for name, counts in found.counts.items()}


@given(cases())
@quick
def test_a_join_resumes_exactly_after_a_kill_at_every_record(case):
    resumes_at_every_record(case)


def test_positions_taken_from_the_readers_would_lose_records():
    @given(cases())
    @settings(quick, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)
    def wrong(case):
        resumes_at_every_record(case, FromTheReaders)

    with pytest.raises(AssertionError):
        wrong()
