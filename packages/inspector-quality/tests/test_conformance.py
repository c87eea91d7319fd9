"""The rules for plugins, held by the suites that the package ships."""

from penstock_quality.conformance import (
    TestCheck,
    TestContract,
    TestCount,
    TestFreshness,
    TestRequire,
    TestStatistics,
    TestUnique,
)

__all__ = [
    "TestCheck",
    "TestContract",
    "TestCount",
    "TestFreshness",
    "TestRequire",
    "TestStatistics",
    "TestUnique",
]
