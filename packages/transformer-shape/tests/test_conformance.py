"""The rules for plugins, held by the suites that the package ships."""

from penstock_shape.conformance import (
    TestBatch,
    TestDedupe,
    TestFilter,
    TestGroup,
    TestLimit,
    TestSample,
    TestSort,
    TestUnbatch,
)

__all__ = [
    "TestBatch",
    "TestDedupe",
    "TestFilter",
    "TestGroup",
    "TestLimit",
    "TestSample",
    "TestSort",
    "TestUnbatch",
]
