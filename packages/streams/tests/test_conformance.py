"""The rules for plugins, held by the suites that the package ships."""

from penstock_streams.conformance import (
    TestCall,
    TestChange,
    TestCount,
    TestHopping,
    TestNested,
    TestRows,
    TestSession,
    TestSliding,
    TestTumbling,
)

__all__ = [
    "TestCall",
    "TestChange",
    "TestCount",
    "TestHopping",
    "TestNested",
    "TestRows",
    "TestSession",
    "TestSliding",
    "TestTumbling",
]
