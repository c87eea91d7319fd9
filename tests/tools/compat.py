"""Tries packages with the lowest versions that they declare, and with the newest.

    python tests/tools/compat.py [PACKAGE...] [--with lowest|newest] [--python 3.12]

A package is tried in an environment of its own, from wheels, with the tests that it comes with: with
the lowest versions on the oldest Python that is here, with the newest on each. What was tried, and
passed, is kept in docs/generated/compatibility.json, from which the documentation is written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from repository import CORE, PACKAGES, REPO, Package

RESULTS = REPO / "docs" / "generated" / "compatibility.json"
TOOLS = ["pytest>=8.3", "pytest-timeout>=2.3", "pytest-xdist>=3.6", "hypothesis>=6.100"]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PATIENCE = 1800.0
"""Seconds that the tests of one package may take."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Try packages with old and new versions.")
    parser.add_argument("packages", nargs="*", help="folders in packages/ (default: all)")
    parser.add_argument("--with", dest="which", choices=["lowest", "newest"], help="only these")
    parser.add_argument("--python", help="only with this one")
    options = parser.parse_args(argv)
    here = {v: path for v, path in interpreters().items() if options.python in (None, v)}
    if not here:
        raise SystemExit(f"python {options.python}: is not here; there are {[*interpreters()]}")
    folders = [package.folder for package in PACKAGES]
    if unknown := sorted({*options.packages} - {*folders}):
        raise SystemExit(f"no package named {unknown[0]!r}; there are {', '.join(folders)}")
    chosen = [p for p in PACKAGES if p.folder in options.packages or not options.packages]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        wheels = build(Path(folder, "wheels"))
        for which, version in plan(here, options.which):
            for package in chosen:
                trial = Trial(package, which, version, here[version], Path(folder))
                if not trial.run(wheels):
                    failed.append(f"{package.folder} with the {which} versions on {version}")
    print("\n".join(["", *(f"failed: {one}" for one in failed)]) or "all passed")
    return 1 if failed else 0


def plan(here: Mapping[str, str], which: str | None) -> Iterator[tuple[str, str]]:
    """What to try: which versions, on which Python. What tells most comes first."""
    oldest, *_, newest = [*here, *here]
    if which in (None, "lowest"):
        yield "lowest", oldest
    if which in (None, "newest"):
        yield from (("newest", version) for version in dict.fromkeys([newest, *here]))


