"""What must be in the output, worked out without Penstock: nothing lost, repeated or torn.

Each row carries a checksum of its own number, so one that is mixed up is seen as well.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = [
    "BAD_EVERY",
    "Verdict",
    "is_finished",
    "judge",
    "judge_groups",
    "judge_windows",
    "make_rows",
    "rows_in",
    "set_aside",
]

BAD_EVERY = 97
"""Every so many rows one lacks a value, and must become a dead letter."""


def payload(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:40]


def make_rows(path: Path, count: int) -> None:
    """A CSV file of rows numbered from 1; some of them are too short."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("id,payload\n")
        for number in range(1, count + 1):
            bad = number % BAD_EVERY == 0
            file.write(f"{number}\n" if bad else f"{number},{payload(number)}\n")


def good_rows(count: int) -> list[int]:
    return [number for number in range(1, count + 1) if number % BAD_EVERY]


@dataclass(frozen=True)
class Verdict:
    """How many records an output has lost, repeated or torn. `moved`: they are out of order."""

    lost: int = 0
    repeated: int = 0
    torn: int = 0
    moved: bool = False

    @property
    def right(self) -> bool:
        return self == Verdict()

    def __str__(self) -> str:
        moved = ", out of order" if self.moved else ""
        return f"lost {self.lost}, repeated {self.repeated}, torn {self.torn}{moved}"

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(
            self.lost + other.lost,
            self.repeated + other.repeated,
            self.torn + other.torn,
            self.moved or other.moved,
        )


def judge(records: Iterable[Any], count: int, suspected: Collection[int] = ()) -> Verdict:
    """Whether an output has each good row once, in order; those `suspected` may be missing."""
    found: list[int] = []
    torn = 0
    for record in records:
        try:
            number = int(record["id"])
            whole = record["payload"] == payload(number)
        except (KeyError, TypeError, ValueError):
            whole = False
        if whole:
            found.append(number)
        else:
            torn += 1
    counts = Counter(found)
    wanted = set(good_rows(count))
    return Verdict(
        lost=len(wanted - set(counts) - set(suspected)),
        repeated=len(found) - len(counts),
        torn=torn + len(set(counts) - wanted),
        moved=found != sorted(found),
    )


def judge_groups(
    records: Iterable[Any], count: int, size: int, suspected: Collection[int] = ()
) -> Verdict:
    """Whether the good rows but those `suspected` stand in groups of `size`, in order: the last one
    may be smaller."""
    good = [number for number in good_rows(count) if number not in suspected]
    wanted = [good[start : start + size] for start in range(0, len(good), size)]
    return _judge_parts(records, wanted)


def judge_windows(
    records: Iterable[Any], count: int, size: int, suspected: Collection[int] = ()
) -> Verdict:
    """Whether the good rows but those `suspected` stand in windows that begin at the multiples of
    `size`, in order; a window without any is not there."""
    good = [number for number in good_rows(count) if number not in suspected]
    wanted = [list(window) for _, window in groupby(good, lambda number: number // size)]
    return _judge_parts(records, wanted)


def _judge_parts(records: Iterable[Any], wanted: list[list[int]]) -> Verdict:
    groups = [[int(one["id"]) for one in group["records"]] for group in records]
    good = {number for group in wanted for number in group}
    found = Counter(number for group in groups for number in group)
    return Verdict(
        lost=len(good - set(found)),
        repeated=sum(found.values()) - len(found),
        torn=0 if sorted(groups) == sorted(wanted) else 1,
        moved=groups != wanted,
    )


def rows_in(path: Path) -> Iterable[Any]:
    """The records of an output; a line that is none is given as None."""
    if not path.exists():
        return
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")
    if ".csv" in path.name:
        yield from csv.DictReader(text.splitlines())
        return
    if text.startswith("[\n"):
        try:
            yield from json.loads(text)
        except ValueError:
            yield None
        return
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            yield None


def set_aside(state: Path) -> tuple[list[int], set[int]]:
    """The numbers of the records among the dead letters, and of those that are there because they
    were at hand whenever the run was killed."""
    connection = sqlite3.connect(state / "state.db")
    try:
        found = connection.execute(
            "SELECT ordinal, message FROM letters ORDER BY ordinal"
        ).fetchall()
    finally:
        connection.close()
    suspected = {number for number, message in found if message.startswith("killed the worker")}
    return [number for number, _ in found if number not in suspected], suspected


def is_finished(state: Path) -> bool:
    """Whether the last run has noted that it was completed."""
    if not (state / "state.db").exists():
        return False
    connection = sqlite3.connect(state / "state.db")
    try:
        rows = connection.execute("SELECT checkpoint FROM checkpoints").fetchall()
    except sqlite3.OperationalError:  # not even its tables were made
        return False
    finally:
        connection.close()
    return bool(rows) and all(json.loads(text)["finished"] for (text,) in rows)
