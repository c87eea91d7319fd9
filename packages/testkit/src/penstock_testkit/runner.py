"""Hold suites to their rules in a process of its own, and say what came of each rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock import PluginError

__all__ = ["CERTIFIES", "Outcome", "hold"]

CERTIFIES = "PENSTOCK_CERTIFIES"
"""The variable that tells tests that a certificate is made of them."""


@dataclass(frozen=True)
class Outcome:
    """What came of one rule of one suite. `state` is "passed", "failed", "waived", "does not apply"
    or, where a server is not here, "skipped"; `message` says what was found, or why."""

    suite: str
    rule: str
    sentence: str
    state: str
    message: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.suite}: {self.sentence}: {self.message}"


def hold(file: Path, *suites: str, patience: float = 1800) -> list[Outcome]:
    """Hold the suites in a file, or those that are named, to their rules.

    In a process of its own, without the settings of the project that it is called in. Raises
    PluginError when the file cannot be imported or holds no suite.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-suites-") as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
        outcomes = folder / "outcomes.json"
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
        command += ["-p", "penstock_testkit.recorder", "--import-mode=importlib"]
        command += [f"--penstock-outcomes={outcomes}", f"--rootdir={folder}"]
        command += [f"--basetemp={folder / 'temporary'}", "-c", str(folder / "pytest.ini")]
        command += [f"{file}::{suite}" for suite in suites] or [str(file)]
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": "", CERTIFIES: "1"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )
        if not outcomes.exists():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise PluginError(f"its suites cannot be run: {' '.join(last)}", where=str(file))
        found = json.loads(outcomes.read_text(encoding="utf-8"))
    if found["broken"]:
        raise PluginError(f"its suites cannot be imported: {found['broken'][0]}", where=str(file))
    if not found["outcomes"]:
        raise PluginError(
            "there is no suite in it", where=str(file), hint="inherit from one of penstock_testkit"
        )
    return [Outcome(**one) for one in found["outcomes"]]
