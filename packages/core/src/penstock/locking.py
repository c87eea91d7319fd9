"""Whether what is installed, and the pipeline itself, is what the lock beside the pipeline names.

The lock is a `pylock.toml`, as PEP 751 describes it and any tool may have written it. What
`penstock lock` adds to it stands under `[tool.penstock]`: the hashes of the pipeline's own files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from .errors import LockError
from .hookspecs import EXTRAS, PROVIDERS
from .options import short
from .plugins import Plugins

__all__ = ["find_lock", "normal", "read_lock", "verify"]

_LOCK_AGAIN = "lock again with `penstock lock`"


def find_lock(pipeline: Path) -> Path:
    """The lock of a pipeline: `pylock.<its name>.toml` beside it, or else `pylock.toml`."""
    own = pipeline.parent / f"pylock.{pipeline.stem}.toml"
    return own if own.is_file() else pipeline.parent / "pylock.toml"


def read_lock(path: Path) -> dict[str, Any]:
    """A lock as it stands in its file; raises LockError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        lock: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        hint = "make it with `penstock lock` of penstock-deploy"
        raise LockError("there is no such lock", where=str(path), hint=hint) from None
    except (OSError, ValueError) as error:
        raise LockError(f"cannot be read: {error}", where=str(path), hint=_LOCK_AGAIN) from error
    version = lock.get("lock-version")
    if not isinstance(version, str) or not version.startswith("1.") or "packages" not in lock:
        what = f"is no lock of version 1, got {short(version)}"
        raise LockError(what, where=str(path), hint=_LOCK_AGAIN)
    return lock


def verify(pipeline: Path, plugins: Plugins) -> None:
    """Raise LockError with everything that differs from the lock."""
    path = find_lock(pipeline)
    lock = read_lock(path)
    changed = list(_changed_files(lock, path.parent))
    differing = [*_differing(lock), *_strangers(lock, plugins)]
    if not changed and not differing:
        return
    sentences = [f"{path}: {what}; {_LOCK_AGAIN}" for what in changed]
    hint = f"install what is locked, as with `uv pip sync {path}`, or lock again"
    sentences += [f"{path}: {what}; {hint}" for what in differing]
    raise LockError("\n".join(sentences))


def normal(name: str) -> str:
    """The name of a distribution in the one spelling that locks use."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _changed_files(lock: Mapping[str, Any], folder: Path) -> Iterator[str]:
    from hashlib import sha256

    for name, locked in lock.get("tool", {}).get("penstock", {}).get("files", {}).items():
        try:
            found = sha256((folder / name).read_bytes()).hexdigest()
        except OSError as error:
            yield f"{name!r} cannot be read: {error.strerror}"
            continue
        if found != locked:
            yield f"{name!r} has changed since it was locked"


def _differing(lock: Mapping[str, Any]) -> Iterator[str]:
    """What is not installed as it is locked. What has a marker is perhaps not for this machine, so
    it may be missing."""
    for package in lock["packages"]:
        name, version = package["name"], package.get("version")
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if "marker" not in package:
                yield f"{name} {version or ''}".rstrip() + " is locked and not installed"
            continue
        if version is not None and found.version != version:
            yield f"{name} {version} is locked and {found.version} is installed"
        elif _in_place(found):
            yield f"{name} {version} is locked and its sources are installed in place"


def _in_place(found: metadata.Distribution) -> bool:
    """Whether the code that runs is in a folder of sources, whatever the version says."""
    import json

    origin = json.loads(found.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def _strangers(lock: Mapping[str, Any], plugins: Plugins) -> Iterator[str]:
    """Plugins that would take part in the run and are not locked. One that only provides names
    which the pipeline does not use changes nothing."""
    locked = {normal(package["name"]) for package in lock["packages"]}
    silent = {*PROVIDERS.values(), EXTRAS}
    for one in plugins.distributions():
        takes_part = one.state == "loaded" and not silent.issuperset(one.hooks)
        if takes_part and normal(one.name) not in locked and _is_installed(one.name):
            yield f"{one.name} {one.version} takes part in every run and is not locked"


def _is_installed(name: str) -> bool:
    """Whether it is a distribution, and not a file that --plugin names."""
    try:
        metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return False
    return True
