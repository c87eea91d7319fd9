"""The output `csv`: rows in a file, under a header."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from penstock import (
    Batch,
    ConnectError,
    Context,
    Failure,
    Output,
    RecordError,
    RunError,
    component,
    option,
)
from penstock_files.reading import open_binary
from penstock_files.writing import FileWriter, delivery_of

from .rows import Made, Table, columns_of
from .values import escape_formula, written

__all__ = ["CsvOutput"]

_QUOTING = {
    "minimal": csv.QUOTE_MINIMAL,
    "all": csv.QUOTE_ALL,
    "nonnumeric": csv.QUOTE_NONNUMERIC,
}


def _one_character(value: str) -> None:
    if len(value) != 1 or value in "\r\n":
        raise ValueError("must be one character")


def _known_encoding(value: str) -> None:
    try:
        "".encode(value)
    except LookupError:
        raise ValueError("must be an encoding that Python knows, such as 'utf-8'") from None


@component
class CsvOutput(Output):
    """Write records as rows of a CSV file."""

    path: Path = option(
        help="File to write; '-' is standard output, .gz .bz2 .xz compress.", example="orders.csv"
    )
    mode: Literal["replace", "append"] = option(
        default="replace", help="Replace the file when the run ends well, or add to its end."
    )
    create_parents: bool = option(default=False, help="Make the folders of the path.")
    columns: list[str] = option(
        default=[], help="Names of the columns; the keys of the first record if left out."
    )
    header: bool = option(default=True, help="Begin the file with the names of the columns.")
    extra: Literal["refuse", "ignore"] = option(
        default="refuse", help="What to do with a record that has other keys as well."
    )
    missing: Literal["refuse", "empty"] = option(
        default="refuse", help="What to do with a record that lacks a column."
    )
    delimiter: str = option(default=",", help="Stands between values.", check=_one_character)
    quotechar: str = option(default='"', help="Stands around values.", check=_one_character)
    quoting: Literal["minimal", "all", "nonnumeric"] = option(
        default="minimal", help="Which values to quote."
    )
    line_terminator: Literal["\n", "\r\n", "\r"] = option(default="\n", help="Ends each line.")
    encoding: str = option(default="utf-8", help="Encoding of the text.", check=_known_encoding)
    null: str = option(default="", help="Text for None.", example="NULL")
    formulas: Literal["keep", "escape"] = option(
        default="keep", help="Put a ' before text that a spreadsheet would run as a formula."
    )

    def check(self) -> None:
        if self.delimiter == self.quotechar:
            raise ValueError("delimiter and quotechar must not be the same")
        for name in self.columns:
            if self.columns.count(name) > 1:
                raise ValueError(f"columns names {name!r} twice")
        marked = codecs.lookup(self.encoding).name in ("utf-16", "utf-32")
        if self.mode == "append" and marked:
            hint = f"name the order of its bytes, as in '{self.encoding}-le'"
            raise ValueError(f"{self.encoding!r} begins each file with a mark; {hint}")

    @property
    def delivery(self) -> str:  # type: ignore[override]
        """What went to standard output, a pipe or a device cannot be taken back."""
        return delivery_of(self.path)

    @property
    def replaces(self) -> bool:  # type: ignore[override]
        """Whether a new run replaces the file as a whole."""
        return self.mode == "replace" and self.delivery == "rewindable"

    def open(self, context: Context) -> None:
        super().open(context)
        self._table: Table | None = None
        self._encoder = codecs.getincrementalencoder(self.encoding)()
        self._dialect: dict[str, Any] = {
            "delimiter": self.delimiter,
            "quotechar": self.quotechar,
            "quoting": _QUOTING[self.quoting],
        }
        self._writer = FileWriter(self.path, self.mode, create_parents=self.create_parents)
        # Looked at now, so that a header that differs is noticed before anything is read.
        self._there = self._existing_header() if self.header and self._writer.length else []

    def resume(self, mark: Any, epoch: int) -> None:
        self._writer.resume(mark)
        if mark is not None:
            self._take_up(mark)
        elif self._writer.length:
            self._go_on()

    def _take_up(self, mark: Any) -> None:
        self._encoder.setstate(mark["encoder"])
        if mark["columns"] is not None:
            self._table = self._made_table(mark["columns"])

    def reopen(self, mark: Any, epoch: int) -> None:
        if self.mode == "append":
            self.resume(None, epoch)
            return
        if mark is not None:
            self._take_up(mark)
        state = self._encoder.getstate()
        self._writer.reopen(mark, self._closing())
        self._encoder.setstate(state)  # the end is still to come

    def write(self, batch: Batch) -> Sequence[Failure]:
        if self._table is None:
            columns = self.columns or columns_of(batch)
            if columns is None:
                error = RecordError("the record has no columns; make it a mapping with keys")
                return [Failure(r, n, error) for r, n in zip(batch.records, batch.ordinals)]
            self._table = self._begin(columns)
        made = self._table.rows(batch)
        try:
            text = self._encoder.encode(self._text(made.rows))
        except ValueError:
            made = self._writable(made, batch)
            text = self._encoder.encode(self._text(made.rows))
        self._writer.write(text)
        return made.failures

    def flush(self) -> None:
        self._writer.flush()

    def prepare(self, epoch: int) -> Any:
        mark = self._writer.mark()
        if mark is None:
            return None
        columns = None if self._table is None else list(self._table.columns)
        return {**mark, "columns": columns, "encoder": self._encoder.getstate()}

    def finish(self) -> None:
        self._writer.finish(self._closing())

    def _closing(self) -> bytes:
        header = b""
        if self._table is None and self.columns:
            header = self._header_line(self.columns)
        return header + self._encoder.encode("", True)

    def close(self) -> None:
        if hasattr(self, "_writer"):  # it could be opened
            self._writer.close()

    # ---- the beginning --------------------------------------------------------------------------

    def _begin(self, columns: Sequence[str]) -> Table:
        self._writer.write(self._header_line(columns))
        return self._made_table(columns)

    def _header_line(self, columns: Sequence[str]) -> bytes:
        if not self.header:
            return b""
        try:
            return self._encoder.encode(self._text([self._header(columns)]))
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            what = f"{character!r} in the header cannot be written in {self.encoding}"
            hint = "set encoding: utf-8, or rename the columns"
            raise RunError(what, where=str(self.path), hint=hint) from error

    def _made_table(self, columns: Sequence[str]) -> Table:
        return Table(
            columns,
            extra=self.extra == "ignore",
            missing=self.missing == "empty",
            null=self.null,
            escape=self.formulas == "escape",
        )

    def _header(self, columns: Sequence[str]) -> list[str]:
        escape = self.formulas == "escape"
        return [escape_formula(name) if escape else name for name in columns]

    def _go_on(self) -> None:
        """Take up a file that has rows: its header gives the columns, and is not written again."""
        self._encoder.encode("")  # some encodings begin a file with a mark; ours has begun
        ends = [end.encode(self._plain_encoding) for end in ("\n", "\r")]
        if not any(map(self._writer.ends_with, ends)):
            # A row that somebody else did not finish must not swallow our first one.
            self._writer.write(self._encoder.encode(self.line_terminator))
        if self._there:
            self._table = self._made_table(self.columns or self._there)

    @property
    def _plain_encoding(self) -> str:
        return "utf-8" if codecs.lookup(self.encoding).name == "utf-8-sig" else self.encoding

    def _existing_header(self) -> list[str]:
        try:
            with open_binary(self.path) as stream:
                lines = io.TextIOWrapper(stream, self.encoding, newline="")
                rows = csv.reader(lines, delimiter=self.delimiter, quotechar=self.quotechar)
                there = next(rows, [])
        except (UnicodeError, csv.Error) as error:
            what = f"its header cannot be read: {error}"
            hint = "look at encoding and delimiter, or replace it"
            raise ConnectError(what, where=str(self.path), hint=hint) from error
        if there and self.columns and there != self._header(self.columns):
            what = f"its header is {', '.join(there)}, but columns are {', '.join(self.columns)}"
            raise ConnectError(what, where=str(self.path), hint="make them agree, or replace it")
        return there

    # ---- text -----------------------------------------------------------------------------------

    def _text(self, rows: Sequence[Sequence[Any]]) -> str:
        end = self.line_terminator
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=end, **self._dialect).writerows(rows)
        made = text.getvalue()
        if ("\r" in made and end == "\n") or ("\n" in made and end == "\r"):
            # Before Python 3.13 csv.writer quotes only the line ends that it is told to write,
            # but every reader takes both for one.
            lines = _Lines()
            csv.writer(lines, lineterminator="\r\n", **self._dialect).writerows(rows)
            made = "".join([line[:-2] + end for line in lines])
        return made

    def _writable(self, made: Made, batch: Batch) -> Made:
        """The rows that can be written; the records of all others fail."""
        rows, indices, failures = [], [], list(made.failures)
        for row, index in zip(made.rows, made.indices):
            objection = self._objection(row)
            if objection is None:
                rows.append(row)
                indices.append(index)
            else:
                failures.append(Failure(batch.records[index], batch.ordinals[index], objection))
        return Made(rows, indices, failures)

    def _objection(self, row: Sequence[Any]) -> RecordError | None:
        assert self._table is not None
        for name, value in zip(self._table.columns, row):
            try:
                written(value)
            except RecordError as error:
                return RecordError(f"column {name!r} {error}")
        try:
            self._text([row]).encode(self.encoding)
        except UnicodeEncodeError as error:
            what = f"{error.object[error.start]!r} cannot be written in {self.encoding}"
            return RecordError(f"{what}; replace it, or set encoding: utf-8")
        return None


class _Lines(list[str]):
    """What `csv.writer` writes, line by line."""

    write = list.append
