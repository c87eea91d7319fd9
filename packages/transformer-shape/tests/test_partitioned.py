"""Each partition of an input with a state of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import penstock
from penstock import Batch, Input, Stage
from penstock.testing import ListOutput
from penstock_shape import Dedupe, Group, Limit, Pack, Sample, Sort

NAMES = ["ada", "bob", "ada", "eve", "ada", "bob", "eve"]
PACKS = [[1, 2, 3], [4, 5, 6], [7]]


class Clicks(Input):
    """Two partitions with the same names, a batch of each in turn."""

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        for n, name in enumerate(NAMES, 1):
            for part in (0, 1):
                yield Batch([{"part": part, "n": n, "name": name}], f"clicks/{part}", [n], n)


@pytest.fixture(params=["inline", "threads"])
def ran(request: pytest.FixtureRequest) -> Callable[[Stage], list[Any]]:
    """What a stage makes of the clicks."""

    def run(stage: Stage) -> list[Any]:
        output = ListOutput()
        report = penstock.run(Clicks(), stage, output, engine=request.param)
        assert report.balance.holds, str(report.balance)
        return output.values

    return run


def test_groups(ran: Callable[[Stage], list[Any]]) -> None:
    group = {"by": "name", "aggregate": {"n": "count()", "parts": "distinct(part)"}}
    counts = [("ada", 3), ("bob", 2), ("eve", 2)]
    assert ran(Group(**group)) == [{"name": a, "n": 2 * n, "parts": 2} for a, n in counts]
    parted = ran(Group(**group, partitioned=True))
    assert parted == 2 * [{"name": name, "n": n, "parts": 1} for name, n in counts]


@pytest.mark.parametrize(
    ("options", "kept"),
    [({}, [1, 2, 4]), ({"keep": "last"}, [5, 6, 7]), ({"within": 1}, [1, 2, 3, 4, 5, 6, 7])],
)
def test_keys(ran: Callable[[Stage], list[Any]], options: Any, kept: list[int]) -> None:
    """Of the same name in both partitions one is passed on, or both."""
    assert len(ran(Dedupe(key="name", **options))) == len(kept)
    parted = ran(Dedupe(key="name", partitioned=True, **options))
    assert [[one["n"] for one in parted if one["part"] == part] for part in (0, 1)] == [kept, kept]


def test_packs_and_samples_are_of_one_partition_anyway(ran: Callable[[Stage], list[Any]]) -> None:
    packs = [[(one["part"], one["n"]) for one in pack] for pack in ran(Pack(size=3, field=None))]
    assert sorted(packs) == [[(p, n) for n in some] for p in (0, 1) for some in PACKS]
    assert [one["n"] for one in ran(Sample(every=3))] == [1, 1, 4, 4, 7, 7]


@pytest.mark.parametrize(
    ("stage", "keeps_state", "partitioned"),
    [
        (Pack(size=3), True, True),
        (Sample(every=3), True, True),
        (Sample(fraction=0.5), False, True),
        (Group(by="name", aggregate={}), True, False),
        (Dedupe(), True, False),
        (Sort(by="name"), True, False),
        (Limit(count=3), True, False),
    ],
    ids=repr,
)
def test_which_of_them_workers_may_share(
    stage: Stage, keeps_state: bool, partitioned: bool
) -> None:
    """Those without a state, and those with one for each partition."""
    assert (stage.keeps_state, stage.partitioned) == (keeps_state, partitioned)
