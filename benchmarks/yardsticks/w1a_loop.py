"""W1a by hand: what a careful programmer writes who needs only speed. No checks, no counts."""

import csv
import sys

from orjson import OPT_APPEND_NEWLINE, dumps


def main(source: str, target: str) -> None:
    with open(source, newline="", encoding="utf-8") as file, open(target, "wb") as out:
        rows = csv.reader(file)
        next(rows)
        write = out.write
        for order_id, created_at, customer, city, amount, qty, status, note in rows:
            pieces = int(qty)
            if pieces >= 50:
                price = float(amount)
                record = {
                    "order_id": order_id,
                    "created_at": created_at,
                    "customer": customer,
                    "city": city,
                    "amount": price,
                    "qty": pieces,
                    "status": status,
                    "note": note,
                    "total": price * pieces,
                }
                write(dumps(record, option=OPT_APPEND_NEWLINE))


main(*sys.argv[1:])
