"""The lock as text: a `pylock.toml` after PEP 751, the same for the same packages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .resolving import Artifact, Package

__all__ = ["pylock"]


def pylock(
    packages: Sequence[Package],
    folder: Path,
    *,
    python: str,
    pipeline: str,
    requirements: Sequence[str],
    files: Mapping[str, str],
) -> str:
    """`folder` is where the lock will stand: paths in it are relative to that. `files` are the
    hashes of what the pipeline is written in."""
    lines = [
        "# Written by `penstock lock`; change the pipeline and lock again instead of editing this.",
        'lock-version = "1.0"',
        f"requires-python = {_text(f'=={python}.*')}",
        'created-by = "penstock-deploy"',
    ]
    for package in packages:
        lines += _package(package, folder)
    lines += ["", "[tool.penstock]", f"pipeline = {_text(pipeline)}", "requirements = ["]
    lines += [f"    {_text(requirement)}," for requirement in requirements]
    lines += ["]", "", "[tool.penstock.files]"]
    lines += [f"{_text(name)} = {_text(digest)}" for name, digest in files.items()]
    return "\n".join([*lines, ""])


def _package(package: Package, folder: Path) -> Iterator[str]:
    yield from ["", "[[packages]]", f"name = {_text(package.name)}"]
    if package.version:
        yield f"version = {_text(package.version)}"
    if package.marker:
        yield f"marker = {_text(package.marker)}"
    wheels = [one for one in package.artifacts if one.is_wheel]
    if wheels:
        yield "wheels = ["
        yield from (f"    {_artifact(one, folder)}," for one in wheels)
        yield "]"
    else:
        yield f"sdist = {_artifact(package.artifacts[0], folder)}"


def _artifact(one: Artifact, folder: Path) -> str:
    parts = [f"name = {_text(one.name)}"]
    if one.path is not None:
        relative = Path(os.path.relpath(one.path, folder)).as_posix()
        parts.append(f"path = {_text(relative)}")
    else:
        parts.append(f"url = {_text(one.url)}")
    if one.size is not None:
        parts.append(f"size = {one.size}")
    parts.append(f"hashes = {{ sha256 = {_text(one.sha256)} }}")
    return f"{{ {', '.join(parts)} }}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)  # JSON's escapes are TOML's
