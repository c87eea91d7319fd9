"""`penstock lock`: what a pipeline needs, as it is installed here, written down with hashes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from penstock.cli.loading import find_file, plugins_of
from penstock.cli.showing import print_json
from penstock.errors import LockError, PluginError, UsageError
from penstock.locking import find_lock, read_lock
from penstock.requirements import Requirements, requirements_of

from .commands import Command, find_links
from .identity import refuse_other_projects
from .installed import closure
from .pylock import pylock
from .resolving import RESOLVERS, Wanted, resolve, resolver_here
from .sbom import sbom

__all__ = ["command"]


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pipeline",
        nargs="?",
        help="pipeline file (default: penstock.yaml, .toml or .json in this folder)",
    )
    parser.add_argument(
        "--with",
        dest="more",
        action="append",
        default=[],
        metavar="REQUIREMENT",
        help="lock this as well, as what a module beside the pipeline imports; may be repeated",
    )
    find_links(parser)
    parser.add_argument(
        "--no-index", action="store_true", help="use nothing but the folders of --find-links"
    )
    parser.add_argument(
        "--upgrade", action="store_true", help="lock the newest versions, not the installed ones"
    )
    parser.add_argument(
        "--for-python", default="", metavar="VERSION", help="lock for this Python, as 3.12 (uv)"
    )
    parser.add_argument(
        "--for-platform", default="", metavar="PLATFORM", help="lock for this one, as linux (uv)"
    )
    parser.add_argument(
        "--resolver", choices=RESOLVERS, default="", help="who resolves (default: uv if it is here)"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write here (default: pylock.toml beside the file)"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace a lock that another program has written"
    )
    parser.add_argument("--plugin", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--no-plugins", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="report as JSON on standard output")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")


def run(options: Any) -> int:
    file = find_file(options.pipeline)
    lock = _destination(options, file)
    needed = requirements_of(file, plugins_of(options))
    if needed.problems:
        raise PluginError("\n".join(map(str, needed.problems)))
    requirements = _requirements(options, needed)
    installed = closure(requirements)
    held = [f"{one.name}=={one.version}" for one in installed.values()]
    wanted = Wanted(
        requirements,
        () if options.upgrade else held,
        [Path(one).resolve() for one in options.find_links],
        options.no_index,
        options.for_python,
        options.for_platform,
    )
    resolver = options.resolver or resolver_here()
    packages = resolve(wanted, resolver)
    names = [one.name for one in needed.distributions]
    refuse_other_projects(packages, names, wanted.places, resolver)
    text = pylock(
        packages,
        lock.parent.resolve(),
        python=options.for_python or f"{sys.version_info[0]}.{sys.version_info[1]}",
        pipeline=file.name,
        requirements=requirements,
        files=dict(_hashes(needed.files, lock.parent)),
    )
    bill = lock.with_suffix(".cdx.json")
    lock.write_text(text, encoding="utf-8")
    bill.write_text(
        sbom(packages, installed, pipeline=needed.pipeline, requirements=requirements),
        encoding="utf-8",
    )
    if options.json:
        locked = {package.name: package.version for package in packages}
        print_json({"lock": str(lock), "sbom": str(bill), "packages": locked})
    else:
        print(f"{lock}: {len(packages)} packages for {needed.pipeline}, with hashes")
        print(f"{bill}: what they are, as CycloneDX")
    return 0


def _destination(options: Any, file: Path) -> Path:
    """Where the lock is written; a file that we have not written is left alone."""
    lock = Path(options.output) if options.output else find_lock(file)
    parts = lock.name.split(".")
    if parts[0] != "pylock" or parts[-1] != "toml" or len(parts) > 3:
        what = f"must be pylock.toml or pylock.NAME.toml, got {lock.name!r}"
        raise UsageError(what, where="--output", hint="installers know a lock by its name")
    if options.force or not lock.exists():
        return lock
    owner = read_lock(lock).get("tool", {}).get("penstock", {}).get("pipeline")
    if owner != file.name:
        whose = f"is the lock of {owner!r}" if owner else "was not written by penstock lock"
        hint = f"choose another with --output pylock.{file.stem}.toml, or replace it with --force"
        raise LockError(whose, where=str(lock), hint=hint)
    return lock


def _requirements(options: Any, needed: Requirements) -> list[str]:
    """What to resolve: the pipeline's distributions, as they are installed or as they come."""
    found = []
    for one in needed.distributions:
        name = str(one).partition("==")[0]
        found.append(name if options.upgrade else str(one))
    for text in options.more:
        try:
            found.append(str(Requirement(text)))
        except InvalidRequirement:
            hint = "write a name, or a name with a version as 'rich>=13'"
            raise UsageError(f"{text!r} is no requirement", where="--with", hint=hint) from None
    return found


def _hashes(files: list[Path], folder: Path) -> Iterator[tuple[str, str]]:
    """The files that the pipeline is written in, and all modules of a package among them."""
    for path in files:
        modules = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for module in modules:
            name = Path(os.path.relpath(module, folder)).as_posix()
            yield name, sha256(module.read_bytes()).hexdigest()


command = Command("write down with hashes what a pipeline needs", arguments, run)
