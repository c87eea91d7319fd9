"""What each package says that it works with, and with what it has been tried."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .packages import project
from .tables import REPO

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RESULTS = REPO / "docs" / "generated" / "compatibility.json"


def declared() -> Iterator[str]:
    yield "| package | version | Python | needs | with an extra |"
    yield "|---|---|---|---|---|"
    for path in _folders():
        about = tomllib.loads(path.read_text("utf-8"))["project"]
        extras = [
            f"`[{name}]`: {_shown(needs)}"
            for name, needs in about.get("optional-dependencies", {}).items()
        ]
        cells = [
            f"`{about['name']}`",
            about["version"],
            about["requires-python"],
            _shown(about["dependencies"]),
            "<br>".join(extras),
        ]
        yield f"| {' | '.join(cells)} |"


def tried() -> Iterator[str]:
    """Only what was tried with what the package declares now; the rest is not known any more."""
    results = json.loads(RESULTS.read_text("utf-8"))
    yield "| package | lowest versions | newest versions |"
    yield "|---|---|---|"
    for path in _folders():
        name = project(path)["name"]
        one = results.get(name, {})
        current = one.get("declares") == _lowest(path)
        cells = [_trials(one.get(which, {}) if current else {}) for which in ("lowest", "newest")]
        yield f"| `{name}` | {' | '.join(cells)} |"


def _folders() -> list[Any]:
    paths = REPO.glob("packages/*/pyproject.toml")
    return sorted(paths, key=lambda path: (path.parent.name != "core", path))


def _shown(needs: list[str]) -> str:
    return ", ".join(f"`{need.replace('|', chr(92) + '|')}`" for need in needs)


def _lowest(path: Any) -> Mapping[str, str]:
    """The same as tests/tools/compat.py records, which a test holds."""
    about = tomllib.loads(path.read_text("utf-8"))["project"]
    extras = about.get("optional-dependencies", {}).values()
    found = {}
    for need in [*about["dependencies"], *(need for extra in extras for need in extra)]:
        bound = re.search(r">=\s*([\w.]+)", need)
        name = re.split(r"[^\w.-]", need, maxsplit=1)[0]
        if bound and name.split("-")[0] != "penstock":
            found[name] = bound[1]
    return found


def _trials(trials: Mapping[str, Mapping[str, str]]) -> str:
    """Versions, with the Pythons that each set was tried on."""
    pythons: dict[str, list[str]] = {}
    for python, versions in sorted(
        trials.items(), key=lambda one: tuple(map(int, one[0].split(".")))
    ):
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        pythons.setdefault(text or "nothing else", []).append(python)
    return (
        "<br>".join(f"{text} on {', '.join(here)}" for text, here in pythons.items()) or "not yet"
    )


PARTS = {"declared versions": declared, "tried versions": tried}
