"""What this package provides."""

from penstock import hookimpl


@hookimpl
def penstock_inputs() -> dict[str, str]:
    return {"tides": "acme_tides.input:TidesInput"}
