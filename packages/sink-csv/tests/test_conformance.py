"""The rules for plugins, held by the suites that the package ships."""

from penstock_sink_csv.conformance import (
    TestPlain,
)

__all__ = [
    "TestPlain",
]
