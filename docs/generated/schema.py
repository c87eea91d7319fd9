"""The JSON Schema of pipeline files with every component of this repository."""

from __future__ import annotations

import json

from penstock.cli.schema import schema
from penstock.plugins import Plugins

from .packages import first_party
from .tables import REPO

FILE = REPO / "docs" / "reference" / "penstock.schema.json"


def text() -> str:
    """What `penstock schema` prints where every package is installed, and nothing else."""
    ours = first_party()
    others = {one.name for one in Plugins().distributions()} - ours
    made, warnings = schema(Plugins(environ={"PENSTOCK_DISABLE": ",".join(others)}))
    if warnings:
        raise SystemExit("\n".join(warnings))
    return json.dumps(made, indent=1) + "\n"
