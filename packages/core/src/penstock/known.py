"""First-party names and the distributions they come with, for the message about a missing one.

This is a list of facts about packages, not a list of plugins: nothing is loaded through it. A test
holds it to what the packages declare.
"""

from __future__ import annotations

__all__ = ["distribution_of"]

_KNOWN = {
    "input": {
        "csv": "penstock-input-csv",
        "json": "penstock-input-json",
    },
    "inspector": {
        name: "penstock-inspector-quality"
        for name in ("require", "check", "unique", "contract", "statistics", "freshness", "count")
    },
    "transformer": {
        "fields": "penstock-transformer-fields",
        **{
            name: "penstock-transformer-shape"
            for name in ("filter", "dedupe", "sort", "limit", "sample", "batch", "unbatch", "group")
        },
    },
    "output": {
        "csv": "penstock-sink-csv",
        "json": "penstock-sink-json",
    },
}


def distribution_of(kind: str, name: str) -> str | None:
    """The first-party distribution that provides a name, installed or not."""
    return _KNOWN.get(kind, {}).get(name.rpartition("/")[2])
