"""What this package provides."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_transformers() -> Mapping[str, str]:
    return {"fields": "penstock_fields.fields:Fields"}
