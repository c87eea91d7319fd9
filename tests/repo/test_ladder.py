"""The core is a ladder: a module imports only from lower rungs, or from what stands before it on
its own. So the modules can be read in this order, and none needs a later one to be understood.

An import inside a function counts as well; one that is only for types does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import CORE

LADDER = """
errors      batch
options     spec        store       schedule        events      journal     holder
components  broker      spool       care        claims      promises
graph       combine     steps       partitions  hookspecs
failures    spooling    nodes       keys        reparse     delivery    reporting   moving      runs        supervise
known       certificates  placeholders            plugins     dialect
native      syntaxes    stores      engines     retries     tracing     printing    made  parts  build  requirements locking
cli         testing
builtin     __init__    __main__
"""

EXCEPTIONS: dict[tuple[str, str], str] = {
    ("dialect", "syntaxes"): "a file is read as text before its suffix chooses a syntax",
    ("plugins", "builtin"): "the kernel's own plugin is one of those that are there",
}


def rungs() -> dict[str, tuple[int, int]]:
    """Where each module or folder of the core stands: rung, and place on it."""
    return {
        name: (rung, place)
        for rung, row in enumerate(LADDER.strip().splitlines())
        for place, name in enumerate(row.split())
    }


def step_of(name: str) -> str:
    """The name in the ladder that a dotted module belongs to: penstock.cli.main is of cli."""
    return name.split(".")[1] if "." in name else "__init__"


def imports(tree: ast.AST, name: str, is_package: bool, modules: set[str]) -> Iterator[str]:
    """Every module of the core that `tree` imports when it runs, dotted."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
        for branch in tree.orelse:
            yield from imports(branch, name, is_package, modules)
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        parts = name.split(".") if is_package else name.split(".")[:-1]
        base = parts[: len(parts) - tree.level + 1] if tree.level else []
        target = ".".join([*base, *filter(None, [tree.module])])
        for alias in tree.names:
            inner = f"{target}.{alias.name}"
            if inner in modules:
                yield inner
            elif alias.name != "__version__":  # of the package, which is there before its modules
                yield target
    for child in ast.iter_child_nodes(tree):
        yield from imports(child, name, is_package, modules)


def climbs(path: Path, name: str, is_package: bool, modules: set[str]) -> list[str]:
    """The steps that a module imports although they come after it."""
    order = rungs()
    own = step_of(name)
    found = []
    for target in imports(ast.parse(path.read_text(encoding="utf-8")), name, is_package, modules):
        if target.split(".")[0] != "penstock":
            continue
        step = step_of(target)
        if step != own and order[step] >= order[own] and (own, step) not in EXCEPTIONS:
            found.append(step)
    return found


def test_every_module_has_its_place(core_module):
    assert step_of(core_module.name) in rungs(), "write the new module into LADDER"


def test_a_module_imports_only_what_stands_before_it(core_module):
    modules = {module.name for module in CORE.modules}
    assert climbs(core_module.path, core_module.name, core_module.is_package, modules) == []


@pytest.mark.parametrize(
    "source",
    [
        "from .runs import Run",
        "from . import runs",
        "import penstock.runs",
        "from penstock.runs import Run",
        "from penstock import runs",
        "from . import Run",
        "def later():\n    from .runs import Run",
        "try:\n    from .runs import Run\nexcept ImportError:\n    pass",
        "import penstock",
    ],
)
def test_an_import_of_something_later_is_seen_in_every_spelling(tmp_path, source):
    (tmp_path / "spec.py").write_text(source)
    assert climbs(tmp_path / "spec.py", "penstock.spec", False, {"penstock.run"}) != []


@pytest.mark.parametrize(
    "source",
    [
        "from .errors import Problem",
        "from .options import option",
        "import json",
        "from . import __version__",
        "if TYPE_CHECKING:\n    from .runs import Run",
    ],
)
def test_an_import_of_something_earlier_or_for_types_only_is_allowed(tmp_path, source):
    (tmp_path / "spec.py").write_text(source)
    assert climbs(tmp_path / "spec.py", "penstock.spec", False, {"penstock.run"}) == []


def test_no_exception_is_kept_for_longer_than_it_is_needed():
    modules = {module.name for module in CORE.modules}
    used = set()
    for module in CORE.modules:
        tree = ast.parse(module.path.read_text(encoding="utf-8"))
        for target in imports(tree, module.name, module.is_package, modules):
            used.add((step_of(module.name), step_of(target)))
    assert set(EXCEPTIONS) <= used
