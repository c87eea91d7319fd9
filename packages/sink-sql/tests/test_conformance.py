"""The rules for plugins, held by the suites that the package ships."""

from penstock_sink_sql.conformance import (
    TestSqlite,
)

__all__ = [
    "TestSqlite",
]
