"""The commands that the documentation names are there, and none needs another first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SESSIONS = {
    "lint",
    "types",
    "tests",
    "integration",
    "install",
    "docs",
    "bench",
    "build",
    "faults",
    "compat",
    "release",
    "mutation",
}


def test_the_readme_opens_with_the_two_commands(repo):
    text = (repo / "README.md").read_text(encoding="utf-8")
    opening = text.split("\n## ")[0]
    assert "make demo" in opening
    assert "make test" in opening


@pytest.mark.parametrize("target", ["help", "demo", "test", "lint", "types", "check", "clean"])
def test_make_knows_how_to(repo, target):
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=repo, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nox_has_the_same_sessions_for_every_package(repo, packages):
    nox = [sys.executable, "-m", "nox", "--list"]
    listed = subprocess.run(nox, cwd=repo, capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^[*-] (\S+) ->", listed, flags=re.MULTILINE)
    assert {name.split("(")[0] for name in names} == SESSIONS
    tested = {match[1] for name in names if (match := re.match(r"tests\((.+)-3\.\d+\)", name))}
    assert tested == {package.folder for package in packages}


def test_a_python_that_is_too_old_is_refused_with_a_sentence(repo, tmp_path):
    done = choose(repo, {"PYTHON": fake_python(tmp_path / "python3.9", works=False)})
    assert done.returncode == 1
    assert "is not Python 3.10 or newer" in done.stderr


def test_a_shim_that_does_not_run_is_passed_over(repo, tmp_path):
    fake_python(tmp_path / "python3.13", works=False)
    fake_python(tmp_path / "python3.12", works=True)
    done = choose(repo, {"PATH": f"{tmp_path}{os.pathsep}{os.defpath}"})
    assert done.stdout == "python3.12\n"


def test_a_machine_without_python_is_told_what_to_install(repo, tmp_path):
    done = choose(repo, {"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "no Python 3.10 or newer" in done.stderr
    assert "install one" in done.stderr


@pytest.mark.parametrize(
    ("failing", "status"), [("", 0), ("demo", 1), ("test", 1), ("demo test", 1)]
)
def test_ci_runs_both_commands_and_fails_when_one_of_them_does(repo, tmp_path, failing, status):
    (tmp_path / "make").write_text(
        f'#!/bin/sh\nfor target; do :; done\necho "$target, $REQUIRE_SERVICES"\n'
        f'case " {failing} " in *" $target "*) exit 2;; esac\n'
    )
    (tmp_path / "make").chmod(0o755)
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")  # nothing is installed here
    (tmp_path / "apt-get").chmod(0o755)
    done = subprocess.run(
        [repo / ".ci" / "run"],
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "== servers\n== make demo\ndemo, 1\n== make test\ntest, 1\n"
    assert done.returncode == status


def choose(repo: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", repo / ".ci" / "python"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(path: Path, *, works: bool) -> str:
    path.write_text(f"#!/bin/sh\nexit {0 if works else 1}\n")
    path.chmod(0o755)
    return str(path)
