"""Certificates: what `penstock certify` has written of a package, found without importing it.

A package may ship its own, as `certificate.json` in its import package; one that was made here is
in a folder of this environment and counts more.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["FILE", "Certificate", "folder", "read"]

FILE = "certificate.json"


@dataclass(frozen=True)
class Certificate:
    """That a version of a distribution has kept the rules. `current` says whether it is of the
    version that is installed; `waivers` are the rules that it was let off, with the reasons."""

    distribution: str
    version: str
    date: str
    current: bool
    kills: int = 0
    waivers: list[dict[str, str]] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.current:
            return f"its certificate is of version {self.version}, so out of date"
        parts = [f"certified {self.date}", f"{self.kills} kills survived"]
        if self.waivers:
            parts.append(f"{len(self.waivers)} rule{'s' * (len(self.waivers) > 1)} waived")
        return ", ".join(parts)


def folder() -> Path:
    """Where certificates that are made here are kept: PENSTOCK_CERTIFICATES, or in this
    environment."""
    given = os.environ.get("PENSTOCK_CERTIFICATES")
    return Path(given) if given else Path(sys.prefix, "share", "penstock", "certificates")


def read(distribution: str, version: str, module: str) -> Certificate | None:
    """The certificate of an installed plugin, None when there is none that can be read; `module` is
    that of its entry point, which is not imported."""
    for path in (folder() / f"{distribution}.json", _beside(module)):
        if path is None:
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Certificate(
                str(content["distribution"]),
                str(content["version"]),
                str(content["date"]),
                content["version"] == version,
                int(content.get("kills_survived", 0)),
                list(content.get("waivers", ())),
                content,
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue  # one that is not there or is damaged certifies nothing
    return None


def _beside(module: str) -> Path | None:
    from importlib.util import find_spec

    try:
        found = find_spec(module.partition(".")[0])  # finds a package without importing it
    except (ImportError, ValueError):
        return None
    places = list(found.submodule_search_locations or ()) if found is not None else []
    return Path(places[0], FILE) if places else None
