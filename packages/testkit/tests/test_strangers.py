"""What strangers have written from the documentation alone is certified, crashes included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]
STRANGERS = sorted(path.parent for path in REPO.glob("examples/third-party/*/pyproject.toml"))


def test_there_is_one_for_every_role() -> None:
    assert [path.name for path in STRANGERS] == ["folders", "letters", "slugs", "tides"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("folder", STRANGERS, ids=lambda folder: folder.name)
def test_it_is_certified(folder: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path]
    subprocess.run([*build, folder], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "certify", f"acme-penstock-{folder.name}", "--json"],
        env={
            **os.environ,
            "PYTHONPATH": str(site),
            "PENSTOCK_CERTIFICATES": str(tmp_path / "certificates"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["waivers"] == []
    assert made["kills_survived"] > 0
