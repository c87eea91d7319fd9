"""W1a in petl, written by its own `tojson`. `tuned`: written by orjson."""

import sys

import petl


def write_by_orjson(table, target):
    from orjson import OPT_APPEND_NEWLINE, dumps

    with open(target, "wb") as out:
        for record in table.dicts():
            out.write(dumps(record, option=OPT_APPEND_NEWLINE))


def main(source, target, tuned=""):
    table = (
        petl.fromcsv(source, encoding="utf-8")
        .rename({"id": "order_id", "ts": "created_at", "user_name": "customer"})
        .convert({"qty": int, "amount": float})
        .selectge("qty", 50)
        .addfield("total", lambda row: row["amount"] * row["qty"])
    )
    if tuned:
        write_by_orjson(table, target)
    else:
        table.tojson(target, lines=True)


main(*sys.argv[1:])
