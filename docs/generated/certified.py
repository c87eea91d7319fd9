"""What the long form of the fault tests has met and noted; nobody writes these figures by hand."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

from .tables import REPO

CERTIFIED = REPO / "tests" / "faults" / "certified.json"


def kills() -> Iterator[str]:
    """What random kills have met, pair by pair, as the long form of the tests has noted it."""
    yield "| pipeline | engine | kills | lost | repeated | torn | a wrong way | date |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in _certified():
        if one["fault"] == "kill -9":
            yield _line(one["of"], one["engine"], one)


def faults() -> Iterator[str]:
    yield "| fault | met by | engine | times | lost | repeated | torn | a wrong way | date |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in _certified():
        if one["fault"] != "kill -9":
            yield _line(one["fault"], one["of"], one["engine"], one)


def _line(*cells: Any) -> str:
    *first, one = cells
    wrong = one["wrong"]
    found = "—"
    if wrong:
        figures = [
            f"{name} {wrong[name]:,}" for name in ("lost", "repeated", "torn") if wrong[name]
        ]
        found = f"{wrong['does']}: {', '.join(figures) or 'wrong'}, after {wrong['tried']:,}"
    figures = [f"{one[name]:,}" for name in ("tried", "lost", "repeated", "torn")]
    return f"| {' | '.join([*first, *figures, found, one['date']])} |"


def _certified() -> list[dict[str, Any]]:
    """The rows, each of a test that is there."""
    rows: list[dict[str, Any]] = json.loads(CERTIFIED.read_text(encoding="utf-8"))
    for name in {one["test"] for one in rows}:
        file, _, function = name.partition("::")
        path = REPO / file
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
        if function not in {getattr(node, "name", "") for node in tree.body}:
            raise SystemExit(f"certified by a test that is not there: {name}")
    return rows


PARTS = {"kills": kills, "faults": faults}
