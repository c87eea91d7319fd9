"""Each package by itself beside the core, and the set of each example: from wheels, in an empty
environment.

`make test` takes every sixth package; `nox -s install` takes all of them (PENSTOCK_INSTALL=whole).
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_string

import pytest
from importing import import_each_alone
from repository import CORE, PACKAGES, REPO, Package

WHOLE = os.environ.get("PENSTOCK_INSTALL") == "whole"
OTHERS = [package for package in PACKAGES if package != CORE]
CHOSEN = OTHERS if WHOLE else OTHERS[::6]
EXAMPLES = [
    path
    for path in sorted(REPO.glob("examples/*/pipeline*.yaml"))
    if not path.name.endswith(".test.yaml")
]
ROLES = {"input": "inputs", "inspector": "inspectors", "transformer": "transformers"}
ROLES["output"] = "outputs"
SMALL = 2_000_000

each_package = pytest.mark.parametrize("one", CHOSEN, ids=lambda one: one.folder)


def siblings(*packages: Package) -> list[Package]:
    """Packages, the core, and those of this repository that they depend on."""
    known = {package.distribution: package for package in PACKAGES}
    found = [CORE, *(package for package in packages if package != CORE)]
    for package in found:  # grows as the loop goes on
        needs = (re.split(r"[^\w-]", need)[0] for need in package.project["dependencies"])
        found += [known[need] for need in needs if need in known and known[need] not in found]
    return found


@pytest.fixture(scope="module")
def beside_core(wheels, new_environment):
    """`beside_core(package)`: an environment with the core and that package, made once."""

    @functools.cache
    def make(folder: str):
        environment = new_environment(folder)
        [package] = [package for package in PACKAGES if package.folder == folder]
        environment.install(*[wheels[one.folder] for one in siblings(package)])
        return environment

    return lambda package: make(package.folder)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def metadata_in(environment) -> dict[str, object]:
    """The metadata of all that is installed, by name."""
    found = (
        message_from_string((path / "METADATA").read_text("utf-8"))
        for path in environment.site.glob("*.dist-info")
    )
    return {normal(about["Name"]): about for about in found}


def needed(environment, *names: str) -> set[str]:
    """What some distributions need there, themselves among it, without any extra."""
    from packaging.requirements import Requirement

    about = metadata_in(environment)
    found = list(names)
    for name in found:  # grows as the loop goes on
        for line in about[name].get_all("Requires-Dist") or ():
            need = Requirement(line)
            wanted = need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in ("", *need.extras)
            )
            if wanted and normal(need.name) not in found and normal(need.name) in about:
                found.append(normal(need.name))
    return set(found)


@each_package
def test_nothing_is_installed_but_what_it_needs(one, beside_core):
    environment = beside_core(one)
    installed = set(metadata_in(environment))
    assert installed == needed(environment, "penstock", one.distribution)
    ours = {name for name in installed if name.split("-")[0] == "penstock"}
    assert ours == {package.distribution for package in siblings(one)}


@each_package
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process for each module")
def test_every_module_can_be_imported_or_says_which_extra_it_needs(one, beside_core):
    environment = beside_core(one)
    modules = [module for module in one.modules if not module.name.endswith("__main__")]
    answers = import_each_alone([m.name for m in modules], environment.bin / "python")
    failed = {answer["module"]: answer["error"] for answer in answers if answer["error"]}
    extras = one.project.get("optional-dependencies", {})
    # What is found by an entry point of others is imported by these, and may need them.
    groups = one.project.get("entry-points", {})
    hosted = {
        target.partition(":")[0]
        for group, entries in groups.items()
        if group != "penstock.plugins.v1"
        for target in entries.values()
    }
    unsaid = {}
    for module in modules:
        error = failed.get(module.name, "")
        said = [name for name in extras if f"[{name}]" in module.path.read_text("utf-8")]
        said += [module.name] if module.name in hosted else []
        if error and not ("ModuleNotFoundError" in error and said):
            unsaid[module.name] = error
    assert unsaid == {}


def loaded_by(environment, *arguments: str) -> set[str]:
    """The distributions' modules that a command has loaded: no standard library, none of ours."""
    code = (
        "import sys\nfrom penstock.cli import main\n"
        f"main({list(arguments)!r})\nprint(*sys.modules, file=sys.stderr)"
    )
    done = environment.run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    roots = {name.split(".")[0] for name in done.stderr.splitlines()[-1].split()}
    known = {"penstock", "__main__", "pluggy", "yaml", "_yaml", "tomli", "cython_runtime"}
    return {
        root
        for root in roots - known - sys.stdlib_module_names
        if not root.startswith(("penstock_", "_cython_", "__"))
    }


@each_package
def test_help_and_lists_load_no_client(one, beside_core):
    environment = beside_core(one)
    for command in (["--help"], ["plugins"]):
        assert loaded_by(environment, *command) == set(), command
    # To show what a component is for, its module is imported, and with it perhaps a small library.
    heavy = {root for root in loaded_by(environment, "list") if size_of(environment, root) > SMALL}
    assert heavy == set()


def size_of(environment, root: str) -> int:
    """The size of a package, or of a module, that is installed."""
    found = [*environment.site.glob(f"{root}/**/*"), *environment.site.glob(f"{root}.*")]
    return sum(path.stat().st_size for path in found if path.is_file() and path.suffix != ".pyc")


