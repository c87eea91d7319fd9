"""The rules for plugins, held by the suites that the package ships."""

from penstock_sink_json.conformance import (
    TestArray,
    TestLines,
)

__all__ = [
    "TestArray",
    "TestLines",
]
