"""The example that goes from an empty folder to a locked deployment, with wheels only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPO

SHOW = REPO / "examples" / "first-plugin" / "show.py"


def show(wheels: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SHOW, "--wheels", wheels, "--folder", folder]
    ours = {name: text for name, text in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ours)


@pytest.mark.timeout(600)
def test_a_plugin_of_ten_lines_is_certified_used_tested_locked_and_deployed(wheels, tmp_path):
    folder, given = tmp_path / "empty", tmp_path / "given"
    folder.mkdir()
    given.mkdir()
    for wheel in wheels.values():
        shutil.copy(wheel, given)
    done = show(given, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = [json.loads(line) for line in (folder / "accounts.jsonl").read_text().splitlines()]
    assert [one["name"] for one in kept] == ["Ada", "Eve"]
    locked = (folder / "pylock.toml").read_text()
    assert 'name = "acme-iban"' in locked
    assert "penstock-testkit" not in locked, "what only the author needs is not deployed"
    there = {path.name for path in folder.glob("there/lib/*/site-packages/penstock*")}
    assert not any("testkit" in name or "deploy" in name for name in there)


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine").touch()
    done = show(tmp_path, tmp_path)
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}: is not empty; name another folder\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
