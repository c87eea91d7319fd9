"""The rules for plugins, held by the suites that the package ships."""

from penstock_input_sql.conformance import (
    TestSqlite,
)

__all__ = [
    "TestSqlite",
]
