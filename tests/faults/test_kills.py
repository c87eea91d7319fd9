"""A run that is killed at random, again and again, ends as one that nobody touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.killing import Killed, Launcher, kill_at_random
from faults.oracle import Verdict
from faults.pairs import PAIRS, Pair

WITH_DEAD_LETTERS = 6
ROWS = 3000


def kill(
    launcher: Launcher, folder: Path, pair: Pair, kills: int, engine: str, variant: str | None
) -> Killed:
    return kill_at_random(
        launcher,
        lambda path: pair.make(path, ROWS, engine=engine),
        lambda path: pair.judge(path, ROWS),
        folder / "run",
        kills=kills,
        seed=kills,
        good_codes=[WITH_DEAD_LETTERS],
        variant=variant,
        enough=(lambda killed: not killed.verdict.right) if variant else lambda _: False,
    )


@pytest.mark.parametrize("engine", ["inline", "threads"])
@pytest.mark.parametrize("name", PAIRS)
def test_nothing_is_lost_repeated_or_torn(
    launcher: Launcher, tmp_path: Path, long: bool, name: str, engine: str
) -> None:
    killed = kill(launcher, tmp_path, PAIRS[name], 200 if long else 5, engine, None)
    print(f"{name}, {engine}: {killed.kills} kills, {killed.runs} runs: {killed.verdict}")
    assert killed.failures == []
    assert killed.verdict == Verdict()


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("csv to json lines", "ignores the mark"),
        ("csv to csv", "saves positions first"),
        ("csv in groups to json lines", "forgets the states"),
    ],
)
def test_a_wrong_way_to_do_it_is_caught(
    launcher: Launcher, tmp_path: Path, name: str, variant: str
) -> None:
    """The kills are as good as what they find."""
    killed = kill(launcher, tmp_path, PAIRS[name], 200, "inline", variant)
    assert not killed.verdict.right
