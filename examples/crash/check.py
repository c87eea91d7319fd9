"""Compares what was written with what there was to read. It uses nothing of Penstock.

    python check.py out/readings.csv out/lines.jsonl out/table.csv

Ends with 0 when every reading is in every output once.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def readings(path: Path) -> Iterator[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            rows = csv.reader(file)
            next(rows)
            yield from map(tuple, rows)
        else:
            for line in file:
                yield tuple(json.loads(line).values())


def main() -> int:
    given, *outputs = map(Path, sys.argv[1:])
    wanted = Counter(readings(given))
    wrong = 0
    for path in outputs:
        found = Counter(readings(path))
        lost = sum((wanted - found).values())
        repeated = sum((found - wanted).values())
        print(f"{path.name}: lost {lost}, repeated {repeated}")
        wrong += lost + repeated
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
