"""W1b in Polars: the function in `map_elements`, on one thread."""

import os
import sys

os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import polars as pl
from w1b_function import shape

COLUMNS = ("id", "ts", "user_name", "city", "amount", "qty", "status", "note")
SHAPED = {
    "order_id": pl.String,
    "created_at": pl.String,
    "customer": pl.String,
    "city": pl.String,
    "amount": pl.Float64,
    "qty": pl.Int64,
    "status": pl.String,
    "note": pl.String,
    "total": pl.Float64,
}


def main(source, target):
    (
        pl.scan_csv(source, schema=dict.fromkeys(COLUMNS, pl.String), empty_string_is_null=False)
        .select(record=pl.struct(pl.all()).map_elements(shape, return_dtype=pl.Struct(SHAPED)))
        .filter(pl.col("record").is_not_null())
        .unnest("record")
        .sink_ndjson(target)
    )


main(*sys.argv[1:])
