"""What this package provides."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.hookspecs import hookimpl


@hookimpl
def penstock_inspectors() -> Mapping[str, str]:
    return {
        "check": "penstock_quality.check:Check",
        "contract": "penstock_quality.contract:Contract",
        "count": "penstock_quality.count:Count",
        "freshness": "penstock_quality.freshness:Freshness",
        "require": "penstock_quality.require:Require",
        "statistics": "penstock_quality.statistics:Statistics",
        "unique": "penstock_quality.unique:Unique",
    }
