"""Whether what an index has under a name is what is meant: there the name may be somebody else's.

A wheel is looked at before it is locked or installed. It is fetched without what it needs and
unpacked into a folder of its own; nothing of it is run.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from penstock.errors import PenstockError, PluginError
from penstock.options import short
from penstock.plugins import GROUP

from .commands import call, uv
from .resolving import Package

__all__ = ["refuse_other_projects", "refuse_what_is_no_plugin"]

_HINT = "name the folder that has yours with --find-links, or an index that does"


def refuse_other_projects(
    packages: Sequence[Package], names: Sequence[str], places: Sequence[str], tool: str
) -> None:
    """PluginError when a package of the lock has the name of one that is installed here and comes
    from another project. Those with `names`, and all of ours, are looked at, unless they are files
    of this machine. `places` say where to look, and `tool` who does: what has resolved, as uv and
    pip may know different indexes."""
    meant = {canonicalize_name(name) for name in names}
    asked = [
        package
        for package in packages
        if (package.name in meant or _ours(package.name))
        and any(artifact.path is None for artifact in package.artifacts)
    ]
    wanted = [f"{package.name}=={package.version}" for package in asked]
    for theirs in _fetched(wanted, places, tool):
        here = next(iter(metadata.Distribution.discover(name=theirs.name)), None)
        if here is None:
            _refuse_no_plugin(theirs)
        elif not _same_project(here, theirs):
            _refuse(theirs, f"is not from the project of the {here.version} that is installed here")


def refuse_what_is_no_plugin(requirements: Sequence[str], places: Sequence[str], tool: str) -> None:
    """PluginError when one that has a name of ours has nothing to do with Penstock."""
    parsed = map(Requirement, requirements)
    wanted = [str(one) for one in parsed if _ours(canonicalize_name(one.name)) and not one.url]
    for theirs in _fetched(wanted, places, tool):
        if canonicalize_name(theirs.name) != "penstock":
            _refuse_no_plugin(theirs)
        elif not _same_project(metadata.distribution("penstock"), theirs):
            _refuse(theirs, "is not from the project of the kernel that is installed here")


def _ours(name: str) -> bool:
    return name.partition("-")[0] == "penstock"


def _refuse_no_plugin(theirs: metadata.Distribution) -> None:
    plugin = any(entry.group == GROUP for entry in theirs.entry_points)
    needs = {canonicalize_name(Requirement(line).name) for line in theirs.requires or ()}
    if not plugin and "penstock" not in needs:
        _refuse(theirs, "has no plugin of Penstock and does not need Penstock")


def _refuse(theirs: metadata.Distribution, what: str) -> None:
    summary = _summary(theirs)
    says = f" ({short(summary)})" if summary else ""
    raise PluginError(f"{what}{says}", where=f"{theirs.name} {theirs.version}", hint=_HINT)


def _same_project(here: metadata.Distribution, theirs: metadata.Distribution) -> bool:
    """Whether both say the same of themselves, or most of the modules that are here are in the
    other one. What is installed in place does not know its modules; there one line is enough."""
    if here.read_text("METADATA") == theirs.read_text("METADATA"):
        return True
    modules = _modules(here)
    if not modules:
        return _summary(here) == _summary(theirs)
    return 2 * len(modules & _modules(theirs)) > len(modules)


def _summary(one: metadata.Distribution) -> str:
    return str(one.metadata.json.get("summary", ""))


def _modules(one: metadata.Distribution) -> set[str]:
    return {str(path) for path in one.files or () if path.suffix == ".py"}


def _fetched(
    wanted: Sequence[str], places: Sequence[str], tool: str
) -> Iterator[metadata.Distribution]:
    if not wanted:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet"]
    if tool == "uv":
        command = [uv() or "uv", "pip", "install", "--quiet", "--python", sys.executable]
    with tempfile.TemporaryDirectory() as folder:
        # Wheels only: what is built runs code of whoever has the name.
        command += ["--no-deps", "--only-binary", ":all:", "--target", folder]
        call([*command, *places, *wanted], _not_found(wanted))
        yield from metadata.distributions(path=[str(Path(folder))])


def _not_found(wanted: Sequence[str]) -> Callable[[str], PenstockError]:
    def error(said: str) -> PluginError:
        what = f"no wheel can be had: {said}"
        return PluginError(what, where=", ".join(wanted), hint=_HINT)

    return error
