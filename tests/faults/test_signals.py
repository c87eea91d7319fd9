"""A run that is asked to stop, or meets another one, leaves everything as it should be."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.killing import Launcher, Outcome
from faults.oracle import Verdict, is_finished
from faults.pairs import PAIRS

ROWS = 3000
WITH_DEAD_LETTERS = 6
STOPPED = 128 + signal.SIGTERM


@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_a_run_that_is_stopped_at_any_time_is_resumed(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None], engine: str
) -> None:
    name = "csv to two files"
    pair, chance, wanted = PAIRS[name], random.Random(5), 50 if long else 6
    stopped = 0
    for turn in range(1000):
        if stopped >= wanted:
            break
        folder = tmp_path / f"run{turn}"
        pair.make(folder, ROWS, engine=engine)
        while not is_finished(folder / ".penstock"):
            signals = [(chance.uniform(0.02, 0.4), signal.SIGTERM)]
            if chance.random() < 0.2:  # somebody who does not wait
                signals.append((signals[0][0] + 0.002, signal.SIGTERM))
            outcome = launcher.run(folder, signals=signals)
            # -15: the signal came before the command line was ready for it.
            assert outcome.code in (WITH_DEAD_LETTERS, STOPPED, -signal.SIGTERM), outcome.messages
            assert "Traceback" not in outcome.messages
            stopped += outcome.code != WITH_DEAD_LETTERS
        assert pair.judge(folder, ROWS) == Verdict()
    assert stopped >= wanted
    certify("SIGTERM", name, stopped, engine=engine)


def together(folder: Path, *launchers: Launcher) -> list[Outcome]:
    """Start a run with each of them at the same time; how they ended, the lowest code first."""
    barrier = threading.Barrier(len(launchers))
    outcomes: list[Outcome] = []

    def start(launcher: Launcher, messages: str) -> None:
        barrier.wait()
        outcomes.append(launcher.run(folder, messages=messages))

    threads = [
        threading.Thread(target=start, args=(launcher, f"messages{number}.txt"))
        for number, launcher in enumerate(launchers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes, key=lambda outcome: outcome.code or 0)


def test_of_two_runs_at_once_one_says_that_the_other_is_there(
    launcher: Launcher, tmp_path: Path, long: bool, certify: Callable[..., None]
) -> None:
    name, rows = "csv to the end of json lines", 30_000
    pair = PAIRS[name]
    met, wanted = 0, 20 if long else 3
    with Launcher() as other:
        for turn in range(5 * wanted):
            if met == wanted:
                break
            folder = tmp_path / f"run{turn}"
            pair.make(folder, rows, epoch=2000)
            loser, winner = together(folder, launcher, other)
            assert winner.code == WITH_DEAD_LETTERS
            if loser.code == WITH_DEAD_LETTERS:
                continue  # on a busy machine it may begin when the other one has ended
            met += 1
            assert loser.code == 1
            assert "another run is under way" in loser.messages
            assert "wait for it, or stop it" in loser.messages
            assert pair.judge(folder, rows) == Verdict()
    assert met == wanted
    certify("two runs at once", name, met)
