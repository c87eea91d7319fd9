"""What `manage.py check` says about pipelines."""

from __future__ import annotations

from typing import Any

from django.core.checks import Warning as Doubt

__all__ = ["check_triggers"]


def check_triggers(**_: Any) -> list[Doubt]:
    """A trigger that names no pipeline would never run."""
    from .registry import registry

    registry.discover()
    return [
        Doubt(
            f"pipeline {name!r} is triggered by {trigger!r}, which is no pipeline",
            hint="look at the name, and at the app of that pipeline in INSTALLED_APPS",
            id="penstock_django.W001",
        )
        for name, trigger in registry.dangling()
    ]
