"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_brokers() -> Mapping[str, str]:
    return {"file": "penstock_broker_file.broker:FileBroker"}
