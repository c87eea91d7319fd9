"""A run that is killed at random, again and again, ends as one that nobody touched.

Beside each pipeline the same kills meet a wrong variant of it, which they must catch: they are as
good as what they find.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.certificates import Wrong
from faults.killing import Killed, Launcher, kill_at_random
from faults.oracle import Verdict
from faults.pairs import FILES, TABLES, Pair
from faults.tables import Tables

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
WITH_DEAD_LETTERS = 6
ROWS = 3000
MOST = 400

CASES = [
    *((name, "", engine) for name in FILES for engine in ("inline", "threads")),
    *(
        (name, system, engine)
        for system in ("SQLite", "PostgreSQL", "MariaDB")
        for name in TABLES
        for engine in ("inline", "threads")
        # The short form: each system, each kind of pair and each engine, but not all of them.
        if LONG or (engine == "inline" if name == "csv to {system}" else system == "SQLite")
    ),
]


def kill(
    launcher: Launcher,
    folder: Path,
    pair: Pair,
    tables: Tables | None,
    *,
    kills: int,
    engine: str,
    variant: str | None = None,
) -> Killed:
    numbers = itertools.count(1)
    now = tables

    def make(path: Path) -> None:
        nonlocal now
        now = tables.named(f"t{next(numbers)}{engine}{'w' if variant else ''}") if tables else None
        pair.make(path, ROWS, engine=engine, tables=now)

    return kill_at_random(
        launcher,
        make,
        lambda path: pair.judge(path, ROWS, now),
        folder,
        kills=kills,
        seed=kills,
        good_codes=[WITH_DEAD_LETTERS],
        variant=variant,
        enough=(lambda killed: not killed.verdict.right) if variant else lambda _: False,
    )


@pytest.mark.parametrize(("name", "system", "engine"), CASES)
def test_nothing_is_lost_repeated_or_torn(
    launcher: Launcher,
    tmp_path: Path,
    tables_of: Callable[[str], Tables],
    certify: Callable[..., None],
    name: str,
    system: str,
    engine: str,
) -> None:
    pair = FILES[name] if not system else TABLES[name]
    tables = tables_of(system) if system else None
    kills = 200 if LONG else 4
    right = kill(launcher, tmp_path / "right", pair, tables, kills=kills, engine=engine)
    assert right.failures == []
    assert right.verdict == Verdict()
    wrong = kill(
        launcher, tmp_path / "wrong", pair, tables, kills=MOST, engine=engine, variant=pair.wrong
    )
    assert not wrong.verdict.right
    caught = Wrong(pair.wrong, wrong.kills, wrong.verdict)
    of = name.format(system=system)
    certify("kill -9", of, right.kills, right.verdict, engine=engine, wrong=caught)
