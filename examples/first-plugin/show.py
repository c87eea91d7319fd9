"""From an empty folder to a locked deployment, with wheels only: a plugin of ten lines is made,
certified, used in a tested pipeline, locked, and run where nothing else is.

    python show.py --wheels FOLDER     where the wheels of Penstock's packages are

Everything happens in a temporary folder, or in --folder, which must be empty.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

FILES = Path(__file__).resolve().parent / "files"
TOOLS = ["penstock", "penstock-testkit", "penstock-pipeline-tests", "penstock-deploy"]
PLUGINS = ["penstock-input-csv", "penstock-sink-json"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheels", type=Path, required=True, help="the wheels of Penstock")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    if options.folder:
        return show(options.folder.resolve(), options.wheels.resolve())
    with tempfile.TemporaryDirectory() as folder:
        return show(Path(folder).resolve(), options.wheels.resolve())


def show(folder: Path, given: Path) -> int:
    """The whole of it; ends with the exit code of what went wrong, if anything did."""
    if any(folder.iterdir()):
        print(f"{folder}: is not empty; name another folder", file=sys.stderr)
        return 2
    wheels = shutil.copytree(given, folder / "wheels")
    links = ["--find-links", str(wheels)]
    make_environment(folder / "here")
    here = Shell(folder, folder / "here")
    here("python", "-m", "pip", "install", "-q", *links, *TOOLS, *PLUGINS, "pytest", "uv")

    say("a new plugin, and ten lines of our own")
    here("penstock", "new", "plugin", "iban", "--role", "inspector", "--distribution", "acme-iban")
    put(FILES / "inspector.py", folder / "acme-iban" / "src" / "acme_iban")
    put(FILES / "test_inspector.py", folder / "acme-iban" / "tests")
    put(FILES / "conformance.py", folder / "acme-iban" / "src" / "acme_iban")
    here("pytest", "-q", "acme-iban")
    here("python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", "wheels", "./acme-iban")
    here("python", "-m", "pip", "install", "-q", *links, "acme-iban")

    say("certified")
    here("penstock", "certify", "acme-iban")
    here("penstock", "plugins")

    say("used in a pipeline, which has tests")
    for name in ("accounts.csv", "accounts.yaml", "accounts.test.yaml"):
        put(FILES / name, folder)
    here("penstock", "check", "accounts.yaml")
    here("penstock", "test", "accounts.yaml")
    here("penstock", "run", "accounts.yaml", "--quiet", ends_with=6)
    here("penstock", "errors", "accounts.yaml", "--all")

    say("locked, and installed where nothing else is")
    here("penstock", "lock", "accounts.yaml", *links)
    make_environment(folder / "there", pip=False)
    here("uv", "pip", "sync", "-q", "--python", str(folder / "there"), "pylock.toml")
    there = Shell(folder, folder / "there")
    there("penstock", "plugins")
    there("penstock", "run", "accounts.yaml", "--locked", "--quiet", ends_with=6)
    print((folder / "accounts.jsonl").read_text("utf-8"), end="")
    return 0


def say(text: str) -> None:
    print(f"\n# {text}\n", flush=True)


def put(file: Path, folder: Path) -> None:
    shutil.copy(file, folder / file.name)
    print(f"# {file.name}: {len(file.read_text('utf-8').splitlines())} lines", flush=True)


def make_environment(path: Path, *, pip: bool = True) -> None:
    venv.create(path, with_pip=pip)


class Shell:
    """Shows each command and runs it with what is installed in an environment."""

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder = folder
        self.bin = environment / ("Scripts" if os.name == "nt" else "bin")

    def __call__(self, command: str, *arguments: str, ends_with: int = 0) -> None:
        # What is printed does not depend on where the folder is.
        shown = " ".join([command, *arguments]).replace(str(self.folder) + os.sep, "")
        print(f"$ {shown}", flush=True)
        path = f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [self.bin / command, *arguments], cwd=self.folder, env=environment, check=False
        )
        if done.returncode != ends_with:
            print(f"{shown}: ended with {done.returncode}, not {ends_with}", file=sys.stderr)
            raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
