"""Every package is the same few files and keeps to the public side of the others."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
from repository import CORE, Package

FILES = ["CHANGELOG.md", "README.md", "pyproject.toml", "src", "tests"]


def test_it_has_the_same_few_files_as_the_others(package):
    assert [name for name in FILES if not (package.path / name).exists()] == []
    assert len(package.roots) == 1
    [root] = package.roots
    assert root.name == "penstock" or root.name.startswith("penstock_")
    assert (root / "__init__.py").is_file()
    assert (root / "py.typed").is_file()
    assert list(package.path.glob("tests/**/test_*.py")), "a package comes with its tests"


def test_it_is_described_as_the_others_are(package):
    project = package.project
    assert project["name"] == package.distribution
    assert project["license"] == "Apache-2.0"
    assert project["requires-python"] == ">=3.10"
    assert project["readme"] == "README.md"
    assert "penstock" in project["keywords"]
    assert re.fullmatch(r"[A-Z0-9].{20,}[^.]", project["description"])
    assert package.pyproject["build-system"]["build-backend"] == "hatchling.build"


def test_its_plugins_are_found_by_their_entry_point(package):
    [root] = package.roots
    for target in package.plugins.values():
        assert target.split(".")[0] == root.name
        assert target in {module.name for module in package.modules}


def test_its_version_is_the_newest_of_its_changelog(package):
    text = (package.path / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[?(\d[^\]\s]*)\]?", text, flags=re.MULTILINE)
    assert released, "the changelog names no version"
    assert package.project["version"] == released[0]


def test_the_version_of_the_core_can_be_asked_for():
    assert importlib.import_module("penstock").__version__ == CORE.project["version"]


def test_it_pins_no_sibling_to_one_version(package):
    """Packages are released one by one: an exact pin would make them one package again."""
    needs = [*package.project.get("dependencies", [])]
    for extra in package.project.get("optional-dependencies", {}).values():
        needs += extra
    siblings = [need for need in needs if re.match(r"penstock\b", need)]
    assert [need for need in siblings if re.search(r"===?|~=", need)] == []
    if package.plugins and package != CORE:
        assert any(
            re.fullmatch(r"penstock>=\d+(\.\d+)+,<2", need.replace(" ", "")) for need in siblings
        )


def test_the_core_depends_on_two_packages_and_three_on_python_3_10():
    names = [re.split(r"[^\w-]", need)[0] for need in CORE.project["dependencies"]]
    assert names == ["pluggy", "PyYAML", "tomli"]
    assert CORE.project["dependencies"][2].endswith('; python_version < "3.11"')


def runtime_imports(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Each absolute import that runs: (module, imported name or None)."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
        for branch in tree.orelse:
            yield from runtime_imports(branch)
        return
    if isinstance(tree, ast.Import):
        yield from ((alias.name, None) for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and not tree.level and tree.module:
        yield from ((tree.module, alias.name) for alias in tree.names)
    for child in ast.iter_child_nodes(tree):
        yield from runtime_imports(child)


def is_public(module: str, name: str | None) -> bool:
    if any(part.startswith("_") for part in module.split(".")):
        return False
    if name is None:
        return True
    if name in getattr(importlib.import_module(module), "__all__", ()):
        return True
    return not name.startswith("_") and is_module(f"{module}.{name}")


def is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # what stands before the last dot is no package
        return False


def test_a_plugin_uses_only_public_names_of_the_core(plugin_module):
    tree = ast.parse(plugin_module.path.read_text(encoding="utf-8"))
    # Imports for types count here too: a name that is not public may be gone in the next version.
    used = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and node.module
        for alias in node.names
    ]
    used += [(module, name) for module, name in runtime_imports(tree) if name is None]
    private = [
        f"{module}: {name}" if name else module
        for module, name in used
        if module.split(".")[0] == "penstock" and not is_public(module, name)
    ]
    assert private == []


@pytest.mark.parametrize(
    ("module", "name"),
    [("penstock.batch", "_loop"), ("penstock._secret", None), ("penstock.batch", "compress")],
)
def test_a_private_name_is_recognised(module, name):
    assert not is_public(module, name)


def test_what_it_imports_is_what_it_depends_on(package):
    """An import that is not declared works only where something else happens to bring it."""
    providers = packages_distributions()
    declared = {normal(re.split(r"[^\w.-]", need)[0]) for need in package.project["dependencies"]}
    declared.add(normal(package.distribution))
    if package != CORE:
        declared.add("pluggy")  # comes with the core, which hands it on
    hosts = hosts_of(package)
    extras = {
        normal(re.split(r"[^\w.-]", need)[0])
        for needs in package.project.get("optional-dependencies", {}).values()
        for need in needs
    }
    hosts["conformance"] = {"pytest"}  # which the testkit brings, an extra of the package
    missing = {
        f"{module} in {path.name}"
        for path in package.path.glob("src/**/*.py")
        for text in [path.read_text(encoding="utf-8")]
        for module, late in imports_of(ast.parse(text))
        for distribution in providers.get(module.split(".")[0], [])[:1]
        if not (
            declared | hosts.get(path.stem, set()) | (extras if late or says_extra(text) else set())
        )
        & {normal(name) for name in providers[module.split(".")[0]]}
    }
    assert missing == set()


def says_extra(text: str) -> bool:
    """Whether the docstring of a module names the extra that the whole of it needs."""
    docstring = ast.get_docstring(ast.parse(text)) or ""
    return re.search(r"^Needs `[\w-]+\[\w+\]`\.$", docstring, re.MULTILINE) is not None


def imports_of(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every module that is imported at run time, and whether that happens in a function, which may
    be one that needs an extra."""
    inner = {
        module
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for module, _ in runtime_imports(function)
    }
    for module, _ in runtime_imports(tree):
        yield module, module in inner


HOSTS = {"pytest11": "pytest"}
"""Groups of entry points that another program reads: it is there when it imports what they name."""


def hosts_of(package: Package) -> dict[str, set[str]]:
    """The last name of each module that a host imports, with that host."""
    groups = package.project.get("entry-points", {})
    return {
        target.rpartition(".")[2]: {host}
        for group, host in HOSTS.items()
        for target in groups.get(group, {}).values()
    }


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
