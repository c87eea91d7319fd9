"""The parts of the pages that follow from the code, one module for each subject.

Each module has `PARTS`: the name that stands on the page, and a function that gives the lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from . import (
    cases,
    certified,
    commands,
    compatibility,
    components,
    contract,
    errors,
    guarantees,
    hooks,
    messages,
    names,
    packages,
    schema,
)

PARTS: dict[str, Callable[[], Iterable[str]]] = {
    **components.PARTS,
    **cases.PARTS,
    **hooks.PARTS,
    **commands.PARTS,
    **compatibility.PARTS,
    **errors.PARTS,
    **messages.PARTS,
    **names.PARTS,
    **packages.PARTS,
    **guarantees.PARTS,
    **certified.PARTS,
    **contract.PARTS,
}

FILES: dict[Path, Callable[[], str]] = {schema.FILE: schema.text}
"""What follows from the code as a whole."""
