"""Writes the data of the workloads: the same bytes for the same number of rows, on any Python.

python benchmarks/gen.py w1 ROWS PATH
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path

COLUMNS = "id,ts,user_name,city,amount,qty,status,note"
CITIES = (
    *("Berlin", "München", "New York", "São Paulo", "Tokyo"),
    *("Paris", "Łódź", "Lagos", "Lima", "Oslo"),
)
STATUSES = ("paid", "open", "shipped", "returned", "cancelled")
WORDS = (
    *("alpha", "bravo", "charlie", "delta", "echo"),
    *("foxtrot", "golf", "hotel", "india", "juliet"),
)


def w1(seed: int = 7) -> Iterator[str]:
    """Rows of an order list: 8 mixed columns, UTF-8, a few quoted commas, quotes and blanks."""
    # Of the random module only random() promises the same numbers in every version of Python.
    chance = random.Random(seed).random

    def below(limit: int) -> int:
        return int(chance() * limit)

    def one_of(choices: tuple[str, ...]) -> str:
        return choices[int(chance() * len(choices))]

    moment = datetime(2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc)
    order_id = 100_000_000
    while True:
        moment += timedelta(seconds=below(5))
        user = f"{one_of(WORDS)}.{one_of(WORDS)}{below(1000)}"
        yield (
            f"{order_id},{moment:%Y-%m-%dT%H:%M:%SZ},{user},{one_of(CITIES)},"
            f"{chance() * 1000:.2f},{below(100)},{one_of(STATUSES)},{_note(chance(), one_of)}\n"
        )
        order_id += 1


def _note(kind: float, one_of: Callable[[tuple[str, ...]], str]) -> str:
    first, second, third = one_of(WORDS), one_of(WORDS), one_of(WORDS)
    if kind < 0.10:
        return f'"{first} {second}, {third}"'
    if kind < 0.12:
        return f'"said ""{first} {second}"" today"'
    if kind < 0.15:
        return ""
    return f"{first} {second} {third}"


def write_w1(rows: int, path: Path) -> None:
    """Write `rows` rows below a header. The file appears only when it is whole."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with open(unfinished, "w", newline="", encoding="utf-8") as file:
        file.write(f"{COLUMNS}\n")
        file.writelines(islice(w1(), rows))
    unfinished.replace(path)


GENERATORS: Mapping[str, Callable[[int, Path], None]] = {"w1": write_w1}


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in GENERATORS or not sys.argv[2].isdecimal():
        sys.exit(__doc__)
    GENERATORS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
