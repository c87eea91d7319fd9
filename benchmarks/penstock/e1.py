"""W1a with epochs as they are by default, with short ones, and without any: what do they cost?

Without epochs nothing is kept while it runs, in a store that is memory; with them the state is a
database on disk, and every epoch makes the output durable and then says so there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from penstock.build import load_pipeline
from penstock.store import MemoryStore
from penstock.stores.sqlite import SqliteStore

EPOCHS = {"default": {}, "short": {"seconds": 1.0}, "off": {"seconds": None}}


def main(epochs: str) -> None:
    pipeline = load_pipeline(Path("w1a.yaml"))
    pipeline.spec.epoch = EPOCHS[epochs]
    store = MemoryStore() if epochs == "off" else SqliteStore(Path(".penstock"))
    report = pipeline.run(store=store)
    assert report.ok, report


main(*sys.argv[1:])
