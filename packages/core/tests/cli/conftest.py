"""The command line in this process and as a process of its own, and plugins that only tests have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import penstock
from penstock.cli import main

SOURCES = Path(penstock.__file__).parent.parent


@dataclass
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Folder:
    """A folder with the files of a test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def provide(self, distribution: str, hooks: str, version: str = "1.0") -> None:
        """Install a plugin, as pip would leave it, into a folder that is on the path."""
        module = distribution.replace("-", "_") + "_hooks"
        self.write(f"site/{module}.py", hooks)
        self.write(
            f"site/{distribution.replace('-', '_')}-{version}.dist-info/entry_points.txt",
            f"[penstock.plugins.v1]\nmain = {module}\n",
        )
        self.write(
            f"site/{distribution.replace('-', '_')}-{version}.dist-info/METADATA",
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        )

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.path / "site"), str(SOURCES)])
        kept = {name: value for name, value in os.environ.items() if "PENSTOCK" not in name}
        return {**kept, "PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error"}

    def penstock(self, *arguments: str, **environment: str) -> Done:
        """Run the command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "penstock", *arguments],
            cwd=self.path,
            env={**self.environment, **environment},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, to be talked to while it runs."""
        return subprocess.Popen(
            [sys.executable, "-m", "penstock", *arguments],
            cwd=self.path,
            env={**self.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """The current folder; modules that a test imports from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delenv("PENSTOCK_DISABLE", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    yield Folder(tmp_path)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def cli(folder: Folder, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """`cli("check", "a.yaml")` in this process."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(arguments)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return call


FUNCTIONS = '''
"""Functions for pipelines of tests."""

from penstock import RecordError


def count(upto: int = 3):
    """Count from 1."""
    for number in range(1, upto + 1):
        yield {"n": number}


def double(record):
    """Double the number."""
    return {"n": record["n"] * 2}


def even(record):
    """Keep even numbers."""
    return record if record["n"] % 2 == 0 else None


def twice(record):
    """Give every record twice."""
    yield record
    yield {**record, "again": True}


def not_three(record):
    """Object to three."""
    if record["n"] == 3:
        raise RecordError(f"must not be {record['n']!r}")


def keep(record, path: str = "written.txt"):
    """Append to a file."""
    with open(path, "a") as file:
        file.write(f"{record['n']}\\n")
'''


@pytest.fixture
def functions(folder: Folder) -> Folder:
    """The folder with `functions.py` in it."""
    folder.write("functions.py", FUNCTIONS)
    return folder


@pytest.fixture
def numbers(functions: Folder) -> Folder:
    """The folder with numbers.yaml: 1 to 4, of which 3 fails, doubled and printed."""
    functions.write(
        "numbers.yaml",
        """
        inputs:
          count: {use: "functions:count", upto: 4, key: n}
        inspectors:
          allowed: {use: "functions:not_three"}
        transformers:
          doubled: {use: "functions:double"}
        pipes:
          main: [count, allowed, doubled]
        """,
    )
    return functions
