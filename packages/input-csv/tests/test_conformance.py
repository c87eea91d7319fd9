"""The rules for plugins, held by the suites that the package ships."""

from penstock_input_csv.conformance import (
    TestCompressed,
    TestPlain,
)

__all__ = [
    "TestCompressed",
    "TestPlain",
]
