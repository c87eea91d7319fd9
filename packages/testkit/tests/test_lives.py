"""The processes that the suites start."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from penstock_testkit.launcher import Launcher
from penstock_testkit.lives import Lives

ASKED = """\
import os
from penstock_testkit.child import Job

town = os.environ.get("TOWN")  # when it is imported, which the launcher does before it forks

class Asking(Job):
    def components(self):
        return []

    def do(self, folder, fate):
        return 0, [town, os.getcwd()]
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    (tmp_path / "asked.py").write_text(ASKED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))

    def asked(town: str) -> list[str]:
        monkeypatch.setenv("TOWN", town)
        found: list[str] = Lives(tmp_path / "lives", import_module("asked").Asking()).whole().result
        return found

    return asked


def test_a_process_finds_the_environment_and_the_folder_of_now(
    asked: Callable[[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked("Ulm")[0] == "Ulm"
    assert asked("Jena")[0] == "Jena"
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert asked("Jena") == ["Jena", str(tmp_path / "there")]


def test_where_nothing_has_changed_the_same_launcher_forks_again(
    asked: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[int] = []
    serving = Launcher._serving

    def watched(self: Launcher) -> object:
        process = serving(self)
        served.append(process.pid)
        return process

    monkeypatch.setattr(Launcher, "_serving", watched)
    for _ in range(3):
        asked("Ulm")
    assert len(served) == 3
    assert len(set(served)) == 1
