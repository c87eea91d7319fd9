"""The tools we compare with, each in a virtual environment of its own.

    python benchmarks/peers.py install [NAME…]
    python benchmarks/peers.py list

A peer is a file in `peers/requirements/`, whose name is that of its distribution.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "peers" / "requirements"
VENVS = HERE / ".venvs"


def names() -> list[str]:
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def program(peer: str, command: str = "python") -> Path:
    """Where a program of the peer's environment is, installed or not."""
    return VENVS / peer / "bin" / command


def version(peer: str) -> str | None:
    """The installed version, None if it is not installed."""
    folders = [str(folder) for folder in (VENVS / peer).glob("lib/python*/site-packages")]
    for found in distributions(name=peer, path=folders):
        return found.version
    return None


def install(peer: str) -> bool:
    """Make the environment anew; True if that worked."""
    steps: tuple[list[str | Path], ...] = (
        [sys.executable, "-m", "venv", "--clear", VENVS / peer],
        [
            *(program(peer), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--requirement", REQUIREMENTS / f"{peer}.txt"),
        ],
    )
    return all(subprocess.run(step, check=False).returncode == 0 for step in steps)


def parse(arguments: list[str]) -> tuple[str, list[str]]:
    """What to do with which peers; ValueError when it cannot be done."""
    command, *wanted = arguments or [""]
    if command not in ("install", "list") or set(wanted) - set(names()):
        raise ValueError(arguments)
    return command, wanted or names()


def main(arguments: list[str]) -> int:
    try:
        command, wanted = parse(arguments)
    except ValueError:
        print(__doc__, file=sys.stderr)
        print(f"peers: {', '.join(names())}", file=sys.stderr)
        return 2
    failed = []
    for peer in wanted:
        if command == "install" and not install(peer):
            failed.append(peer)
        print(f"{peer}: {version(peer) or 'not installed'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
