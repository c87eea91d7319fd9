"""The parts of the pages that follow from the code, one module for each subject.

Each module has `PARTS`: the name that stands on the page, and a function that gives the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import commands, components, errors, guarantees, hooks, names, packages

PARTS: dict[str, Callable[[], Iterable[str]]] = {
    **components.PARTS,
    **hooks.PARTS,
    **commands.PARTS,
    **errors.PARTS,
    **names.PARTS,
    **packages.PARTS,
    **guarantees.PARTS,
}
