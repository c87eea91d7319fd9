"""Releases, made in a throw-away repository with the real build."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from release import Release, wrong_readme
from repository import PACKAGES, REPO

TOOL = REPO / "tests" / "tools" / "release.py"
CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- It can fly.\n\n## [0.1.0] - 2026-01-01\n"
)


class Clone:
    """A repository with one package and its one test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        package = path / "packages" / "input-x"
        root = package / "src" / "penstock_input_x"
        root.mkdir(parents=True)
        (package / "tests").mkdir()
        text = (REPO / "packages" / "input-csv" / "pyproject.toml").read_text("utf-8")
        text = text.replace("input-csv", "input-x").replace("input_csv", "input_x")
        (package / "pyproject.toml").write_text(re.sub('version = ".*"', 'version = "0.1.0"', text))
        (package / "README.md").write_text("# penstock-input-x\n\nReads x.\n\nAnd how.\n")
        (package / "CHANGELOG.md").write_text(CHANGELOG)
        (root / "__init__.py").write_text('"""Reads x."""\n\n__version__ = "0.1.0"\n')
        (root / "py.typed").write_text("")
        (package / "tests" / "test_x.py").write_text("def test_x():\n    pass\n")
        (path / ".gitignore").write_text("dist/\n__pycache__/\n.pytest_cache/\n")
        self.git("init", "--quiet")
        self.commit("input-x: begin")

    @property
    def package(self) -> Path:
        return self.path / "packages" / "input-x"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip("\n")

    def commit(self, subject: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        names = {"GIT_AUTHOR_NAME": "t", "GIT_COMMITTER_NAME": "t"}
        mails = {"GIT_AUTHOR_EMAIL": "t@example.com", "GIT_COMMITTER_EMAIL": "t@example.com"}
        return subprocess.run(
            [sys.executable, TOOL, *arguments, "--date", "2026-02-03"],
            cwd=self.path,
            env={**os.environ, **names, **mails},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_a_release_is_a_commit_and_a_tag_with_archives(clone):
    done = clone.release("input-x", "minor")
    assert done.returncode == 0, done.stderr
    assert "penstock-input-x-v0.2.0: committed and tagged" in done.stdout
    assert clone.git("log", "-1", "--format=%s") == "input-x: release 0.2.0"
    assert clone.git("tag", "--points-at", "HEAD") == "penstock-input-x-v0.2.0"
    assert clone.git("cat-file", "-t", "penstock-input-x-v0.2.0") == "tag"
    assert clone.git("status", "--porcelain") == ""
    assert (clone.package / "CHANGELOG.md").read_text() == CHANGELOG.replace(
        "## [Unreleased]\n", "## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n"
    )
    assert 'version = "0.2.0"' in (clone.package / "pyproject.toml").read_text()
    assert (
        '__version__ = "0.2.0"'
        in (clone.package / "src" / "penstock_input_x" / "__init__.py").read_text()
    )
    wheel = clone.path / "dist" / "penstock_input_x-0.2.0-py3-none-any.whl"
    times = {entry.date_time for entry in zipfile.ZipFile(wheel).infolist()}
    assert times == {(2026, 2, 3, 0, 0, 0)}
    assert (clone.path / "dist" / "penstock_input_x-0.2.0.tar.gz").is_file()

    again = clone.release("input-x", "0.2.0")
    assert again.returncode == 1
    assert "nothing stands under Unreleased" in again.stderr


@pytest.mark.parametrize(
    ("part", "version"), [("major", "1.0.0"), ("patch", "0.1.1"), ("0.1.0", "0.1.0")]
)
def test_the_part_says_which_number_grows(part, version, tmp_path):
    release = Release(Clone(tmp_path).path, "input-x", "2026-02-03")
    assert release.next_version(part) == version


def dirty(clone):
    (clone.package / "new.txt").write_text("x")


def empty(clone):
    (clone.package / "CHANGELOG.md").write_text(CHANGELOG.replace("- It can fly.\n", ""))
    clone.commit("input-x: say nothing")


def no_section(clone):
    (clone.package / "CHANGELOG.md").write_text("# Changelog\n")
    clone.commit("input-x: forget")


def failing(clone):
    (clone.package / "tests" / "test_x.py").write_text("def test_x():\n    assert 0\n")
    clone.commit("input-x: break")


def tagged(clone):
    clone.git("tag", "penstock-input-x-v0.2.0")


def untyped(clone):
    (clone.package / "src" / "penstock_input_x" / "py.typed").unlink()
    clone.commit("input-x: without types")


def unlicensed(clone):
    path = clone.package / "pyproject.toml"
    path.write_text(path.read_text().replace('license = "Apache-2.0"', 'license = "MIT"'))
    clone.commit("input-x: another licence")


def unreadable(clone):
    (clone.package / "README.md").write_text("# x\n\n[more](../y.md)\n\n```python\nx\n")
    clone.commit("input-x: a page that breaks")


@pytest.mark.parametrize(
    ("break_it", "arguments", "sentence"),
    [
        (dirty, ["input-x", "minor"], "'packages/input-x/new.txt' is not committed; commit or put"),
        (empty, ["input-x", "minor"], "nothing stands under Unreleased in its CHANGELOG.md; say"),
        (no_section, ["input-x", "minor"], "its CHANGELOG.md has no section '## [Unreleased]';"),
        (failing, ["input-x", "minor"], "its tests fail; mend them first"),
        (tagged, ["input-x", "minor"], "there is a tag penstock-input-x-v0.2.0 already; choose"),
        (untyped, ["input-x", "minor"], "its wheel has no py.typed; put it beside __init__.py"),
        (unlicensed, ["input-x", "minor"], "its metadata says License-Expression: MIT, not Apache"),
        (unreadable, ["input-x", "minor"], "its README.md has a fenced block that does not end"),
        (lambda clone: None, ["input-y", "minor"], "there is no such package; there are input-x"),
        (lambda clone: None, ["input-x", "big"], "'big' is neither major, minor, patch nor a vers"),
    ],
)
def test_what_is_not_ready_is_refused_and_nothing_is_left(clone, break_it, arguments, sentence):
    break_it(clone)
    before = clone.git("rev-parse", "HEAD"), clone.git("status", "--porcelain"), clone.git("tag")
    done = clone.release(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{arguments[0]}: {sentence}")
    after = clone.git("rev-parse", "HEAD"), clone.git("status", "--porcelain"), clone.git("tag")
    assert after == before
    assert not (clone.path / "dist").exists()


def test_the_page_of_every_package_can_be_shown_by_an_index(package):
    assert list(wrong_readme((package.path / "README.md").read_text("utf-8"))) == []


def test_a_build_that_differs_the_second_time_is_refused(clone):
    """By a hook that writes the time into the wheel."""
    path = clone.package / "pyproject.toml"
    path.write_text(
        path.read_text() + '\n[tool.hatch.build.targets.wheel.hooks.custom]\npath = "hook.py"\n'
    )
    (clone.package / "hook.py").write_text(
        "import time\nfrom pathlib import Path\n"
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n\n\n"
        "class Stamp(BuildHookInterface):\n    def initialize(self, version, build_data):\n"
        "        path = Path(self.root, 'stamp.txt')\n"
        "        path.write_text(str(time.time_ns()))\n"
        "        build_data['force_include'][str(path)] = 'penstock_input_x/stamp.txt'\n"
    )
    clone.commit("input-x: stamp it")
    done = clone.release("input-x", "patch")
    assert done.returncode == 1
    assert "is not the same when it is built again" in done.stderr
    assert clone.git("tag") == ""


def test_every_package_may_be_released():
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", package.project["version"]) for package in PACKAGES)
