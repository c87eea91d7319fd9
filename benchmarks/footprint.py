"""What installing the core alone brings: its wheel, in a fresh virtual environment."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

CORE = Path(__file__).resolve().parent.parent / "packages" / "core"


def measure() -> dict[str, float]:
    """The number of dependencies, and the MB of all files that were added."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = folder / "venv" / "bin" / "python"
        pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run([sys.executable, "-m", "venv", folder / "venv"])
        _run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "wheels", CORE])
        (site,) = (folder / "venv").glob("lib/python*/site-packages")
        count, size = _content(site)
        _run([*pip, "install", *(folder / "wheels").glob("*.whl")])
        new_count, new_size = _content(site)
        return {"dependencies": new_count - count - 1, "MB": (new_size - size) / 1e6}


def _content(site: Path) -> tuple[int, int]:
    """How many distributions there are, and the bytes of all files, compiled ones too."""
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    return len(list(distributions(path=[str(site)]))), size


def _run(command: list[str | Path]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    print(measure())
