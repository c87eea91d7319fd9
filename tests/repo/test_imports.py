"""Any module can be imported first, alone, in silence and at little cost."""

from __future__ import annotations

import os
import sys

import pytest
from importing import import_each_alone

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process for each module")


def test_every_module_can_be_imported_alone_with_warnings_as_errors(packages):
    modules = [m.name for package in packages for m in package.modules if m.name[-8:] != "__main__"]
    answers = import_each_alone(modules)
    assert [answer["module"] for answer in answers] == modules
    assert {a["module"]: a["error"] for a in answers if a["error"]} == {}


def test_importing_a_module_prints_nothing_and_starts_no_thread(packages):
    modules = [m.name for package in packages for m in package.modules if m.name[-8:] != "__main__"]
    answers = [a for a in import_each_alone(modules) if not a["error"]]
    assert {a["module"]: a["printed"] for a in answers if a["printed"]} == {}
    assert {a["module"]: a["threads"] for a in answers if a["threads"]} == {}


def test_a_module_that_fails_prints_or_starts_a_thread_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "fails.py").write_text("import warnings; warnings.warn('old')")
    (tmp_path / "prints.py").write_text("print('hello')")
    (tmp_path / "exits.py").write_text("raise SystemExit")
    (tmp_path / "dies.py").write_text("import os; os._exit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    fails, prints, exits, dies = import_each_alone(["fails", "prints", "exits", "dies"])
    assert "UserWarning: old" in fails["error"]
    assert prints["printed"] == "hello\n"
    assert "SystemExit" in exits["error"]
    assert dies["error"] == "the process died"


def test_the_entry_module_of_a_plugin_is_light(package):
    """Listing plugins imports every entry module: none may import a client or its own classes."""
    entries = list(package.plugins.values())
    for answer in import_each_alone(entries):
        assert answer["error"] == ""
        entry = answer["module"]
        root = entry.split(".")[0]
        others = {name.split(".")[0] for name in answer["loaded"]} - {root, "penstock", "pluggy"}
        assert others <= sys.stdlib_module_names
        if root != "penstock":
            own = {name for name in answer["loaded"] if name.split(".")[0] == root}
            assert own == {root, entry}, "a class is imported when a pipeline first uses it"
