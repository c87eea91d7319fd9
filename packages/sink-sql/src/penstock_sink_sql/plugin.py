"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_outputs() -> Mapping[str, str]:
    return {"sql": "penstock_sink_sql.output:SqlOutput"}


@hookimpl
def penstock_extras() -> Mapping[str, Mapping[str, str]]:
    drivers = {"postgres*": "postgresql", "mariadb*": "mariadb", "mysql*": "mariadb"}
    return {"sql.url": drivers}
