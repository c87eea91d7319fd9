"""The rules for plugins, held by the suites that the package ships."""

from penstock_fields.conformance import (
    TestDrop,
    TestFields,
)

__all__ = [
    "TestDrop",
    "TestFields",
]
