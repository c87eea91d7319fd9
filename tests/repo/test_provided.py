"""What the packages say they provide is there, once, and is known to the kernel by name."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator

import pytest
from repository import CORE, PACKAGES, Package


def provided(package: Package) -> Iterator[tuple[str, str, str]]:
    """Everything that a package provides: kind, name, and the import string behind it."""
    hookspecs = importlib.import_module("penstock.hookspecs")
    for entry in package.plugins.values():
        module = importlib.import_module(entry)
        for kind, hook in hookspecs.PROVIDERS.items():
            if hasattr(module, hook):
                for name, target in getattr(module, hook)().items():
                    yield kind, name, target


def test_every_name_stands_for_something_in_the_package_itself(package):
    for kind, name, target in provided(package):
        module, _, attribute = target.partition(":")
        assert module.split(".")[0] == package.roots[0].name, (kind, name)
        assert hasattr(importlib.import_module(module), attribute), (kind, name, target)


def test_every_component_has_the_role_that_it_is_provided_for(package):
    component = importlib.import_module("penstock.components")
    roles = {
        "input": component.Input,
        "inspector": component.Stage,  # an inspector that looks at whole batches is a plain stage
        "transformer": component.Stage,
        "output": component.Output,
    }
    wrong = []
    for kind, name, target in provided(package):
        module, _, attribute = target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if kind in roles and not (isinstance(found, type) and issubclass(found, roles[kind])):
            wrong.append((kind, name))
    assert wrong == []


def test_no_name_is_provided_twice():
    providers = defaultdict(set)
    for package in PACKAGES:
        for kind, name, _ in provided(package):
            providers[kind, name].add(package.distribution)
    assert {key: names for key, names in providers.items() if len(names) > 1} == {}


def test_the_kernel_can_say_which_package_a_missing_name_comes_with(package):
    if package == CORE:
        pytest.skip("is never missing")
    known = importlib.import_module("penstock.known")
    unknown = [
        (kind, name)
        for kind, name, _ in provided(package)
        if kind in ("input", "inspector", "transformer", "output", "broker", "command")
        and known.distribution_of(kind, name) != package.distribution
    ]
    assert unknown == []


def test_the_extras_that_options_need_are_there(package):
    """Both the options that `penstock_extras` names and the extras that they ask for."""
    options = importlib.import_module("penstock.options")
    declared = package.project.get("optional-dependencies", {})
    wrong = []
    for entry in package.plugins.values():
        named = getattr(importlib.import_module(entry), "penstock_extras", dict)()
        for path, patterns in named.items():
            name, _, option = path.partition(".")
            targets = [target for _, one, target in provided(package) if one == name]
            for module, _, attribute in (target.partition(":") for target in targets):
                cls = getattr(importlib.import_module(module), attribute)
                if option.partition(".")[0] not in options.options_of(cls):
                    wrong.append((path, "no such option"))
            wrong += [(path, extra) for extra in patterns.values() if extra not in declared]
            wrong += [] if targets else [(path, "no such component")]
    assert wrong == []


def test_each_kind_of_database_needs_its_extra(tmp_path):
    requirements = importlib.import_module("penstock.requirements")
    plugins = importlib.import_module("penstock.plugins")
    path = tmp_path / "pipeline.yaml"
    found = []
    for url in ("sqlite:///a.db", "postgresql://h/d", "mariadb+pymysql://h/d", "mysql://h/d"):
        path.write_text(
            f"inputs: {{i: {{use: sql, url: '{url}', table: t, key: id}}}}\n"
            f"outputs: {{o: {{use: sql, url: '{url}', table: t}}}}\npipes: {{p: [i, o]}}\n"
        )
        needed = requirements.requirements_of(path, plugins.Plugins()).distributions
        found.append([",".join(one.extras) for one in needed if "sql" in one.name])
    assert found == [["", ""], ["postgresql"] * 2, ["mariadb"] * 2, ["mariadb"] * 2]
