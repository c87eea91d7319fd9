"""Writes data/orders.csv, the orders of a shop that does not exist: the same bytes every time.

About seven rows in a thousand are broken, in ways in which real exports are.
"""

from __future__ import annotations

import csv
import io
import random
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROWS = 120_000
BROKEN = 0.007
UNCLOSED_QUOTES = (40_000, 80_000)
"""The rows in which a quote is opened and never closed: a careless reader loses what follows."""


def bag(weights: Mapping[str, int]) -> list[str]:
    """Each choice as often as it should come up."""
    return [choice for choice, weight in weights.items() for _ in range(weight)]


COLUMNS = "order_id,placed_at,customer,email,country,currency,unit_price,qty,status,note".split(",")
FIRST_NAMES = (
    "Ada Björn Chloé Dieter Eda Frédéric Grace Håkon Ines Jürgen Karel Łucja Márta Nils Olga "
    "Paweł Renée Søren Thérèse Ulla Vera Wim Zoë"
).split()
LAST_NAMES = (
    "Andersson Bauer Çelik Dvořák Ekström Fischer García Hansen Jansen Kowalska Lemaître Müller "
    "Novák Ødegård Peeters Rossi Schröder Szabó Weiß Yıldız"
).split()
COUNTRIES = bag(
    {"DE": 30, "FR": 18, "NL": 12, "ES": 9, "AT": 7, "SE": 7, "PL": 6, "DK": 5, "CH": 6}
)
CURRENCIES = {"SE": "SEK", "PL": "PLN", "DK": "DKK", "CH": "CHF"}  # elsewhere the euro
PRICES = ("4.50", "7.95", "12.00", "19.90", "24.50", "39.00", "79.90", "149.00")
STATUSES = bag({"shipped": 46, "paid": 38, "cancelled": 9, "returned": 7})
NOTES = bag(
    {
        "": 60,
        "gift wrap": 12,
        "leave at the door, please": 10,
        "Grüße aus Köln": 7,
        'call it "the blue one"': 6,
        "second floor,\nring twice": 5,
    }
)
IN_ASCII = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ı": "i"})


class Chance:
    """Random choices from `random()` alone, which gives the same numbers in every Python."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed).random

    def below(self, limit: int) -> int:
        return int(self.random() * limit)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.below(len(choices))]


def main() -> None:
    target = Path(__file__).parent / "data" / "orders.csv"
    target.parent.mkdir(exist_ok=True)
    unfinished = target.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.writelines(lines())
    unfinished.replace(target)
    print(f"wrote {target.name} with {ROWS} rows", file=sys.stderr)


def lines() -> Iterator[bytes]:
    """The header and the rows, each with its line end; some rows have line ends in them too."""
    chance = Chance(7)
    yield encode(COLUMNS)
    for number in range(1, ROWS + 1):
        row = order(number, chance)
        if number in UNCLOSED_QUOTES:
            yield encode(row[:-1]).rstrip(b"\n") + b',"ring twice\n'
        elif chance.random() < BROKEN:
            yield chance.one_of(WAYS_TO_BREAK)(row, chance)
        else:
            yield encode(row)


def order(number: int, chance: Chance) -> list[str]:
    placed = datetime(2026, 1, 1) + timedelta(seconds=number * 240 + chance.below(240))
    first, last = chance.one_of(FIRST_NAMES), chance.one_of(LAST_NAMES)
    country = chance.one_of(COUNTRIES)
    return [
        f"A-{1_000_000 + number}",
        placed.isoformat(),
        f"{first} {last}",
        f"{in_ascii(first)}.{in_ascii(last)}{chance.below(100)}@example.org",
        country,
        CURRENCIES.get(country, "EUR"),
        chance.one_of(PRICES),
        str(1 + int(chance.random() ** 3 * 9)),
        chance.one_of(STATUSES),
        chance.one_of(NOTES),
    ]


def in_ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(IN_ASCII))
    return plain.encode("ascii", "ignore").decode().lower()


def encode(row: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


# ---- how a row is broken ------------------------------------------------------------------------


def bad_number(row: list[str], chance: Chance) -> bytes:
    row[6] = chance.one_of(["n/a", row[6].replace(".", ","), f"{row[6]} EUR", ""])
    return encode(row)


def number_in_words(row: list[str], chance: Chance) -> bytes:
    row[7] = chance.one_of(["one", "two", "a dozen"])
    return encode(row)


def no_such_day(row: list[str], chance: Chance) -> bytes:
    row[1] = f"2026-02-30{row[1][10:]}"
    return encode(row)


def empty_field(row: list[str], chance: Chance) -> bytes:
    row[chance.one_of([2, 3])] = ""
    return encode(row)


def short_row(row: list[str], chance: Chance) -> bytes:
    return encode(row[: 3 + chance.below(6)])


def long_row(row: list[str], chance: Chance) -> bytes:
    return encode([*row[:-1], "leave at the door", " please"])


def bad_utf8(row: list[str], chance: Chance) -> bytes:
    """As of a program that still writes Latin-1."""
    row[2] = "Jörg Müller"
    return encode(row).decode().encode("latin-1", "replace")


WAYS_TO_BREAK: Sequence[Callable[[list[str], Chance], bytes]] = (
    bad_number,
    number_in_words,
    no_such_day,
    empty_field,
    short_row,
    long_row,
    bad_utf8,
)


if __name__ == "__main__":
    main()
