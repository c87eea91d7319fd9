"""What is published: every wheel is complete, and holds nothing that users do not need."""

from __future__ import annotations

import re
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest
from repository import CORE


@pytest.fixture
def wheel(package, wheels) -> Path:
    return wheels[package.folder]


@pytest.fixture
def names(wheel) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


@pytest.fixture
def metadata(wheel, names) -> Message:
    [name] = [name for name in names if name.endswith(".dist-info/METADATA")]
    return message_from_string(zipfile.ZipFile(wheel).read(name).decode("utf-8"))


def test_the_wheel_runs_on_every_machine(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")


def test_it_holds_its_package_typed_and_nothing_else(package, names):
    [root] = package.roots
    assert f"{root.name}/py.typed" in names
    for module in package.modules:
        assert module.path.relative_to(package.path / "src").as_posix() in names
    others = [n for n in names if not n.startswith(f"{root.name}/") and ".dist-info/" not in n]
    assert others == []


def test_its_metadata_says_what_it_is(package, metadata):
    assert metadata["Name"] == package.distribution
    assert metadata["Version"] == package.project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    assert (package.path / "README.md").read_text(encoding="utf-8") == metadata.get_payload()


def test_it_takes_any_kernel_of_the_same_major_version(package, metadata):
    if package == CORE:
        pytest.skip("is the kernel")
    needs = metadata.get_all("Requires-Dist") or []
    [kernel] = [need for need in needs if re.match(r"penstock[^-\w]", need)]
    assert "<2" in kernel
    assert ">=" in kernel


def test_its_entry_points_are_in_the_wheel(package, wheel, names):
    if package == CORE or not package.plugins:
        pytest.skip("is not found by an entry point")
    [name] = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    text = zipfile.ZipFile(wheel).read(name).decode("utf-8")
    assert "[penstock.plugins.v1]" in text
