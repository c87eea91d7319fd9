"""What this package provides: the command `penstock certify`."""

from __future__ import annotations

from penstock import hookimpl


@hookimpl
def penstock_commands() -> dict[str, str]:
    return {"certify": "penstock_testkit.certify:Command"}
