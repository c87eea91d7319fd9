"""Runs that are killed at random, again and again, until one of them comes to its end."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .oracle import Verdict, is_finished

__all__ = ["Killed", "Launcher", "Outcome", "kill_at_random"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code, negative after a signal, and what it said."""

    code: int | None
    seconds: float
    messages: str


class Launcher:
    """Starts runs quickly; see `launcher`. Use it in a `with`."""

    def __enter__(self) -> Launcher:
        support = str(Path(__file__).parents[1])
        path = os.pathsep.join([support, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.launcher"],
            env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # everything is imported
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def run(
        self,
        folder: Path,
        *arguments: str,
        variant: str | None = None,
        signals: Sequence[tuple[float, int]] = (),
        timeout: float = 60,
        messages: str = "messages.txt",
    ) -> Outcome:
        """Run the command line in `folder`; `signals` are sent so many seconds after the start;
        what it says goes to the file `messages`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "arguments": arguments or ("run", "pipeline.yaml", "-q"),
            "folder": str(folder),
            "variant": variant,
            "signals": list(signals),
            "timeout": timeout,
            "messages": messages,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        said = folder / messages  # not there when the run was killed before it could make it
        text = said.read_text("utf-8") if said.exists() else ""
        return Outcome(found["code"], found["seconds"], text)


@dataclass
class Killed:
    """What came of many kills."""

    kills: int = 0
    runs: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    failures: list[str] = field(default_factory=list)


def kill_at_random(
    launcher: Launcher,
    make: Callable[[Path], None],
    judge: Callable[[Path], Verdict],
    folder: Path,
    *,
    kills: int,
    seed: int,
    good_codes: Sequence[int],
    variant: str | None = None,
    enough: Callable[[Killed], bool] = lambda _: False,
) -> Killed:
    """Kill runs in `folder`, made anew by `make` after each that came to its end and was judged.
    A run has also come to its end when it was killed after it had noted so.

    Ends after so many kills and a last, whole run, or when there are `enough`.
    """
    chance = random.Random(seed)
    make(folder)
    whole = launcher.run(folder).seconds
    killed = Killed()
    while killed.kills < kills and not enough(killed):
        shutil.rmtree(folder)
        make(folder)
        while True:
            signals = [(chance.uniform(0.2, 1.0) * whole, signal.SIGKILL)]
            if killed.kills >= kills:
                signals = []
            outcome = launcher.run(folder, variant=variant, signals=signals)
            if outcome.code != -signal.SIGKILL:
                break
            killed.kills += 1
            if is_finished(folder / ".penstock"):  # and another run would start a new one
                whole *= 0.9  # a noisy machine: aim at what runs take now
                break
        killed.runs += 1
        killed.verdict += judge(folder)
        if outcome.code not in (*good_codes, -signal.SIGKILL):
            killed.failures.append(f"{outcome.code}: {outcome.messages}")
    return killed
