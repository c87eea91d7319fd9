"""Which files would be installed for some requirements: uv or pip says so, with their hashes.

Both write the same kind of lock, which is read back here. A wheel from a folder of ours is held to
by its path: its name may belong to somebody else on a public index, and then uv names both files
and pip either.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.requirements import Requirement
from packaging.tags import compatible_tags, sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from penstock.errors import PluginError, UsageError
from penstock.locking import read_lock

from .commands import call, has_pip, uv

__all__ = ["Artifact", "Package", "Wanted", "resolve", "resolver_here"]

RESOLVERS = ("uv", "pip")


@dataclass
class Artifact:
    """A file that can be installed; it has either a `path` on this machine or a `url`."""

    name: str
    sha256: str
    path: Path | None = None
    url: str = ""
    size: int | None = None

    @property
    def is_wheel(self) -> bool:
        return self.name.endswith(".whl")


@dataclass
class Package:
    """One distribution of a lock."""

    name: str
    version: str
    artifacts: list[Artifact] = field(default_factory=list)
    marker: str = ""


@dataclass
class Wanted:
    """What is to be resolved: requirements, versions they are held to, and where to look."""

    requirements: Sequence[str]
    constraints: Sequence[str] = ()
    find_links: Sequence[Path] = ()
    no_index: bool = False
    python: str = ""
    platform: str = ""

    @property
    def places(self) -> list[str]:
        """Where to look, as uv and pip are told."""
        places = [word for folder in self.find_links for word in ("--find-links", str(folder))]
        return [*places, "--no-index"] if self.no_index else places


def resolve(wanted: Wanted, resolver: str) -> list[Package]:
    """The packages to install, by name; `resolver` is "uv" or "pip"."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder, "pylock.toml")
        requirements = _written(Path(folder, "requirements.in"), wanted.requirements)
        constraints = _written(Path(folder, "constraints.txt"), list(_constraints(wanted)))
        command = [*_command(resolver, wanted), "--constraint", constraints]
        command += wanted.places
        source = [requirements] if resolver == "uv" else ["--requirement", requirements]
        output = "--output-file" if resolver == "uv" else "--output"
        call([*command, output, str(lock), *source], _refused(resolver))
        found = read_lock(lock)
    packages = [_package(entry) for entry in found["packages"]]
    for package in packages:
        if not package.artifacts:
            what = f"{package.name} {package.version} has no file with a hash"
            raise PluginError(what, where=resolver, hint="name a folder that has it: --find-links")
    return sorted(packages, key=lambda package: package.name)


def _constraints(wanted: Wanted) -> Iterator[str]:
    """The versions to hold to; those that our folders have by the path of their wheel."""
    ours = _ours(wanted)
    held = {Requirement(one).name: one for one in wanted.constraints}
    for name, line in held.items():
        [version] = [spec.version for spec in Requirement(line).specifier]
        wheel = ours.pop(name, {}).get(Version(version))
        yield f"{name} @ {wheel.as_uri()}" if wheel else line
    for name, versions in ours.items():
        yield f"{name} @ {versions[max(versions)].as_uri()}"


def _ours(wanted: Wanted) -> dict[str, dict[Version, Path]]:
    """The wheels of our folders that fit, by name and version. For another machine than this one
    only those that fit all: which others do, the resolver knows."""
    foreign = wanted.python or wanted.platform
    fitting = set(compatible_tags() if foreign else sys_tags())
    found: dict[str, dict[Version, Path]] = {}
    for folder in wanted.find_links:
        for wheel in sorted(folder.glob("*.whl")):
            try:
                name, version, _, tags = parse_wheel_filename(wheel.name)
            except InvalidWheelFilename:
                continue  # as resolvers do
            if tags & fitting and not (foreign and not wheel.name.endswith("-none-any.whl")):
                found.setdefault(name, {}).setdefault(version, wheel)
    return found


def resolver_here() -> str:
    """The resolver to take where nobody has chosen one."""
    if uv():
        return "uv"
    if has_pip():
        from importlib import metadata

        if tuple(map(int, metadata.version("pip").split(".")[:2])) >= (25, 1):
            return "pip"
    raise PluginError("neither uv nor pip 25.1 is here to resolve", hint="pip install uv")


def _command(resolver: str, wanted: Wanted) -> list[str]:
    if resolver == "pip":
        if wanted.python or wanted.platform:
            what = "pip locks only for the Python and the machine that it runs on"
            raise UsageError(what, where="--resolver", hint="use uv")
        if not has_pip():
            raise PluginError("there is no pip in this environment", hint="use uv")
        return [sys.executable, "-m", "pip", "lock", "--quiet"]
    program = uv()
    if program is None:
        raise PluginError("there is no uv here", hint="pip install uv")
    command = [program, "pip", "compile", "--quiet", "--generate-hashes"]
    command += ["--format", "pylock.toml"]
    if wanted.platform:
        command += ["--python-platform", wanted.platform]
    if wanted.python:
        return [*command, "--python-version", wanted.python]
    return [*command, "--python", sys.executable]


def _refused(resolver: str) -> Any:
    def error(said: str) -> PluginError:
        return PluginError(
            f"cannot resolve: {said}",
            where=resolver,
            hint="name the folder of what no index has with --find-links, or allow other versions"
            " with --upgrade",
        )

    return error


def _written(path: Path, lines: Sequence[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def _package(entry: Mapping[str, Any]) -> Package:
    files = [_artifact(one) for one in _files(entry) if "sha256" in one.get("hashes", {})]
    # Where a wheel is there nothing needs to be built.
    files = [one for one in files if one.is_wheel] or files
    files.sort(key=lambda one: one.name)
    version = entry.get("version", "")
    if not version and files and files[0].is_wheel:  # it was named by its path
        version = str(parse_wheel_filename(files[0].name)[1])
    return Package(canonicalize_name(entry["name"]), version, files, entry.get("marker", ""))


def _files(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from entry.get("wheels", ())
    for kind in ("sdist", "archive"):
        if kind in entry:
            yield entry[kind]


def _artifact(entry: Mapping[str, Any]) -> Artifact:
    url = urlsplit(entry.get("url", ""))
    path = Path(entry["path"]) if "path" in entry else None
    if url.scheme == "file":
        path = Path(unquote(url.path))
    name = entry.get("name") or (path.name if path else unquote(os.path.basename(url.path)))
    # Somebody's password for an index is not for a file that many read.
    public = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2], fragment=""))
    artifact = Artifact(name, entry["hashes"]["sha256"], path, size=entry.get("size"))
    if path is None:
        artifact.url = public
    return artifact
