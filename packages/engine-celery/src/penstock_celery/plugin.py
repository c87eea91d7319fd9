"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_engines() -> Mapping[str, str]:
    return {"celery": "penstock_celery.engine:CeleryEngine"}


@hookimpl
def penstock_commands() -> Mapping[str, str]:
    return {"celery": "penstock_celery.command:command"}
