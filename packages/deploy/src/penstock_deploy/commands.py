"""What the commands of this package share: their form, and how they call other programs."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from penstock.errors import PenstockError
from penstock.options import mask

__all__ = ["Command", "call", "find_links", "has_pip", "uv"]


class Command(NamedTuple):
    """A command as the command line of the kernel calls it."""

    HELP: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Any], int]


def uv() -> str | None:
    """The program uv: the one beside this interpreter, or the first on the path."""
    beside = shutil.which("uv", path=str(Path(sys.executable).parent))
    return beside or shutil.which("uv")


def has_pip() -> bool:
    """Whether this environment has a pip of its own."""
    from importlib.util import find_spec

    return find_spec("pip") is not None


def find_links(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--find-links",
        action="append",
        default=[],
        metavar="FOLDER",
        help="look for distributions in this folder as well; may be repeated",
    )


def call(command: Sequence[str | os.PathLike[str]], failed: Callable[[str], PenstockError]) -> str:
    """Run a program and return what it prints; `failed` makes an error from what it complains."""
    environ = {**os.environ, "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [os.fspath(word) for word in command],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = [line for line in said if not line.startswith(("warning:", "WARNING:"))]
        raise failed(mask(" ".join(said)) or f"it ended with {done.returncode}")
    return done.stdout
