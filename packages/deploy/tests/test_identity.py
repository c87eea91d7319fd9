"""Whose distribution it is that an index has under a name: looked at before it is installed."""

from __future__ import annotations

import pytest

from penstock.errors import PluginError
from penstock_deploy import identity
from penstock_deploy.identity import refuse_other_projects, refuse_what_is_no_plugin
from penstock_deploy.resolving import Artifact, Package

HINT = "name the folder that has yours with --find-links, or an index that does"
TOOLS = pytest.mark.parametrize("tool", ["pip", "uv"])


def from_index(name, version):
    return Package(name, version, [Artifact("w.whl", "0" * 64, url="http://index/w.whl")])


@pytest.fixture
def places(place):
    return ["--no-index", "--find-links", str(place.wheels)]


@pytest.fixture
def installed(monkeypatch, tmp_path, place):
    """`installed(name, modules)`: as if a distribution with these modules were installed here."""

    def make(name, version, *modules):
        info = tmp_path / "here" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
        for module in modules:
            (tmp_path / "here" / module).touch()
        (info / "RECORD").write_text("".join(f"{module},,\n" for module in modules))
        monkeypatch.syspath_prepend(tmp_path / "here")

    return make


@TOOLS
def test_what_has_a_name_of_ours_and_is_no_plugin_is_refused(place, places, tool):
    place.make_wheel("penstock-tides", "3.0", summary="Tide tables")
    with pytest.raises(PluginError) as raised:
        refuse_what_is_no_plugin(["penstock-tides>=1"], places, tool)
    assert str(raised.value) == (
        "penstock-tides 3.0: has no plugin of Penstock and does not need Penstock ('Tide tables'); "
        + HINT
    )


def test_a_plugin_and_what_plugins_share_may_have_such_a_name(place, places):
    place.make_wheel("penstock-tides", "3.0", entry="tides = penstock_tides")
    place.make_wheel("penstock-water", "3.0", ["penstock>=0.1"])
    refuse_what_is_no_plugin(["penstock-tides", "penstock-water"], places, "pip")


def test_nothing_else_is_looked_at(places):
    refuse_what_is_no_plugin(["rich>=13", "penstock-tides @ file:///w.whl"], places, "pip")
    package = Package("penstock", "0.1.0", [Artifact("w.whl", "0" * 64, path=places[-1])])
    refuse_other_projects([package, from_index("rich", "13.0")], ["penstock"], places, "pip")


def test_another_kernel_is_refused(place, places):
    """A tool of uv is made anew with each plugin: the kernel too must be the one that runs."""
    place.make_wheel("penstock", "9.0")
    with pytest.raises(PluginError) as raised:
        refuse_what_is_no_plugin(["penstock==9.0"], places, "pip")
    assert str(raised.value) == (
        f"penstock 9.0: is not from the project of the kernel that is installed here; {HINT}"
    )


@TOOLS
def test_a_wheel_that_cannot_be_had_is_told(places, tool):
    with pytest.raises(PluginError) as raised:
        refuse_what_is_no_plugin(["penstock-nowhere"], places, tool)
    assert str(raised.value).startswith("penstock-nowhere: no wheel can be had: ")
    assert str(raised.value).endswith(f"; {HINT}")
    assert str(raised.value).count("\n") == 0


def test_a_new_version_has_most_modules_of_the_old_one(place, places, installed):
    installed("acme-iban", "1.0", "acme_iban.py", "acme_iban_old.py", "acme_iban.pyi")
    place.make_wheel("acme-iban", "2.0")  # has one module, acme_iban.py
    with pytest.raises(PluginError, match=r"acme-iban 2\.0: is not from the project of the 1\.0"):
        refuse_other_projects([from_index("acme-iban", "2.0")], ["acme_iban"], places, "pip")
    installed("acme-bic", "1.0", "acme_bic.py")
    place.make_wheel("acme-bic", "2.0")
    refuse_other_projects([from_index("acme-bic", "2.0")], ["acme-bic"], places, "pip")


def test_one_of_ours_that_is_not_here_must_need_the_kernel(place, places):
    place.make_wheel("penstock-tides", "3.0")
    with pytest.raises(PluginError, match="has no plugin of Penstock"):
        refuse_other_projects([from_index("penstock-tides", "3.0")], [], places, "pip")


def test_nothing_of_what_is_looked_at_is_run(place, places, monkeypatch):
    """A source archive would have to be built by code of whoever owns the name."""
    asked = []
    monkeypatch.setattr(identity, "call", lambda command, failed: asked.append(command))
    refuse_what_is_no_plugin(["penstock-tides"], places, "pip")
    [command] = asked
    assert "--only-binary" in command
    assert "--no-deps" in command
