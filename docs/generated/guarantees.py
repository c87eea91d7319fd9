"""What is promised of each pair of an input and an output, and the tests that hold it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from penstock.promises import PROMISES, SEVERAL

from .tables import REPO


def promises() -> Iterator[str]:
    yield "| input | output | after a kill | after a power cut | after a lost reply | rests on |"
    yield "|---|---|---|---|---|---|"
    rows = {**PROMISES, ("replayable", "several transactional"): SEVERAL}
    for (capability, delivery), one in rows.items():
        sentences = (one.kill, one.power_cut, one.lost_reply, one.needs)
        yield f"| {capability} | {delivery} | {' | '.join(sentences)} |"


def proofs() -> Iterator[str]:
    """The tests that are marked with `pytest.mark.holds`, by what they hold."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted(
        [*REPO.glob("tests/**/test_*.py"), *REPO.glob("packages/*/tests/**/test_*.py")]
    ):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for held in _held(node):
                name = f"{path.relative_to(REPO).as_posix()}::{getattr(node, 'name', '')}"
                found.setdefault(held, set()).add(name)
    known = {
        *PROMISES,
        ("replayable", "several transactional"),
        ("ephemeral with spool", "rewindable"),
    }
    if found.keys() != known:
        raise SystemExit(f"promised and not tested, or the reverse: {found.keys() ^ known}")
    yield "| input | output | tests |"
    yield "|---|---|---|"
    for (capability, delivery), tests in sorted(found.items()):
        listed = "<br>".join(f"`{name}`" for name in sorted(tests))
        yield f"| {capability} | {delivery} | {listed} |"


def _held(node: ast.stmt) -> Iterator[tuple[str, str]]:
    for mark in getattr(node, "decorator_list", ()):
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.holds":
            capability, delivery = (ast.literal_eval(argument) for argument in mark.args)
            yield capability, delivery


PARTS = {"promises": promises, "proofs": proofs}
