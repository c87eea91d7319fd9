"""The output `json`: a file of JSON Lines, or of one array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from penstock import Batch, Context, Failure, Output, component, option
from penstock_files.writing import FileWriter, delivery_of

from .encode import Encoder

__all__ = ["JsonOutput"]


@component
class JsonOutput(Output):
    """Write records as JSON Lines or as one JSON array."""

    path: Path = option(
        help="File to write; '-' is standard output, .gz .bz2 .xz compress.", example="orders.jsonl"
    )
    format: Literal["lines", "array"] = option(
        default="lines", help="One record on each line, or all records in one array."
    )
    mode: Literal["replace", "append"] = option(
        default="replace", help="Replace the file when the run ends well, or add to its end."
    )
    create_parents: bool = option(default=False, help="Make the folders of the path.")
    indent: bool = option(default=False, help="Indent the records of an array by two spaces.")
    sort_keys: bool = option(default=False, help="Write the keys of every object in order.")
    decimal: Literal["text", "number"] = option(
        default="text", help="Write a Decimal as text, or with all its digits as a number."
    )
    nan: Literal["refuse", "null"] = option(
        default="refuse", help="What to do with a record that holds NaN or an infinity."
    )

    def check(self) -> None:
        if self.format == "array" and self.mode == "append":
            raise ValueError("an array cannot be appended to; use format: lines or mode: replace")
        if self.format == "lines" and self.indent:
            raise ValueError("a record must stay on its line; use indent with format: array")

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
        self._separator = b"\n" if self.format == "lines" else b",\n"
        self._encoder = Encoder(
            self._separator,
            indent=self.indent,
            sort_keys=self.sort_keys,
            decimal_as_number=self.decimal == "number",
            nan_as_null=self.nan == "null",
        )
        self._first = True
        self._writer = FileWriter(self.path, self.mode, create_parents=self.create_parents)

    def write(self, batch: Batch) -> Sequence[Failure]:
        text, failures = self._encoder.encode(batch)
        if text:
            self._put(text)
        return failures

    def flush(self) -> None:
        self._writer.flush()

    def resume(self, mark: Any, epoch: int) -> None:
        self._writer.resume(mark)
        self._first = mark is None or mark["first"]

    def reopen(self, mark: Any, epoch: int) -> None:
        self._first = self.mode == "append" or mark is None or mark["first"]
        self._writer.reopen(mark, self._closing())

    def prepare(self, epoch: int) -> Any:
        mark = self._writer.mark()
        return mark and {**mark, "first": self._first}

    def finish(self) -> None:
        self._writer.finish(self._closing())

    def close(self) -> None:
        if hasattr(self, "_writer"):  # it could be opened
            self._writer.close()

    def _closing(self) -> bytes:
        if self.format == "lines":
            return b""
        return b"[]\n" if self._first else b"\n]\n"

    def _put(self, text: bytes) -> None:
        writer = self._writer
        if self.format == "lines":
            # A line that somebody else did not finish must not swallow our first record.
            torn = self._first and not writer.ends_with(b"\n")
            writer.write(b"\n" + text + b"\n" if torn else text + b"\n")
        else:
            writer.write((b"[\n" if self._first else b",\n") + text)
        self._first = False
