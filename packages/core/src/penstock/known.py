"""First-party names and the distributions they come with, for the message about a missing one.

This is a list of facts about packages, not a list of plugins: nothing is loaded through it. A test
holds it to what the packages declare.
"""

from __future__ import annotations

__all__ = ["distribution_of", "distributions_of"]

_KNOWN = {
    "input": {
        "csv": "penstock-input-csv",
        "json": "penstock-input-json",
        "sql": "penstock-input-sql",
        "mongodb": "penstock-input-mongodb",
        "django": "penstock-django-adapter",
        "join": "penstock-streams",
    },
    "inspector": {
        "require": "penstock-inspector-quality",
        "check": "penstock-inspector-quality",
        "unique": "penstock-inspector-quality",
        "contract": "penstock-inspector-quality",
        "statistics": "penstock-inspector-quality",
        "freshness": "penstock-inspector-quality",
        "count": "penstock-inspector-quality",
    },
    "transformer": {
        "fields": "penstock-transformer-fields",
        "filter": "penstock-transformer-shape",
        "dedupe": "penstock-transformer-shape",
        "sort": "penstock-transformer-shape",
        "limit": "penstock-transformer-shape",
        "sample": "penstock-transformer-shape",
        "batch": "penstock-transformer-shape",
        "unbatch": "penstock-transformer-shape",
        "group": "penstock-transformer-shape",
        "call": "penstock-streams",
        "window": "penstock-streams",
    },
    "broker": {
        "file": "penstock-broker-file",
        "kafka": "penstock-broker-kafka",
    },
    "output": {
        "csv": "penstock-sink-csv",
        "json": "penstock-sink-json",
        "sql": "penstock-sink-sql",
        "mongodb": "penstock-sink-mongodb",
        "django": "penstock-django-adapter",
    },
    "engine": {
        "celery": "penstock-engine-celery",
    },
    "store": {
        "django": "penstock-django-adapter",
    },
    "command": {
        "celery": "penstock-engine-celery",
        "certify": "penstock-testkit",
        "test": "penstock-pipeline-tests",
        "lock": "penstock-deploy",
        "image": "penstock-deploy",
        "install": "penstock-deploy",
    },
}


def distribution_of(kind: str, name: str) -> str | None:
    """The first-party distribution that provides a name, installed or not."""
    return _KNOWN.get(kind, {}).get(name.rpartition("/")[2])


def distributions_of(name: str) -> dict[str, str]:
    """The first-party distributions that provide a name in any role: distributions by kind."""
    return {kind: known[name] for kind, known in _KNOWN.items() if name in known}
