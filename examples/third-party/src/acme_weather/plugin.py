"""What this package provides; the input itself is imported when a pipeline uses it."""

from penstock import hookimpl


@hookimpl
def penstock_inputs() -> dict[str, str]:
    return {"weather": "acme_weather.input:WeatherInput"}
