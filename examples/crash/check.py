"""Compares what was written with what there was to read. It uses nothing of Penstock.

    python check.py out/readings.csv out/lines.jsonl out/table.csv
                    [--aside out/aside.jsonl] [--mended out/mended.json]

`--aside` are readings that were set aside, as `penstock errors export` writes them; `--mended` is
one that stands for the one with its id. Ends with 0 when every reading is in every output once, or
among those set aside.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("given", type=Path)
    parser.add_argument("outputs", type=Path, nargs="+")
    parser.add_argument("--aside", type=Path)
    parser.add_argument("--mended", type=Path)
    options = parser.parse_args()
    wanted = list(readings(options.given))
    if options.mended:
        mended = texts(json.loads(options.mended.read_text(encoding="utf-8")))
        wanted = [mended if one[0] == mended[0] else one for one in wanted]
    aside = set(set_aside(options.aside)) if options.aside else set()
    wrong = 0
    for path in options.outputs:
        found = Counter(readings(path))
        lost = sum((Counter(wanted) - found - Counter(aside)).values())
        repeated = sum((found - Counter(one for one in wanted if one not in aside)).values())
        print(f"{path.name}: lost {lost}, repeated {repeated}, set aside {len(aside)}")
        wrong += lost + repeated
    return 1 if wrong else 0


def readings(path: Path) -> Iterator[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            rows = csv.reader(file)
            next(rows)
            yield from map(tuple, rows)
        else:
            for line in file:
                yield texts(json.loads(line))


def set_aside(path: Path) -> Iterator[tuple[str, ...]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield texts(json.loads(line)["record"])


def texts(reading: dict[str, object]) -> tuple[str, ...]:
    return tuple(map(str, reading.values()))


if __name__ == "__main__":
    sys.exit(main())
