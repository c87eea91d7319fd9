"""Other processes, from the outside: started, killed, started again."""

from __future__ import annotations

import json
import pickle
import pickletools
import random
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.stores.sqlite import SqliteStore

from .child import DRAINED, Job
from .driving import PIPELINE
from .launcher import Launcher, start_anew

__all__ = ["Life", "Lives"]

_launcher = Launcher()
"""It keeps nothing of one job for the next, so one is enough for all."""
_CODES = (0, 6)  # well, and with dead letters


@dataclass(frozen=True)
class Life:
    """How a process ended: its code, negative after a signal, what came of it, what it said."""

    code: int
    result: Any
    said: str


class Lives:
    """One job in one folder, done by one process after the other."""

    def __init__(self, folder: Path, job: Job) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.kills = 0
        self.drains = 0
        pickled = pickle.dumps(job)
        self.modules = sorted(modules_in(pickled) & sys.modules.keys())
        (folder / "job.pickle").write_bytes(pickled)

    def live(
        self, at: int | None = None, number: int = signal.SIGKILL, *, anew: bool = False
    ) -> Life:
        """One process; at that moment it gets that signal. Forked, unless it is to start `anew`."""
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        fate = {"at": at, "signal": int(number)}
        code = (
            start_anew(self.folder, fate)
            if anew
            else _launcher.start(self.folder, fate, self.modules)
        )
        text = result.read_text(encoding="utf-8") if result.exists() else "null"
        said = (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        return Life(code, json.loads(text), said)

    def whole(self, *, anew: bool = False) -> Life:
        """One process that nothing happens to."""
        life = self.live(anew=anew)
        assert life.code in _CODES, f"it ended with {life.code}: {_why(life)}"
        return life

    def killed(self, most: int = 8, seed: int = 1) -> Life:
        """Processes that are killed at moments of a chance that is the same every time, until one
        comes to its end; no more than `most` are."""
        chance = random.Random(seed)
        while self.kills < most:
            life = self.live(chance.randint(3, 45))
            if life.code != -signal.SIGKILL:
                break
            self.kills += 1
            if self.is_finished():  # and another run would be a new one
                return life
        else:
            life = self.live()
        assert life.code in _CODES, f"after {self.kills} kills it ended with {_why(life)}"
        return life

    def is_finished(self) -> bool:
        """Whether a run has noted that it is complete."""
        store = SqliteStore(self.folder / "state")
        try:
            checkpoint = store.checkpoint(PIPELINE)
        finally:
            store.close()
        return checkpoint is not None and checkpoint.finished

    def drained(self, most: int = 3, seed: int = 2) -> Life:
        """Processes that are asked to stop, until one comes to its end."""
        chance = random.Random(seed)
        while True:
            life = self.live(chance.randint(3, 45) if self.drains < most else None, signal.SIGTERM)
            if life.code != DRAINED:
                break
            self.drains += 1
            assert life.result["holds"], "when it was asked to stop, the sums did not meet"
            assert life.result["error"] is None, f"when it was asked to stop: {_why(life)}"
        assert life.code in _CODES, f"after {self.drains} stops it ended with {_why(life)}"
        return life


def modules_in(pickled: bytes) -> set[str]:
    """Every text in a pickle, which the names of the modules that it needs are among."""
    return {text for _, text, _ in pickletools.genops(pickled) if isinstance(text, str)}


def _why(life: Life) -> str:
    error = life.result.get("error") if isinstance(life.result, dict) else None
    return error or life.said.strip()[-500:] or f"code {life.code}"