@each_package
def test_what_it_costs_is_told(one, beside_core, costs):
    """The size of what comes with it, and the time that importing its entry module and all its
    components takes: no promise, but whoever runs the session sees it."""
    environment = beside_core(one)
    bare = needed(environment, "penstock")
    size = sum(
        path.stat().st_size
        for path in environment.site.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    targets = sorted({target.partition(":")[0] for target in components(one)}) or [
        one.roots[0].name
    ]
    code = (
        "import sys, time\nimport penstock\nstart = time.perf_counter()\n"
        f"for name in {targets!r}: __import__(name)\nprint(time.perf_counter() - start)"
    )
    seconds = float(environment.run("python", "-c", code).stdout)
    others = sorted(set(metadata_in(environment)) - bare - {one.distribution})
    costs.append((one.distribution, size, seconds, others))
    assert 0 < size < 200_000_000
    assert seconds < 10


def components(package: Package) -> Iterator[str]:
    """The import strings of what a package provides."""
    for _, _, target in provided(package):
        yield target


def provided(package: Package) -> Iterator[tuple[str, str, str]]:
    hookspecs = importlib.import_module("penstock.hookspecs")
    for entry in package.plugins.values():
        module = importlib.import_module(entry)
        for kind, hook in hookspecs.PROVIDERS.items():
            for name, target in getattr(module, hook, dict)().items():
                yield kind, name, target


def test_every_missing_component_is_named_with_what_installs_it(core_alone, tmp_path):
    pipeline: dict[str, dict[str, dict[str, str]]] = {}
    expected = []
    for package in OTHERS:
        for kind, name, _ in provided(package):
            if kind in ROLES and (kind, name) != ("output", "print"):
                here = pipeline.setdefault(ROLES[kind], {})
                here[f"{kind}_{len(expected)}"] = {"use": name}
                install = (
                    f"it comes with {package.distribution}: pip install {package.distribution}"
                )
                expected.append(f"no {kind} named {name!r}; {install}")
    first = next(iter(pipeline["inputs"]))
    text = json.dumps({**pipeline, "pipes": {"p": [first]}}, indent=1)
    (tmp_path / "pipeline.json").write_text(text)
    done = core_alone.run("penstock", "run", "pipeline.json", cwd=tmp_path)
    assert done.returncode == 4
    told = [line.partition(".use: ")[2] for line in done.stderr.splitlines()]
    assert sorted(told) == sorted(expected)


def test_every_missing_command_is_named_with_what_installs_it(core_alone):
    for package in OTHERS:
        for kind, name, _ in provided(package):
            if kind == "command":
                done = core_alone.run("penstock", name)
                assert done.returncode == 4, done.stderr
                assert f"it comes with {package.distribution}: pip install" in done.stderr


@pytest.fixture(scope="module")
def changing(wheels, new_environment):
    """An environment with every package, from which tests take one and put it back."""
    environment = new_environment("changing")
    environment.install(*[wheels[package.folder] for package in PACKAGES])
    return environment


@each_package
def test_the_rest_works_when_it_is_uninstalled(one, changing, wheels):
    pip = [sys.executable, "-m", "pip", "--python", changing.path, "--quiet"]
    subprocess.run([*pip, "uninstall", "--yes", one.distribution], check=True)
    try:
        listed = json.loads(changing.run("penstock", "plugins", "--json").stdout)
        assert {plugin["name"] for plugin in listed} == {
            package.distribution for package in PACKAGES if package.plugins and package != one
        }
        broken = {plugin["name"] for plugin in listed if plugin["state"] != "loaded"}
        dependents = {package.distribution for package in OTHERS if one in siblings(package)}
        assert broken <= dependents
        done = changing.run("penstock", "list")
        assert (done.returncode, done.stderr) == (0, "")
        left = list(changing.site.glob(f"{one.roots[0].name}/**/*.py"))
        assert left == [], "an uninstalled package leaves nothing behind"
    finally:
        changing.install("--no-deps", wheels[one.folder])


@pytest.mark.parametrize(
    "pipeline", EXAMPLES, ids=[str(path.relative_to(REPO / "examples")) for path in EXAMPLES]
)
def test_an_example_needs_what_penstock_requires_says(
    pipeline, everything, wheels, new_environment
):
    done = everything.run("penstock", "requires", str(pipeline), "--json")
    assert done.returncode == 0, done.stderr
    distributions = json.loads(done.stdout)["distributions"]
    known = {package.distribution: package for package in PACKAGES}
    packages = [known[one["name"]] for one in distributions if one["name"] in known]
    strangers = [one["requirement"] for one in distributions if one["name"] not in known]
    extras = {one["name"]: f"[{','.join(one['extras'])}]" for one in distributions if one["extras"]}
    environment = new_environment(pipeline.parent.name)
    environment.install(
        *[f"{wheels[p.folder]}{extras.get(p.distribution, '')}" for p in siblings(*packages)],
        *strangers,
    )
    listed = json.loads(environment.run("penstock", "plugins", "--json").stdout)
    assert {plugin["name"] for plugin in listed} == {
        package.distribution for package in siblings(*packages) if package.plugins
    }
    done = environment.run("penstock", "check", str(pipeline))
    assert done.returncode == 0, done.stderr


def test_examples_are_found():
    assert {path.parent.name for path in EXAMPLES} >= {"orders"}
