"""W1a in Polars: streamed, on one thread, with the types given."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import polars as pl

SCHEMA = {
    "id": pl.String,
    "ts": pl.String,
    "user_name": pl.String,
    "city": pl.String,
    "amount": pl.Float64,
    "qty": pl.Int64,
    "status": pl.String,
    "note": pl.String,
}


def main(source, target):
    (
        pl.scan_csv(source, schema=SCHEMA, empty_string_is_null=False)
        .rename({"id": "order_id", "ts": "created_at", "user_name": "customer"})
        .filter(pl.col("qty") >= 50)
        .with_columns(total=pl.col("amount") * pl.col("qty"))
        .sink_ndjson(target)
    )


main(*sys.argv[1:])
