"""What `nox -s compat` tries, and what it keeps; the trials themselves take minutes."""

from __future__ import annotations

import importlib
import json
import sys

import compat
import pytest
from packaging.requirements import Requirement
from repository import CORE


def test_the_lowest_versions_are_those_that_are_declared(package):
    names = compat.lowest(package)
    extras = package.project.get("optional-dependencies", {}).values()
    for need in [*package.project["dependencies"], *(need for one in extras for need in one)]:
        requirement = Requirement(need)
        if requirement.name.split("-")[0] != "penstock":
            assert requirement.specifier.contains(names[requirement.name]), "needs a lowest version"


def test_the_lowest_are_tried_on_the_oldest_python_and_the_newest_on_each():
    here = {"3.10": "a", "3.12": "b"}
    assert [*compat.plan(here, None)] == [
        ("lowest", "3.10"),
        ("newest", "3.12"),
        ("newest", "3.10"),
    ]
    assert [*compat.plan(here, "lowest")] == [("lowest", "3.10")]
    assert [*compat.plan({"3.11": "a"}, "newest")] == [("newest", "3.11")]


def test_what_a_package_needs_of_ours_comes_with_it():
    by_folder = {package.folder: package for package in compat.PACKAGES}
    needed = [one.folder for one in compat.siblings(by_folder["sink-sql"])]
    assert {"core", "sql", "sink-sql", "input-csv", "files"} <= set(needed)
    needed = [one.folder for one in compat.siblings(by_folder["engine-celery"])]
    assert "django-adapter" in needed, "an extra needs it"
    assert compat.siblings(CORE)[0] == CORE


def test_what_was_tried_with_other_needs_is_forgotten(tmp_path, monkeypatch):
    results = tmp_path / "results.json"
    monkeypatch.setattr(compat, "RESULTS", results)
    trial = compat.Trial(CORE, "lowest", "3.10", "python", tmp_path)
    results.write_text(json.dumps({"penstock": {"declares": {"x": "1"}, "newest": {"3.13": {}}}}))
    compat.record(trial, {"pluggy": "1.5.0"})
    declared = compat.lowest(CORE)
    assert json.loads(results.read_text()) == {
        "penstock": {"declares": declared, "lowest": {"3.10": {"pluggy": "1.5.0"}}}
    }


def test_the_page_reads_the_same_bounds(package):
    page = importlib.import_module("generated.compatibility")
    assert page._lowest(package.path / "pyproject.toml") == compat.lowest(package)


def test_a_python_that_is_not_here_is_named():
    with pytest.raises(SystemExit, match=r"python 2\.7: is not here; there are"):
        compat.main(["--python", "2.7"])


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match=r"no package named 'input-cvs'; there are broker-file, "):
        compat.main(["input-cvs"])


@pytest.mark.parametrize(
    ("tests", "passed"),
    [
        ("def test_a(): pass", True),
        ("def test_a(): assert 0", False),
        ("", False),
        ("import pytest, os\ndef test_a(): assert os.environ['REQUIRE_SERVICES'] == '1'", True),
    ],
)
def test_what_has_no_test_that_passes_was_not_tried(tmp_path, monkeypatch, tests, passed):
    (tmp_path / "packages" / "core").mkdir(parents=True)
    (tmp_path / "packages" / "core" / "test_a.py").write_text(tests)
    monkeypatch.setattr(compat, "REPO", tmp_path)
    monkeypatch.setattr(compat, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(compat.Trial, "interpreter", sys.executable)
    monkeypatch.setattr(compat.Trial, "install", lambda self, wheels: None)
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    trial = compat.Trial(CORE, "newest", "3.13", sys.executable, tmp_path)
    assert trial.run({}) is passed
    assert (tmp_path / "results.json").exists() is passed


def test_a_trial_that_fails_is_told_and_not_kept(tmp_path, monkeypatch, capsys):
    import subprocess

    def fail(self, wheels):
        raise subprocess.CalledProcessError(1, "pip", stderr="no such version")

    monkeypatch.setattr(compat.Trial, "install", fail)
    monkeypatch.setattr(compat, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(compat, "build", lambda folder: {})
    assert compat.main(["core", "--with", "lowest"]) == 1
    printed = capsys.readouterr().out
    assert "cannot be installed:\nno such version" in printed
    assert "failed: core with the lowest versions on" in printed
    assert not (tmp_path / "results.json").exists()
