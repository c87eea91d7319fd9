"""The packages of this repository and what each provides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from penstock.hookspecs import PROVIDERS
from penstock.plugins import Plugins, Provided
from penstock.spec import ROLES

from .tables import REPO


def packages() -> Iterator[str]:
    provided: dict[str, list[str]] = {}
    for kind in PROVIDERS:
        for one in ours(kind):
            if kind in ROLES:
                provided.setdefault(one.plugin, []).append(f"`{one.name}`")
    yield "| package | what it is for | provides |"
    yield "|---|---|---|"
    folders = sorted(path.parent for path in REPO.glob("packages/*/pyproject.toml"))
    for folder in sorted(folders, key=lambda folder: folder.name != "core"):
        about = project(folder / "pyproject.toml")
        brings = provided.get(about["name"], [])
        link = f"[{about['name']}](packages/{folder.name}/README.md)"
        yield f"| {link} | {about['description']} | {' '.join(brings)} |"


def project(path: Path) -> Mapping[str, str]:
    """The name and the description in a pyproject.toml."""
    text = path.read_text(encoding="utf-8")
    return dict(re.findall(r'^(name|description) = "(.*)"$', text, re.MULTILINE))


def ours(kind: str) -> list[Provided]:
    """Everything of a kind that the packages of this repository provide, by name."""
    distributions = first_party()
    found = [one for ones in Plugins().names(kind).values() for one in ones]
    return sorted((one for one in found if one.plugin in distributions), key=lambda one: one.name)


def first_party() -> set[str]:
    """The distributions of this repository."""
    return {project(path)["name"] for path in REPO.glob("packages/*/pyproject.toml")}


def missing() -> dict[str, str]:
    """The packages of this repository that are not installed here, or of which something that they
    provide cannot be loaded: the folder of each, by name."""
    found = {}
    broken = {plugin.name for plugin in Plugins().distributions() if plugin.state != "loaded"}
    for path in sorted(REPO.glob("packages/*/pyproject.toml")):
        name = project(path)["name"]
        if name in broken or not list(metadata.Distribution.discover(name=name)):
            found[name] = f"packages/{path.parent.name}"
    return found


PARTS = {"packages": packages}
