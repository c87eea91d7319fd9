"""What this package provides."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_inputs() -> Mapping[str, str]:
    return {"csv": "penstock_input_csv.input:CsvInput"}
