"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_inputs() -> Mapping[str, str]:
    return {"mongodb": "penstock_input_mongodb.input:MongoInput"}