def interpreters() -> dict[str, str]:
    """The interpreters that are here and run, oldest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {}
    for version in PYTHONS:
        name = f"python{version}"
        for path in filter(None, [shutil.which(name), *pyenv.glob(f"{version}.*/bin/{name}")]):
            if not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
                found[version] = str(path)
                break
    return found


def lowest(package: Package) -> dict[str, str]:
    """The lowest version that a package declares of each distribution that is not of ours, those
    of its extras among them: {"pluggy": "1.4"}."""
    extras = package.project.get("optional-dependencies", {}).values()
    needs = [*package.project["dependencies"], *(need for extra in extras for need in extra)]
    found = {}
    for need in needs:
        name = re.split(r"[^\w.-]", need, maxsplit=1)[0]
        bound = re.search(r">=\s*([\w.]+)", need)
        if name.split("-")[0] != "penstock" and bound:
            found[name] = bound[1]
    return found


def build(folder: Path) -> dict[str, Path]:
    """The wheel of every package, by distribution."""
    found = {}
    for package in PACKAGES:
        command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder]
        subprocess.run([*command, package.path], check=True, capture_output=True)
        [wheel] = folder.glob(f"{package.distribution.replace('-', '_')}-[0-9]*.whl")
        found[package.distribution] = wheel
    return found


def siblings(package: Package) -> list[Package]:
    """A package, the core, those of this repository that it depends on, with its extras, or that
    its tests need."""
    found = [CORE, *([package] if package != CORE else [])]
    for one in found:  # grows as the loop goes on
        extras = one.project.get("optional-dependencies", {}).values()
        lines = [*one.project["dependencies"], *(need for extra in extras for need in extra)]
        needs = [re.split(r"[^\w-]", need)[0] for need in lines]
        needs += [f"penstock-{folder}" for folder in editables(one)]
        found += [p for p in PACKAGES if p.distribution in needs and p not in found]
    return found


def editables(package: Package) -> list[str]:
    """The folders of the packages that its tests need."""
    return re.findall(r"^--editable packages/([\w-]+)", requirements(package), re.MULTILINE)


def requirements(package: Package) -> str:
    path = package.path / "tests" / "requirements.txt"
    return path.read_text("utf-8") if path.is_file() else ""


@dataclass
class Trial:
    """One package, with the lowest or the newest versions, on one Python."""

    package: Package
    which: str
    version: str
    python: str
    folder: Path

    def run(self, wheels: Mapping[str, Path]) -> bool:
        name = f"{self.package.folder} {self.which} {self.version}"
        self.environment = self.folder / re.sub(r"[^\w.-]", "-", name)
        print(f"== {name}", flush=True)
        try:
            self.install(wheels)
            done = self.test()
        except subprocess.CalledProcessError as error:
            print(f"{name}: cannot be installed:\n{error.stderr}", flush=True)
            return False
        except subprocess.TimeoutExpired as error:
            print(f"{name}: its tests need more than {error.timeout:g} seconds", flush=True)
            return False
        print(f"{name}: {done.stdout.strip().splitlines()[-1]}", flush=True)
        if done.returncode:  # also when there are no tests: nothing was tried then
            print(done.stdout[-6000:], done.stderr[-2000:], flush=True)
            return False
        record(self, self.installed())
        shutil.rmtree(self.environment, ignore_errors=True)
        return True

    @property
    def interpreter(self) -> str:
        return str(self.environment / ("Scripts" if os.name == "nt" else "bin") / "python")

    def install(self, wheels: Mapping[str, Path]) -> None:
        folders = siblings(self.package)
        extras = {
            one.distribution: list(one.project.get("optional-dependencies", {})) for one in folders
        }
        wanted = [
            f"{one.distribution}[{','.join(extras[one.distribution])}] @ "
            f"{wheels[one.distribution].as_uri()}"
            for one in folders
        ]
        others = [
            line
            for line in requirements(self.package).splitlines()
            if line and not line.startswith(("#", "--"))
        ]
        held = [f"{name}=={version}" for name, version in lowest(self.package).items()]
        constraints = self.folder / "constraints.txt"
        constraints.write_text("\n".join(held if self.which == "lowest" else []), encoding="utf-8")
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
        if uv:
            self._call(uv, "venv", "--quiet", "--python", self.python, self.environment)
            command = [uv, "pip", "install", "--quiet", "--python", self.interpreter]
        else:
            self._call(self.python, "-m", "venv", "--upgrade-deps", self.environment)
            command = [self.interpreter, "-m", "pip", "install", "--quiet"]
        self._call(*command, "--constraint", constraints, *wanted, *others, *TOOLS)

    def test(self) -> subprocess.CompletedProcess[str]:
        command = [self.interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        path = f"{Path(self.interpreter).parent}{os.pathsep}{environ['PATH']}"
        return subprocess.run(
            [*command, f"packages/{self.package.folder}"],
            cwd=REPO,
            env={
                **environ,
                "PATH": path,
                "VIRTUAL_ENV": str(self.environment),
                "REQUIRE_SERVICES": "1",  # what needs a server was not tried without one
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def installed(self) -> dict[str, str]:
        """The versions of what the package declares, as they were tried."""
        code = "import importlib.metadata as m, json, sys\n"
        code += "print(json.dumps({n: m.version(n) for n in sys.argv[1:] if _is_there(n)}))"
        there = "def _is_there(n):\n try: m.version(n)\n except m.PackageNotFoundError: return 0\n"
        there += " return 1\n"
        code = code.replace("print(", f"{there}print(")
        names = lowest(self.package)
        printed = self._call(self.interpreter, "-c", code, *names).stdout
        found: dict[str, str] = json.loads(printed)
        return found

    def _call(self, *command: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, check=True, capture_output=True, text=True)


def record(trial: Trial, installed: Mapping[str, str]) -> None:
    """Keep what has passed, with what the package declared at that time."""
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    declared = lowest(trial.package)
    one = results.get(trial.package.distribution, {})
    if one.get("declares") != declared:
        one = {"declares": declared}
    one.setdefault(trial.which, {})[trial.version] = dict(sorted(installed.items()))
    results[trial.package.distribution] = one
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
