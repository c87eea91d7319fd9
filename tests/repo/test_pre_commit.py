"""The hooks for pre-commit do what their names say, run as pre-commit runs them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from repository import REPO

HOOKS = {one["id"]: one for one in yaml.safe_load((REPO / ".pre-commit-hooks.yaml").read_text())}

GOOD = """
inputs:
  records: {use: "penstock.testing:ListInput", values: [{id: 1}]}
pipes:
  main: [records]
"""


def run(hook: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """The entry with the names of the files that the hook is for, as pre-commit calls it."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.*"))]
    chosen = [name for name in names if re.search(hook["files"], name)]
    scripts = Path(sys.executable).parent
    return subprocess.run(
        [*shlex.split(hook["entry"]), *chosen],
        cwd=folder,
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_has_what_pre_commit_asks_for(hook):
    assert {"id", "name", "entry", "language", "files"} <= hook.keys()
    assert hook["language"] == "system", "the project's own environment has its plugins"


def test_good_pipelines_pass(tmp_path):
    (tmp_path / "penstock.yaml").write_text(GOOD)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "orders-pipeline.yml").write_text(GOOD)
    done = run(HOOKS["penstock-check"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("nothing wrong") == 2


def test_a_bad_pipeline_is_refused_with_its_line(tmp_path):
    (tmp_path / "penstock.yaml").write_text(GOOD)
    (tmp_path / "pipeline.yaml").write_text(GOOD.replace("main: [records]", "main: [recrods]"))
    done = run(HOOKS["penstock-check"], tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("pipeline.yaml:5:")
    assert "did you mean 'records'?" in done.stderr


CASE = """
pipeline: penstock.yaml
tests:
  a record arrives:
    feed: {records: [{id: 2}]}
    expect: {records: {records: [{id: 2}]}}
"""


def test_the_tests_of_a_pipeline_are_run(tmp_path):
    (tmp_path / "penstock.yaml").write_text(GOOD)
    (tmp_path / "arrives.test.yaml").write_text(CASE)
    assert run(HOOKS["penstock-test"], tmp_path).returncode == 0
    (tmp_path / "fails.test.yaml").write_text(CASE.replace("[{id: 2}]}}", "[{id: 3}]}}"))
    done = run(HOOKS["penstock-test"], tmp_path)
    assert done.returncode == 7
    assert "2 tests: 1 passed, 1 failed" in done.stdout


@pytest.mark.parametrize(
    "name", ["values.yaml", "pipeline.txt", "orders.test.yaml", "pipelines.yaml"]
)
def test_other_files_are_left_alone(name):
    assert not re.search(HOOKS["penstock-check"]["files"], name)


def test_the_page_shows_the_hook_as_it_is():
    page = (REPO / "docs" / "how-to" / "check-before-each-commit.md").read_text("utf-8")
    shown = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    [hook] = shown["repos"][0]["hooks"]
    assert hook.items() <= HOOKS[hook["id"]].items()
