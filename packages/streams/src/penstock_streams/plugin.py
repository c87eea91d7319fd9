"""What this package provides."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.hookspecs import hookimpl


@hookimpl
def penstock_inputs() -> Mapping[str, str]:
    return {"join": "penstock_streams.joins:JoinInput"}


@hookimpl
def penstock_transformers() -> Mapping[str, str]:
    return {
        "call": "penstock_streams.calls:Call",
        "window": "penstock_streams.window:Window",
    }
