"""Every example works as it stands, from a copy, on every Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from repository import PACKAGES, REPO, Package

EXAMPLES = [path for path in sorted(REPO.glob("examples/*")) if path.is_dir()]
TESTS = [path for folder in EXAMPLES for path in sorted(folder.glob("*.test.yaml"))]
PIPELINES = [
    path for folder in EXAMPLES for path in sorted(folder.glob("*.yaml")) if path not in TESTS
]
DEMOS = [path for folder in EXAMPLES for path in folder.glob("demo.py")]


def name(path: Path) -> str:
    return str(path.relative_to(REPO / "examples"))


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("folder", EXAMPLES, ids=name)
def test_an_example_says_what_it_shows(folder):
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("demo", DEMOS, ids=name)
def test_a_demo_runs_to_its_end(demo, tmp_path):
    left_behind = shutil.ignore_patterns(".penstock", "out")
    copy = shutil.copytree(demo.parent, tmp_path / demo.parent.name, ignore=left_behind)
    done = run(sys.executable, copy / "demo.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("demo", DEMOS, ids=name)
def test_what_a_demo_needs_is_a_list_of_folders_of_this_repository(demo):
    lines = (demo.parent / "requirements.txt").read_text(encoding="utf-8").splitlines()
    folders = [line for line in lines if line and not line.startswith("#")]
    assert "packages/core" in folders
    assert [folder for folder in folders if not (REPO / folder / "pyproject.toml").is_file()] == []
    needed = {need for folder in folders for need in siblings(Package(REPO / folder))}
    assert needed <= {Package(REPO / folder).distribution for folder in folders}


def siblings(package: Package) -> set[str]:
    """The distributions of this repository that a package depends on; no index has them."""
    needs = {re.split(r"[^\w-]", need)[0] for need in package.project["dependencies"]}
    return needs & {package.distribution for package in PACKAGES}


@pytest.mark.parametrize("tests", TESTS, ids=name)
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_the_tests_of_an_example_pass(tests, engine, tmp_path):
    """In a copy without its data: its tests bring their own."""
    left_behind = shutil.ignore_patterns(".penstock", "out", "data")
    copy = shutil.copytree(tests.parent, tmp_path / tests.parent.name, ignore=left_behind)
    done = run("penstock", "test", copy / tests.name, "--engine", engine, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_an_example_with_tests():
    assert TESTS


@pytest.mark.parametrize("pipeline", PIPELINES, ids=name)
def test_the_graph_of_a_pipeline_can_be_drawn(pipeline):
    """`graph` builds the pipeline without opening anything, so it needs no data and no server."""
    done = run("penstock", "graph", pipeline.name, cwd=pipeline.parent)
    assert done.returncode == 0, done.stderr
