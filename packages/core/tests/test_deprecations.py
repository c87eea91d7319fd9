"""A hook that is to go still works, and whoever implements it is warned."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from penstock import Plugins, hookimpl
from penstock.hookspecs import Hooks, hookspec

OLD_HOOK = DeprecationWarning("penstock_sources is penstock_inputs since 1.4; it goes with 2.0")
OLD_ARGUMENT = DeprecationWarning("name of penstock_named is to go with 2.0; take path")


class Later:
    """Hooks of a kernel that is to come, with what is to go."""

    @hookspec(warn_on_impl=OLD_HOOK)
    def penstock_sources(self) -> Mapping[str, str]:  # type: ignore[empty-body]
        """The old name."""

    @hookspec(warn_on_impl_args={"name": OLD_ARGUMENT})
    def penstock_named(self, path: str, name: str) -> str:  # type: ignore[empty-body]
        """With an old argument."""


@pytest.fixture
def deprecated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel with a hook and an argument that are to go, in the way CONTRIBUTING.md says."""
    for name in ("penstock_sources", "penstock_named"):
        monkeypatch.setattr(Hooks, name, getattr(Later, name), raising=False)


class Old:
    @hookimpl
    def penstock_sources(self) -> Mapping[str, str]:
        return {"old": "acme:Old"}

    @hookimpl
    def penstock_inputs(self) -> Mapping[str, str]:
        return {"new": "acme:New"}


class OldArgument:
    @hookimpl
    def penstock_named(self, name: str) -> str:
        return name


class New:
    @hookimpl
    def penstock_named(self, path: str) -> str:
        return path


@pytest.mark.usefixtures("deprecated")
def test_a_plugin_with_a_hook_that_is_to_go_works_and_is_warned() -> None:
    plugins = Plugins(discover=False)
    with pytest.warns(DeprecationWarning, match="penstock_sources is penstock_inputs since 1.4"):
        plugins.register(Old(), "acme", "1.0")
    assert plugins.find("input", "new").target == "acme:New"
    assert plugins.hooks.penstock_sources() == [{"old": "acme:Old"}]


@pytest.mark.usefixtures("deprecated")
def test_so_is_one_that_takes_an_argument_that_is_to_go() -> None:
    plugins = Plugins(discover=False)
    with pytest.warns(DeprecationWarning, match="name of penstock_named is to go with 2.0"):
        plugins.register(OldArgument(), "acme", "1.0")
    plugins.register(New(), "better", "1.0")  # without any warning, or this test would fail
    answers = plugins.hooks.penstock_named(path="a path", name="a name")
    assert sorted(answers) == ["a name", "a path"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A plugin with the old hook, as pip would leave it."""
    (tmp_path / "acme_old.py").write_text(
        "from penstock import hookimpl\n\n@hookimpl\ndef penstock_sources():\n    return {}\n"
    )
    (tmp_path / "acme_old-1.0.dist-info").mkdir()
    entry = "[penstock.plugins.v1]\nmain = acme_old\n"
    (tmp_path / "acme_old-1.0.dist-info" / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "acme-old"
    sys.modules.pop("acme_old", None)


@pytest.mark.usefixtures("deprecated")
def test_an_installed_one_is_loaded_and_not_broken(installed: str) -> None:
    plugins = Plugins()
    with pytest.warns(DeprecationWarning, match="penstock_sources is penstock_inputs"):
        listed = {one.name: one.state for one in plugins.distributions()}
    assert listed[installed] == "loaded"
