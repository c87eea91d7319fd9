"""`penstock image`: a Dockerfile with what is locked for a pipeline, and nothing else."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from penstock.cli.loading import find_file
from penstock.cli.showing import print_json
from penstock.errors import LockError, UsageError
from penstock.locking import find_lock, read_lock

from .commands import Command

__all__ = ["command", "dockerfile", "requirements"]

MARK = "# Written by `penstock image`"
USER = 10001


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pipeline",
        nargs="?",
        help="pipeline file (default: penstock.yaml, .toml or .json in this folder)",
    )
    parser.add_argument(
        "--base", metavar="IMAGE", help="begin with this image (default: python:X.Y-slim)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that are not ours")
    parser.add_argument("--json", action="store_true", help="report as JSON on standard output")
    parser.add_argument("-v", "--verbose", action="store_true", help="show tracebacks")


def run(options: Any) -> int:
    file = find_file(options.pipeline)
    folder = file.parent
    path = find_lock(file)
    lock = read_lock(path)
    base = options.base or f"python:{_python(lock, path)}-slim"
    listed = path.with_suffix(".requirements.txt")
    copied = list(_copied(lock, path, file))
    wheels = list(_wheels(lock, path))
    texts = {
        folder / "Dockerfile": dockerfile(
            base, listed.name, wheels, [path.name, *copied], file.name, _builds(lock)
        ),
        folder / ".dockerignore": _ignore([listed.name, *wheels, path.name, *copied]),
        listed: requirements(lock),
    }
    for one in texts:
        _must_be_ours(one, options.force)
    for one, text in texts.items():
        one.write_text(text, encoding="utf-8")
    if options.json:
        print_json({"base": base, "files": [str(one) for one in texts]})
        return 0
    docker, ignore, _ = texts
    print(f"{docker}: {file.name} on {base}")
    print(f"{ignore}: lets in nothing but what is copied")
    print(f"{listed}: the lock, as pip of any version reads it")
    return 0


def _python(lock: Mapping[str, Any], path: Path) -> str:
    required = str(lock.get("requires-python", ""))
    if required.startswith("==") and required.endswith(".*"):
        return required[2:-2]
    what = f"does not say for which Python it is, got {required!r}"
    raise LockError(what, where=str(path), hint="name the image to begin with: --base")


def _must_be_ours(path: Path, force: bool) -> None:
    if force or not path.exists():
        return
    if not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise UsageError(
            "was not written by penstock image", where=str(path), hint="replace it with --force"
        )


def dockerfile(
    base: str,
    listed: str,
    wheels: Sequence[str],
    copied: Sequence[str],
    pipeline: str,
    builds: bool,
) -> str:
    """Two stages: one that installs and checks, and one that only runs."""
    only = "" if builds else " --only-binary :all:"
    lines = [
        f"{MARK} {pipeline}; write it again after `penstock lock`.",
        f"FROM {base} AS build",
        "WORKDIR /build",
        _copy([listed], "./"),
        *(_copy([wheel], wheel) for wheel in wheels),
        "RUN python -m venv --without-pip /opt/penstock",
        "RUN python -m pip --python /opt/penstock install --no-cache-dir --no-deps"
        f" --require-hashes{only} --requirement {quote(listed)}",
        "",
        f"FROM {base}",
        f"RUN python -m pip uninstall --yes pip && install -d -o {USER} -g {USER} /state",
        "COPY --from=build /opt/penstock /opt/penstock",
        "WORKDIR /app",
        *(_copy([one], one) for one in copied),
        "ENV PATH=/opt/penstock/bin:$PATH HOME=/state PYTHONDONTWRITEBYTECODE=1",
        f"USER {USER}:{USER}",
        'VOLUME ["/state"]',
        'ENTRYPOINT ["penstock"]',
        f"CMD {json.dumps(['run', pipeline, '--locked', '--state', '/state'])}",
    ]
    return "\n".join([*lines, ""])


def _copy(sources: Sequence[str], target: str) -> str:
    return f"COPY {json.dumps([*sources, target])}"


def _ignore(kept: Sequence[str]) -> str:
    """Everything is ignored but what is copied, and the folders that lead there."""
    lines = [f"{MARK}: lets in nothing but what is copied.", "*"]
    for name in kept:
        parents = [f"!{parent.as_posix()}/" for parent in reversed(Path(name).parents)][1:]
        lines += [one for one in [*parents, f"!{name}"] if one not in lines]
    return "\n".join([*lines, ""])


def requirements(lock: Mapping[str, Any]) -> str:
    """The lock as lines with hashes; a file of our own by its path."""
    lines = [f"{MARK}: what pylock.toml names, as pip of any version reads it."]
    for package in lock["packages"]:
        files = list(_files(package))
        local = [one["path"] for one in files if "path" in one]
        name = f"./{local[0]}" if local else f"{package['name']}=={package['version']}"
        marker = f" ; {package['marker']}" if "marker" in package else ""
        hashes = [f"    --hash=sha256:{one['hashes']['sha256']}" for one in files]
        lines.append(" \\\n".join([f"{name}{marker}", *hashes]))
    return "\n".join([*lines, ""])


def _files(package: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from package.get("wheels", ())
    for kind in ("sdist", "archive"):
        if kind in package and not package.get("wheels"):
            yield package[kind]


def _builds(lock: Mapping[str, Any]) -> bool:
    return any(not package.get("wheels") for package in lock["packages"])


def _wheels(lock: Mapping[str, Any], path: Path) -> Iterator[str]:
    """Files of our own, which the image must be given."""
    for package in lock["packages"]:
        for one in _files(package):
            if "path" in one:
                yield _inside(one["path"], path, "copy the file beside the pipeline and lock again")


def _copied(lock: Mapping[str, Any], path: Path, pipeline: Path) -> Iterator[str]:
    """What the pipeline is written in, as its lock names it."""
    files = lock.get("tool", {}).get("penstock", {}).get("files", {})
    for name in files or [pipeline.name]:
        yield _inside(name, path, "put it beside the pipeline and lock again")


def _inside(name: str, lock: Path, hint: str) -> str:
    if os.path.isabs(name) or name.startswith(".."):
        raise LockError(
            f"{name!r} is outside of the folder of the image", where=str(lock), hint=hint
        )
    return name


command = Command("write a Dockerfile with what is locked for a pipeline", arguments, run)
