"""However a power cut leaves the disk, the next run ends as one that nobody touched."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.certificates import Wrong
from faults.killing import Launcher
from faults.oracle import Verdict, is_finished
from faults.pairs import PAIRS, Pair
from faults.powercut import State, states
from faults.tables import Tables
from faults.tracing import need_strace, trace

ROWS = 600
WITH_DEAD_LETTERS = 6
WRONG = {"csv to json lines": "leaves folders", "csv to SQLite": "keeps the position apart"}


def bad_states(
    launcher: Launcher, tmp_path: Path, pair: Pair, most: int | None, variant: str = ""
) -> tuple[int, list[tuple[Verdict, str]]]:
    """How many states there were, and those from which a run does not come to the right end."""
    folder = tmp_path / "run"
    tables = Tables.inside(folder)
    pair.make(folder, ROWS, epoch=100, tables=tables)
    given = {one.name: one.read_bytes() for one in folder.iterdir()}
    found = list(states(folder, trace(folder, variant), given))
    if most is not None and len(found) > most:
        # The last ones are those in which the file is put into place.
        found = [
            *random.Random(1).sample(found[: -most // 3], most - most // 3),
            *found[-most // 3 :],
        ]
    bad = []
    for state in found:
        lay_out(folder, state, keep=given)
        messages = ""
        if not is_finished(folder / ".penstock"):  # else what is there must do
            outcome = launcher.run(folder, variant=variant or None)
            if outcome.code != WITH_DEAD_LETTERS:
                messages = f"{outcome.code}: {outcome.messages}"
        verdict = pair.judge(folder, ROWS, tables)
        if messages or not verdict.right:
            bad.append((verdict, f"{state.kind} {messages}"))
    return len(found), bad


def lay_out(folder: Path, state: State, keep: dict[str, bytes]) -> None:
    """Make the folder hold these files; those of `keep` stay the same files if they are as before."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in keep or path.read_bytes() != keep[path.name]:
            path.unlink()
    for name, content in state.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if content != keep.get(name) or not path.exists():
            path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["csv to json lines", "csv to the end of json lines", "csv to SQLite"]
)
def test_every_state_after_a_power_cut_is_mended(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None], name: str
) -> None:
    need_strace()
    pair, most = PAIRS[name.replace("SQLite", "{system}")], None if long else 45
    count, bad = bad_states(launcher, tmp_path / "right", pair, most)
    assert bad == []
    wrong = None
    if name in WRONG:
        tried, found = bad_states(launcher, tmp_path / "wrong", pair, most, WRONG[name])
        assert found != []  # of leaving folders, kills find nothing
        total = sum((verdict for verdict, _ in found), Verdict())
        wrong = Wrong(WRONG[name], tried, total)
    certify("power cut", name, count, wrong=wrong)
