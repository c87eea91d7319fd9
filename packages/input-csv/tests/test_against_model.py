"""Whatever a file holds: the rows of `csv.reader`, one line set aside per mistake, exact resume."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Batch, Context, Rows
from penstock_input_csv import CsvInput, table

WIDTH = 2
SIGNS = ",;\"'\\\n\n\r# ab1é漢"


def model(text: str, options: dict[str, Any], encoding: str, limit: int) -> list[Any]:
    """The rows and the first lines of what is no row, as slowly and plainly as can be."""
    dialect = {
        "delimiter": options["delimiter"],
        "quotechar": options["quotechar"] or None,
        "escapechar": options["escapechar"] or None,
        "doublequote": options["doublequote"],
        "skipinitialspace": options["skip_initial_space"],
        "strict": options["strict"],
        "quoting": csv.QUOTE_MINIMAL if options["quotechar"] else csv.QUOTE_NONE,
    }
    lines = io.StringIO(text, newline="").readlines()
    comment = options["comment"]
    found: list[Any] = []
    at = 0
    while at < len(lines):
        if comment and lines[at].startswith(comment):
            at += 1
            continue
        reader = csv.reader(lines[at:], **dialect)
        try:
            row = next(reader)
            used = "".join(lines[at : at + reader.line_num])
        except csv.Error:
            row, used = None, ""
        if row is None or len(used.encode(encoding)) > limit:
            found.append((kept(lines[at].encode(encoding), encoding, limit), at + 1))
            at += 1
            continue
        if row and len(row) == WIDTH:
            found.append(row)
        elif row:
            found.append((used.removesuffix("\n").removesuffix("\r"), at + 1))
        at += reader.line_num
    return found


def kept(line: bytes, encoding: str, limit: int) -> str:
    """A line that is set aside, without its end; of one above the limit the beginning."""
    if len(line) > limit:
        return line[:limit].decode(encoding, "replace")
    return line.decode(encoding).removesuffix("\n").removesuffix("\r")


def read(path: Path, options: dict[str, Any], position: Any = None) -> list[Batch]:
    rows = CsvInput(path=path, header=False, columns=["a", "b"], **options)
    rows.open(Context("rows"))
    try:
        return list(rows.read({} if position is None else {"rows": position}))
    finally:
        rows.close()


def told(batches: list[Batch]) -> list[tuple[int, Any]]:
    """Every row and failure with its ordinal, in the order of the file."""
    told = []
    for batch in batches:
        assert isinstance(batch.records, Rows)
        told += zip(batch.ordinals, batch.records.rows, strict=True)
        for failure in batch.failures:
            line = int(str(failure.error).split(":")[1])
            told.append((failure.ordinal, (failure.record, line)))
    return sorted(told, key=lambda one: one[0])


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "delimiter": draw(st.sampled_from(",;a")),
        "quotechar": draw(st.sampled_from(['"', '"', '"', "'", ""])),
        "escapechar": draw(st.sampled_from(["", "", "\\"])),
        "doublequote": draw(st.booleans()),
        "skip_initial_space": draw(st.booleans()),
        "strict": draw(st.sampled_from([True, True, False])),
        "comment": draw(st.sampled_from(["", "", "#", "1a"])),
        "batch_size": draw(st.integers(1, 5)),
    }


LINES = st.lists(
    st.one_of(
        st.text(SIGNS, max_size=12),
        st.sampled_from(["a,b", "1,2", '"a","b"', '"a\nb",c', '"a""b",c', 'a,"b', "", "#a,b"]),
    ),
    max_size=12,
)
ENDS = st.sampled_from(["\n", "\n", "\r\n", "\r"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "gb18030"])


@settings(deadline=None, max_examples=400)
@given(
    lines=LINES,
    ends=st.lists(ENDS, min_size=1, max_size=3),
    last_end=st.booleans(),
    options=dialects(),
    encoding=ENCODINGS,
    marked=st.booleans(),
    packed=st.booleans(),
    block=st.integers(1, 60),
    limit=st.sampled_from([20, 21, 60, 1 << 20]),
    data=st.data(),
)
def test_rows_failures_and_positions_are_those_of_the_model(
    lines: list[str],
    ends: list[str],
    last_end: bool,
    options: dict[str, Any],
    encoding: str,
    marked: bool,
    packed: bool,
    block: int,
    limit: int,
    data: st.DataObject,
) -> None:
    text = "".join(line + ends[index % len(ends)] for index, line in enumerate(lines))
    text = text if last_end else text.removesuffix(ends[(len(lines) - 1) % len(ends)])
    mark = "\ufeff" if marked and encoding.startswith("utf") else ""
    content = (mark + text).encode(encoding)
    options = {**options, "encoding": encoding, "max_record_size": limit}
    expected = list(enumerate(model(text, options, encoding, limit), 1))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_SMALLEST", block)
        patch.setattr(table, "_FIRST", block)
        patch.setattr(table, "_LARGEST", block * 3)
        path = Path(folder, "a.csv.gz" if packed else "a.csv")
        path.write_bytes(gzip.compress(content) if packed else content)
        batches = read(path, options)
        whole = told(batches)
        assert whole == expected
        assert all(1 <= batch.consumed <= options["batch_size"] for batch in batches)
        if batches:
            stop = data.draw(st.integers(0, len(batches) - 1))
            position = json.loads(json.dumps(batches[stop].resume))
            assert told(batches[: stop + 1]) + told(read(path, options, position)) == whole


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=300), unix=st.booleans())
def test_what_csv_writes_is_read_back(rows: list[list[str]], unix: bool) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n" if unix else "\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    content = text.getvalue().encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(content)
        batches = read(path, {})
    assert [row for _, row in told(batches)] == rows
