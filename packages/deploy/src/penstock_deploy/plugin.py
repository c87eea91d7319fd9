"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_commands() -> Mapping[str, str]:
    return {
        "lock": "penstock_deploy.lock:command",
        "image": "penstock_deploy.image:command",
        "install": "penstock_deploy.install:command",
    }
