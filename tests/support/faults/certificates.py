"""What the long form of the tests has certified: rows that the guarantees page is made of."""

from __future__ import annotations

import datetime
import fcntl
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from repository import REPO

from .oracle import Verdict

__all__ = ["CERTIFIED", "Wrong", "put", "row"]

CERTIFIED = REPO / "tests" / "faults" / "certified.json"


class Wrong(NamedTuple):
    """The wrong variant of the same run: what it does, after how many tries it was caught, and how
    it was wrong."""

    does: str
    tried: int
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.does}: {self.verdict}, after {self.tried}"


def row(
    test: str, fault: str, of: str, engine: str, tried: int, verdict: Verdict, wrong: Wrong | None
) -> dict[str, Any]:
    """`tried` is how often the `fault` has met `of`, what was run."""
    return {
        "fault": fault,
        "of": of,
        "engine": engine,
        "tried": tried,
        **_figures(verdict),
        "wrong": wrong and {"does": wrong.does, "tried": wrong.tried, **_figures(wrong.verdict)},
        "test": test,
        "date": datetime.date.today().isoformat(),
        "version": version("penstock"),
        "python": platform.python_version(),
    }


def _figures(verdict: Verdict) -> dict[str, int]:
    return {"lost": verdict.lost, "repeated": verdict.repeated, "torn": verdict.torn}


def put(new: dict[str, Any], file: Path = CERTIFIED) -> None:
    """Keep a row in the place of the one of the same fault, pipeline and engine. Tests that run at
    the same time may do so too."""
    with file.open("a+", encoding="utf-8") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        kept.seek(0)
        rows = json.loads(kept.read() or "[]")
        rows = [one for one in rows if _key(one) != _key(new)] + [new]
        kept.truncate(0)
        kept.write(json.dumps(sorted(rows, key=_key), indent=1) + "\n")


def _key(one: dict[str, Any]) -> tuple[str, str, str]:
    return one["fault"], one["of"], one["engine"]
