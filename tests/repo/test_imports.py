"""Any module can be imported first, alone, in silence and at little cost."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec

import pytest
from importing import import_each_alone

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process for each module"),
    pytest.mark.xdist_group("imports"),
]


@pytest.fixture(scope="module")
def modules(packages):
    return [
        module.name
        for package in packages
        for module in package.modules
        if module.name[-8:] != "__main__" and not lacks(module.path.read_text(encoding="utf-8"))
    ]


def lacks(text: str) -> bool:
    """Whether the docstring of a module names one that this version of a dependency has not."""
    said = re.search(r"^Needs the module `([\w.]+)`\.$", text, re.MULTILINE)
    return said is not None and find_spec(said[1]) is None


@pytest.fixture(scope="module")
def answers(modules):
    """What importing each of them did. Some hundred processes: that takes a minute or more."""
    return import_each_alone(modules)


@pytest.mark.timeout(600)
def test_every_module_can_be_imported_alone_with_warnings_as_errors(modules, answers):
    assert [answer["module"] for answer in answers] == modules
    assert {a["module"]: a["error"] for a in answers if a["error"]} == {}


@pytest.mark.timeout(600)
def test_importing_a_module_prints_nothing_and_starts_no_thread(answers):
    good = [a for a in answers if not a["error"]]
    assert {a["module"]: a["printed"] for a in good if a["printed"]} == {}
    assert {a["module"]: a["threads"] for a in good if a["threads"]} == {}


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
