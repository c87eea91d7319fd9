"""Pages that install what they show run in an environment with that and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docpages import INSTALLS_ITSELF, Page
from repository import PACKAGES, REPO

PAGES = [
    path
    for pattern in ("docs/**/*.md", "packages/*/README.md", "examples/*/README.md")
    for path in sorted(REPO.glob(pattern))
    if INSTALLS_ITSELF.search(path.read_text("utf-8"))
]
BY_DISTRIBUTION = {package.distribution: package for package in PACKAGES}


@dataclass
class OfAPage:
    """The environment of a page: our packages come from the wheels, never from an index.
    Where something is locked, what resolves is there."""

    environment: Any
    wheels: Any
    folder: Path

    @property
    def bin(self) -> Path:
        return self.environment.bin

    @property
    def variables(self) -> dict[str, str]:
        """The wheels are what an index of theirs would have; others come from the usual one."""
        # Beside the pipeline, as an image can hold no file from elsewhere.
        there = self.folder / "wheels"
        if not there.exists():
            shutil.copytree(self.wheels["core"].parent, there)
        links = {"UV_FIND_LINKS": str(there), "PIP_FIND_LINKS": str(there)}
        return {**self.environment.kept, **links}

    def pip_install(self, words: list[str], folder: Path) -> None:
        wanted: list[str] = []
        for word in words:
            if word in BY_DISTRIBUTION:
                wanted += [self.wheels[name] for name in with_siblings(word)]
            elif word.startswith("."):
                wanted.append(built(folder / word))
            elif word != "--editable":
                wanted.append(word)
        self.environment.install(*wanted, *(["uv"] if "penstock-deploy" in words else []))


def with_siblings(distribution: str) -> list[str]:
    """The folders of a package and of those of this repository that it depends on."""
    found = [distribution]
    for name in found:  # grows as the loop goes on
        needs = BY_DISTRIBUTION[name].project["dependencies"]
        names = [re.split(r"[^\w-]", need)[0] for need in needs]
        found += [one for one in names if one in BY_DISTRIBUTION and one not in found]
    return [BY_DISTRIBUTION[name].folder for name in found]


def built(folder: Path) -> str:
    """The wheel of what the page has written; hatchling is here, so it is not fetched again."""
    out = folder / "dist"
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, folder]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = out.glob("*.whl")
    return str(wheel)


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(REPO)) for path in PAGES])
def test_what_the_page_shows_is_what_happens(path, wheels, new_environment, tmp_path):
    environment = OfAPage(new_environment("page"), wheels, tmp_path)
    assert "\n".join(Page(path, tmp_path, environment).problems()) == ""
