"""The function of W1b. Yardstick, peers and Penstock all call this one."""

from __future__ import annotations

from typing import Any


def shape(record: dict[str, str]) -> dict[str, Any] | None:
    """Rename three fields, cast two, keep 50 pieces or more, add the total."""
    pieces = int(record["qty"])
    if pieces < 50:
        return None
    price = float(record["amount"])
    return {
        "order_id": record["id"],
        "created_at": record["ts"],
        "customer": record["user_name"],
        "city": record["city"],
        "amount": price,
        "qty": pieces,
        "status": record["status"],
        "note": record["note"],
        "total": price * pieces,
    }
