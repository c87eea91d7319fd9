"""What this package provides: the command `penstock test`."""

from __future__ import annotations

from penstock import hookimpl


@hookimpl
def penstock_commands() -> dict[str, str]:
    return {"test": "penstock_pipeline_tests.command:Command"}
