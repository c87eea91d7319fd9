"""From text to rows: quickly where every row is one line, with `csv.reader` alone where not."""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Callable
from itertools import chain, islice, repeat
from operator import attrgetter
from typing import Any, NamedTuple

__all__ = ["Dialect", "Parsed", "Parser", "RanOut", "Row", "allow_fields_of", "hide_nul"]

Row = list[Any]

_SHORT = 30
"""Characters in a line, on the average, below which `csv.reader` is quicker than `str.split`."""

_line_number = attrgetter("line_num")


class Dialect(NamedTuple):
    """How values are separated and quoted; an empty text means that there is no such sign."""

    delimiter: str = ","
    quotechar: str = '"'
    escapechar: str = ""
    doublequote: bool = True
    skip_initial_space: bool = False
    comment: str = ""
    strict: bool = True


class RanOut(Exception):
    """The lines end inside of a row, and more of them are needed."""


class Parsed(NamedTuple):
    """Rows, for each the index of the line after it, and what stopped the parsing, if anything."""

    rows: list[Row]
    ends: list[int]
    trouble: csv.Error | RanOut | None


class Parser:
    """Parses lines of one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._options: dict[str, Any] = {
            "delimiter": dialect.delimiter,
            "quotechar": dialect.quotechar or None,
            "escapechar": dialect.escapechar or None,
            "doublequote": dialect.doublequote,
            "skipinitialspace": dialect.skip_initial_space,
            "strict": dialect.strict,
            "quoting": csv.QUOTE_MINIMAL if dialect.quotechar else csv.QUOTE_NONE,
        }
        space = " " if dialect.skip_initial_space else ""
        self._hard_starts = tuple(filter(None, (dialect.comment, space)))
        self._hard = tuple(filter(None, (dialect.escapechar, space and dialect.delimiter + space)))

    def quickly(self, text: str) -> tuple[list[str], list[Row], str] | None:
        r"""The lines of `text`, the row in each, and what ends them all: "\n", "\r\n" or "\r".

        None unless every line is a well-formed row. A line without a quote needs only to be split,
        in half the time that `csv.reader` takes; where lines are short or mostly quoted, that is
        quicker for all of them.
        """
        if any(map(text.__contains__, self._hard)):
            return None
        split = _split(text)
        if split is None:
            return None
        lines, end = split
        if "" in lines or self._some_start_hard(text, lines):
            return None
        delimiter, quote = self.dialect.delimiter, self.dialect.quotechar
        if len(text) < _SHORT * len(lines) or self._mostly_quoted(text, len(lines)):
            rows = self._rows_of(lines)
        elif not quote or quote not in text:
            rows = [line.split(delimiter) for line in lines]
        else:
            rows = self._rows_of_mixed(lines)
        return (lines, rows, end) if rows is not None else None

    def _mostly_quoted(self, text: str, lines: int) -> bool:
        """Whether there is more than a quote in a line, by the look of the first of them."""
        sample, quote = text[:2_000], self.dialect.quotechar
        return bool(quote) and sample.count(quote) * len(text) > lines * len(sample)

    def _rows_of(self, lines: list[str]) -> list[Row] | None:
        """A row for each line, by `csv.reader`; None if there is one that takes more lines."""
        rows: list[Row] = []
        try:
            rows.extend(csv.reader(chain(lines, map(_run_out, [None])), **self._options))
        except csv.Error:
            return None
        except RanOut:  # which is the end, or in the middle of a row that is not among them
            pass
        return rows if len(rows) == len(lines) else None

    def _rows_of_mixed(self, lines: list[str]) -> list[Row] | None:
        """As `_rows_of`, but only lines with a quote go through `csv.reader`, one at a time."""
        delimiter, quote = self.dialect.delimiter, self.dialect.quotechar
        waiting: deque[str] = deque()
        push: Callable[[str], Any] = waiting.append  # gives None, so that `or` goes on
        parse = csv.reader(iter(waiting.popleft, None), **self._options).__next__
        try:
            return [
                push(line) or parse() if quote in line else line.split(delimiter) for line in lines
            ]
        except (csv.Error, IndexError):  # malformed; or it asked for a line more than there is
            return None

    def _some_start_hard(self, text: str, lines: list[str]) -> bool:
        starts = self._hard_starts
        return any(map(text.__contains__, starts)) and any(
            line.startswith(starts) for line in lines
        )

    def carefully(
        self, lines: list[str], start: int, stop: int, *, final: bool, most: int | None = None
    ) -> Parsed:
        """The rows in `lines[start:stop]`, with their line ends, `most` of them; blank ones are [].

        `final`: no lines come after these, and so a row may end where they do unless the dialect
        is strict.
        """
        given = map(lines.__getitem__, range(start, stop))
        feed = given if final and not self.dialect.strict else chain(given, map(_run_out, [None]))
        reader = csv.reader(feed, **self._options)
        pairs: list[tuple[Row, int]] = []
        trouble: csv.Error | RanOut | None = None
        try:  # `zip` takes a row first and then the number of lines that were used for it
            pairs.extend(islice(zip(reader, map(_line_number, repeat(reader))), most))
        except (csv.Error, RanOut) as raised:
            trouble = raised
        rows = [row for row, _ in pairs]
        ends = [start + end for _, end in pairs]
        if isinstance(trouble, RanOut) and (ends[-1] if ends else start) == stop:
            trouble = None
        return Parsed(rows, ends, trouble)


def _split(text: str) -> tuple[list[str], str] | None:
    """The lines of a text and what ends each of them; None if they end in different ways."""
    if "\r" not in text:
        end = "\n"
    else:
        end = "\r\n" if "\n" in text else "\r"
    lines = text.split(end)
    count = len(lines) - 1
    if end == "\r\n" and not text.count("\r") == text.count("\n") == count:
        return None
    if not lines[-1]:
        del lines[-1]
    return lines, end


def allow_fields_of(size: int) -> None:
    """Let `csv.reader` give values of `size` characters.

    Its limit holds for the whole process. It is only ever raised, so that nobody who reads at the
    same time meets a smaller one than he has set.
    """
    if size > csv.field_size_limit():
        csv.field_size_limit(size)


def hide_nul(lines: list[str]) -> tuple[list[str], str]:
    """Write a sign that occurs nowhere for NUL, which `csv` refuses before Python 3.11."""
    if sys.version_info >= (3, 11) or not any("\0" in line for line in lines):
        return lines, ""
    text = "".join(lines)
    sign = next(sign for sign in map(chr, range(0xE000, 0xF900)) if sign not in text)
    return [line.replace("\0", sign) for line in lines], sign


def _run_out(_: None) -> str:
    raise RanOut
