"""Wheels of every package, built once, and environments that hold nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Run = subprocess.CompletedProcess[str]


KEPT = ["SYSTEMROOT", "LANG"]
"""Variables without which nothing starts…"""
KEPT += ["SSL_CERT_FILE", "HTTPS_PROXY", "PIP_CERT", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"]
"""… and those without which nothing is downloaded."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with neither pip nor anything else in it but what was installed."""

    path: Path

    @property
    def bin(self) -> Path:
        return self.path / ("Scripts" if os.name == "nt" else "bin")

    @property
    def kept(self) -> dict[str, str]:
        """What of our own environment is there too."""
        return {name: os.environ[name] for name in KEPT if name in os.environ}

    @property
    def site(self) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(self.run("python", "-c", code).stdout.strip())

    def run(self, *command: str, cwd: Path | None = None) -> Run:
        """Run a command of this environment as a user would, without anything of ours around it."""
        return subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=cwd or self.path,
            env={
                **self.kept,
                "PATH": f"{self.bin}{os.pathsep}{os.defpath}",
                "HOME": str(self.path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *what: str | Path) -> None:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        command = [*pip, "--python", self.path, "install", *what]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class Wheels(dict[str, Path]):
    """Wheels by folder name; one that could not be built fails the tests that ask for it."""

    def __init__(self) -> None:
        self.printed: dict[str, str] = {}

    def __missing__(self, folder: str) -> Path:
        pytest.fail(f"{folder} cannot be built:\n{self.printed[folder]}", pytrace=False)


COSTS = pytest.StashKey[list[tuple[str, int, float, list[str]]]]()


@pytest.fixture(scope="session")
def costs(pytestconfig) -> list[tuple[str, int, float, list[str]]]:
    """Where tests note what a package costs: bytes, seconds, and what else comes with it."""
    return pytestconfig.stash.setdefault(COSTS, [])


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Shows the costs; not with several workers, as each has noted its own."""
    rows = config.stash.get(COSTS, [])
    if rows:
        terminalreporter.section("beside the core: size in all, import of its components, brings")
    for name, size, seconds, others in sorted(rows):
        terminalreporter.line(
            f"{name:<30}{size / 1e6:>7.1f} MB{seconds * 1000:>8.0f} ms  {' '.join(others)}"
        )


@pytest.fixture(scope="session")
def wheels(tmp_path_factory, packages) -> Wheels:
    """The wheel of each package, by its folder name; it is built from the source archive, as a
    release is, so that a file that the archive lacks is noticed."""
    out = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out]
    running = {
        package.folder: subprocess.Popen(
            [*build, package.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for package in packages
    }
    wheels = Wheels()
    for package in packages:
        wheels.printed[package.folder], _ = running[package.folder].communicate()
        for path in out.glob(f"{package.distribution.replace('-', '_')}-[0-9]*.whl"):
            wheels[package.folder] = path
    return wheels


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory) -> Callable[[str], Environment]:
    def make(name: str) -> Environment:
        path = tmp_path_factory.mktemp(name)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
        return Environment(path)

    return make


@pytest.fixture(scope="session")
def core_alone(wheels, new_environment) -> Environment:
    """An environment in which `pip install penstock` was the only command."""
    environment = new_environment("core")
    environment.install(wheels["core"])
    return environment


@pytest.fixture(scope="session")
def everything(wheels, packages, new_environment) -> Environment:
    """An environment with every package of this repository, from wheels."""
    environment = new_environment("everything")
    environment.install(*[wheels[package.folder] for package in packages])
    return environment
