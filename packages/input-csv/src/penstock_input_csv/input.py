"""The input `csv`: its options, and its files one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from penstock import BATCH_SIZE, Batch, ByteSize, Context, Input, component, option
from penstock_files.reading import find

from .encoding import check_encoding
from .parser import Dialect
from .table import Form, Table

__all__ = ["CsvInput"]


def _sign(value: str) -> None:
    if len(value) != 1 or value in "\r\n":
        raise ValueError('must be one character; a tab is "\\t" in double quotes')


def _sign_or_none(value: str) -> None:
    if value:
        _sign(value)


def _one_line(value: str) -> None:
    if "\n" in value or "\r" in value:
        raise ValueError("must not contain a line end")


def _not_negative(value: int) -> None:
    if value < 0:
        raise ValueError("must not be negative")


def _positive(value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


def _distinct(names: list[str] | None) -> None:
    if names is None:
        return
    if not names:
        raise ValueError("must name a column")
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValueError(f"must not name {name!r} twice")


@component
class CsvInput(Input):
    """Read each row of CSV files as a dict keyed by the names in the header row.

    Values stay text. A row that cannot be read goes to the dead letters with its line number, and
    reading goes on in the next line.
    """

    path: Path = option(
        help="File to read, plain or as .gz, .bz2 or .xz; a pattern such as data/*.csv; - for "
        "standard input.",
        example="orders.csv",
    )
    delimiter: str = option(default=",", help="Character between values.", check=_sign)
    quotechar: str = option(
        default='"', help="Character around values; empty for none.", check=_sign_or_none
    )
    escapechar: str = option(
        default="",
        help="Character that takes the meaning from the next one; empty for none.",
        check=_sign_or_none,
    )
    doublequote: bool = option(
        default=True, help="Whether two quotes inside of quotes stand for one."
    )
    skip_initial_space: bool = option(
        default=False, help="Whether to ignore spaces in front of a value."
    )
    strict: bool = option(
        default=True,
        help="Whether an unclosed quote, or text behind a closing one, makes the line fail.",
    )
    encoding: str = option(
        default="utf-8",
        help="Encoding of the files; a byte order mark is skipped.",
        check=check_encoding,
        example="cp1252",
    )
    header: bool = option(default=True, help="Whether the first row holds the column names.")
    columns: list[str] | None = option(
        default=None,
        help="Column names, in order; with a header they replace the names in it.",
        check=_distinct,
        example=["id", "amount"],
    )
    skip_rows: int = option(
        default=0, help="Lines to skip before the header or the first row.", check=_not_negative
    )
    comment: str = option(
        default="",
        help="Text that a line to be ignored begins with; empty for none.",
        check=_one_line,
    )
    null: list[str] = option(
        default_factory=list,
        help="Texts that become None, as in ['', 'NULL'].",
        example=["", "NULL"],
    )
    short_rows: Literal["reject", "fill"] = option(
        default="reject", help="What to do with a row that lacks values; fill adds None."
    )
    long_rows: Literal["reject", "cut"] = option(
        default="reject", help="What to do with a row that has too many values."
    )
    max_record_size: ByteSize = option(
        default=1 << 20, help="Largest row in bytes, line ends included.", check=_positive
    )
    max_field_size: ByteSize | None = option(
        default=None, help="Largest value in bytes; as large as a row if left out.", check=_positive
    )
    batch_size: int = option(default=BATCH_SIZE, help="Most rows in a batch.", check=_positive)

    def check(self) -> None:
        if not self.header and self.columns is None:
            raise ValueError("header: false needs columns, the names of all columns in order")
        signs = [sign for sign in (self.delimiter, self.quotechar, self.escapechar) if sign]
        if len(set(signs)) < len(signs):
            raise ValueError("delimiter, quotechar and escapechar must differ")
        if self.skip_initial_space and " " in signs:
            raise ValueError("skip_initial_space: true leaves no use for a space as a sign")

    @property
    def capability(self) -> str:  # type: ignore[override]
        """Only files can be read again; what came through standard input is gone."""
        return "ephemeral" if str(self.path) == "-" else "replayable"

    def open(self, context: Context) -> None:
        super().open(context)
        self._form = self._settle()
        self._files = find(self.path)
        self._sizes = [path.stat().st_size if path.is_file() else 0 for _, path in self._files]
        self._done = 0
        # The first header is read now, so that a wrong one is noticed before anything is written.
        self._table: Table | None = self._start(*self._files[0])

    def close(self) -> None:
        table: Table | None = getattr(self, "_table", None)
        if table is not None:
            table.close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch]:
        for number, (partition, path) in enumerate(self._files):
            if number or self._table is None:
                self._table = self._start(partition, path)
            self._done = number
            try:
                source = self._source(partition) or self.context.name
                yield from self._table.batches(positions.get(source))
            finally:
                self._table.close()
        self._table, self._done = None, len(self._files)

    def progress(self) -> float | None:
        """The share of the bytes on disk that were read; unknown for standard input."""
        table, total = self._table, sum(self._sizes)
        if self._done == len(self._files):
            return 1.0
        if not total:
            return None
        share = (table.share_read() if table else None) or 0.0
        return (sum(self._sizes[: self._done]) + share * self._sizes[self._done]) / total

    def _start(self, partition: str, path: Path) -> Table:
        name = "stdin" if str(path) == "-" else partition or path.name
        return Table(path, self._source(partition), name, self._form)

    def _source(self, partition: str) -> str:
        return f"{self.context.name}/{partition}" if partition else ""

    def _settle(self) -> Form:
        dialect = Dialect(
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            escapechar=self.escapechar,
            doublequote=self.doublequote,
            skip_initial_space=self.skip_initial_space,
            comment=self.comment,
            strict=self.strict,
        )
        return Form(
            dialect=dialect,
            encoding=self.encoding,
            header=self.header,
            columns=self.columns,
            skip_rows=self.skip_rows,
            nulls=frozenset(self.null),
            fill=self.short_rows == "fill",
            cut=self.long_rows == "cut",
            record_size=self.max_record_size,
            field_size=self.max_field_size or self.max_record_size,
            batch_size=self.batch_size,
        )
