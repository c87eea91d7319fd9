"""What `penstock new` writes works as it stands, with wheels only and outside this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from docpages import Page

from penstock.hookspecs import PROVIDERS

pytestmark = [pytest.mark.xdist_group("scaffolds"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def author(wheels, new_environment):
    """The environment of somebody who writes a plugin: the wheels, and the tools of the scaffold."""
    environment = new_environment("author")
    environment.install(wheels["core"], wheels["testkit"], "pytest>=8.3", "mypy>=1.14", "ruff>=0.9")
    return environment


class Author:
    """The environment for a page; what it asks pip for is installed already."""

    def __init__(self, environment):
        self.bin = environment.bin
        self.variables: dict[str, str] = {}

    def pip_install(self, words: list[str], folder: Path) -> None:
        assert words in ([f"acme-{folder.name.removeprefix('acme-')}"], ["--editable", ".[test]"])


@pytest.mark.parametrize("role", PROVIDERS)
def test_a_new_plugin_is_built_installed_and_does_what_its_readme_says(author, tmp_path, role):
    """Its README runs its pipeline, its tests, the linter and the types, as its author would."""
    distribution = f"acme-new-{role}"
    done = author.run(
        *("penstock", "new", "plugin", f"new_{role}", "--role", role),
        *("--distribution", distribution),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / distribution
    build = [sys.executable, "-m", "build", "--no-isolation", folder]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (folder / "dist").glob("*.whl")
    author.install("--no-deps", wheel)
    page = Page(folder / "README.md", folder, Author(author))
    assert "$ pytest" in {line for block in page.blocks for line in block.lines}
    assert "\n".join(page.problems()) == ""


def test_a_new_pipeline_is_checked_tested_and_run(wheels, new_environment, tmp_path):
    """Every command of its README ends well, with a function at one end and with files at both."""
    operator = new_environment("operator")
    folders = ("core", "files", "pipeline-tests", "input-csv", "sink-json")
    operator.install(*[wheels[folder] for folder in folders])
    for name, ends in {"functions": (), "files": ("--from", "csv", "--to", "json")}.items():
        done = operator.run("penstock", "new", "pipeline", f"{name}/orders", *ends, cwd=tmp_path)
        assert (done.returncode, "filled in" in done.stderr) == (0, False)
        page = Page(tmp_path / name / "README.md", tmp_path / name, Author(operator))
        assert "\n".join(page.problems()) == ""
        done = operator.run("penstock", "test", "orders.yaml", cwd=tmp_path / name)
        assert (done.returncode, "1 passed" in done.stdout) == (0, True)


def test_what_the_author_breaks_is_noticed(author, tmp_path):
    """The README's commands fail for a plugin that does something else than it says."""
    author.run("penstock", "new", "plugin", "broken", "--role", "input", cwd=tmp_path)
    folder = tmp_path / "penstock-broken"
    source = folder / "src" / "penstock_broken" / "input.py"
    text = source.read_text("utf-8")
    source.write_text(text.replace('{"number": number + 1}', '{"number": number}'))
    assert author.run("pytest", "-q", cwd=folder).returncode == 1
    source.write_text(text.replace("-> Iterator[dict[str, Any]]", "-> int"))
    assert author.run("mypy", cwd=folder).returncode == 1
