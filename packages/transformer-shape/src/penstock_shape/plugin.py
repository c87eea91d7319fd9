"""What this package provides."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.hookspecs import hookimpl


@hookimpl
def penstock_transformers() -> Mapping[str, str]:
    return {
        "batch": "penstock_shape.pack:Pack",
        "dedupe": "penstock_shape.dedupe:Dedupe",
        "filter": "penstock_shape.filter:Filter",
        "group": "penstock_shape.group:Group",
        "limit": "penstock_shape.limit:Limit",
        "sample": "penstock_shape.sample:Sample",
        "sort": "penstock_shape.sort:Sort",
        "unbatch": "penstock_shape.pack:Unpack",
    }
