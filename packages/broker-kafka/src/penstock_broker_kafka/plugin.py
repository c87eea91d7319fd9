"""What this distribution provides, by name."""

from __future__ import annotations

from collections.abc import Mapping

from penstock import hookimpl


@hookimpl
def penstock_brokers() -> Mapping[str, str]:
    return {"kafka": "penstock_broker_kafka.broker:KafkaBroker"}
