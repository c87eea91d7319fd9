"""Every check by session, each in an environment of its own: `nox --list` shows them.

`make test` runs the same commands in one environment. What a tool does is set in pyproject.toml;
packages and Python versions are found, never listed.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "types", "tests", "integration", "install", "docs"]
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False

REPO = Path(__file__).parent
PACKAGES = sorted(path.parent.name for path in REPO.glob("packages/*/pyproject.toml"))
BUILD_TOOLS = ["hatchling>=1.26", "editables>=0.5"]


def pythons() -> dict[str, str]:
    """The interpreters that are here, of the versions that packages promise to work with.

    A version manager puts a shim on the path for each version it has, which refuses to run when
    another one is chosen: so each candidate is run, and the manager's own folder is looked into.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {}
    for version in ("3.10", "3.11", "3.12", "3.13"):
        name = f"python{version}"
        candidates = [shutil.which(name), *map(str, pyenv.glob(f"{version}.*/bin/{name}"))]
        for candidate in filter(None, candidates):
            if not subprocess.run(
                [candidate, "-c", ""], capture_output=True, check=False
            ).returncode:
                found[version] = candidate
                break
    return found


def matrix() -> list[Any]:
    """Each package with each interpreter: `nox -s "tests(input-csv-3.12)"`."""
    return [
        nox.param(path, package, id=f"{package}-{version}")
        for version, path in pythons().items()
        for package in PACKAGES
    ]


def install(session: nox.Session, *packages: str) -> None:
    """Put the test tools and these packages, in place, into the session's environment.

    With `--no-venv`, as `make` calls it, everything is there already.
    """
    if session.virtualenv.venv_backend == "none":
        return
    session.install(*BUILD_TOOLS, "--requirement", "tests/requirements.txt")
    editable = itertools.chain.from_iterable(("--editable", f"packages/{p}") for p in packages)
    session.install("--no-build-isolation", *editable)


def with_siblings(package: str) -> list[str]:
    """A package, the core, and the packages of this repository that it depends on."""
    found = ["core", package]
    for folder in found:  # grows as the loop goes on
        project = nox.project.load_toml(f"packages/{folder}/pyproject.toml")["project"]
        for need in project["dependencies"]:
            sibling = re.split(r"[^\w-]", need)[0].removeprefix("penstock-")
            if sibling in PACKAGES and need.startswith("penstock-") and sibling not in found:
                found.append(sibling)
    return list(dict.fromkeys(found))


def requirements(package: str) -> list[str]:
    """Other packages that the tests of this one use, from its tests/requirements.txt."""
    path = REPO / "packages" / package / "tests" / "requirements.txt"
    return ["--requirement", str(path)] if path.exists() else []


@nox.session
def lint(session: nox.Session) -> None:
    """Style and likely mistakes."""
    install(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    install(session, *PACKAGES)
    session.run("mypy")


@nox.session
@nox.parametrize(["python", "package"], matrix())
def tests(session: nox.Session, package: str) -> None:
    """The tests of one package, with only that package and what it asks for installed."""
    install(session, *with_siblings(package))
    if extra := requirements(package):
        session.install("--no-build-isolation", *extra)
    session.run("pytest", f"packages/{package}", *session.posargs)


@nox.session
def integration(session: nox.Session) -> None:
    """What holds across packages."""
    install(session, *PACKAGES)
    others = ["--ignore=tests/install", "--ignore=tests/docs"]  # faults: their quick form
    session.run("pytest", "tests", *others, *session.posargs)


@nox.session(name="install")
def install_(session: nox.Session) -> None:
    """Wheels, and what a fresh environment is like after `pip install`: of every package."""
    install(session, *PACKAGES)
    session.run("pytest", "tests/install", *session.posargs, env={"PENSTOCK_INSTALL": "whole"})


@nox.session
def docs(session: nox.Session) -> None:
    """Every command, configuration and program that the documentation shows."""
    install(session, *PACKAGES)
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kills, power cuts and what else goes wrong, in the long form: an hour. What they have met
    goes to tests/faults/certified.json, and with docs/generate.py into the guarantees."""
    install(session, *PACKAGES)
    if session.virtualenv.venv_backend != "none":  # drivers of databases are among these
        extra = itertools.chain.from_iterable(map(requirements, PACKAGES))
        session.install("--no-build-isolation", *extra)
    asked = ["-m", "faults", "-s", *session.posargs]
    session.run("pytest", "tests/faults", "packages", *asked, env={"PENSTOCK_FAULTS": "long"})


@nox.session
def compat(session: nox.Session) -> None:
    """Packages with the lowest versions that they declare, and the newest, on each Python: minutes.

    `nox -s compat -- input-csv --with lowest`; adds to what docs/reference/compatibility.md says.
    """
    install(session, *PACKAGES)
    session.run("python", "tests/tools/compat.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Small changes to the run, the stores and the dead letters: tests must notice them.

    `nox -s mutation -- delivery --ordering` is the part in which none may survive.
    """
    install(session, *PACKAGES)
    session.run("python", "tests/tools/mutation.py", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """A new version of one package: `nox -s release -- input-csv minor`."""
    if not session.posargs:
        session.error("which package, and major, minor or patch? nox -s release -- input-csv minor")
    install(session, *PACKAGES)
    for package in PACKAGES:
        if package == session.posargs[0] and (more := requirements(package)):
            session.install("--no-build-isolation", *more)
    session.run("python", "tests/tools/release.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks beside their yardsticks; adds to benchmarks/RESULTS.md."""
    install(session, *PACKAGES)
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """A wheel and a source archive of every package, in dist/."""
    install(session)
    for package in PACKAGES:
        session.run(
            "python", "-m", "build", "--no-isolation", "--outdir", "dist", f"packages/{package}"
        )
