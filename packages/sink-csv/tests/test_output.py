"""Each record is one row that every reader understands, or a failure that says why."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Batch, ConfigError, ConnectError, Context, Failure, Rows, RunError
from penstock_sink_csv import CsvOutput


def write(output: CsvOutput, *batches: Iterable[Any]) -> list[Failure]:
    """A run over `batches` that ends well."""
    failures: list[Failure] = []
    try:
        output.open(Context("out"))
        output.resume(None, 0)
        first = 1
        for records in batches:
            kept = records if isinstance(records, Rows) else list(records)
            failures.extend(output.write(Batch(kept, "in", range(first, first + len(kept)))))
            first += len(kept)
        output.flush()
        output.finish()
    finally:
        output.close()
    return failures


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def text_of(path: Path, *records: Any, **options: Any) -> str:
    assert write(CsvOutput(path=path, **options), records) == []
    return path.read_bytes().decode()


def objection_to(path: Path, record: Any, **options: Any) -> str:
    """What is said of a record, between two that are written."""
    failures = write(CsvOutput(path=path, **options), [{"a": 1, "b": 2}, record, {"a": 5, "b": 6}])
    assert path.read_text() == "a,b\n1,2\n5,6\n"
    assert [(one.ordinal, one.record is record) for one in failures] == [(2, True)]
    return str(failures[0].error)


# ---- rows and columns ---------------------------------------------------------------------------


def test_a_header_and_a_row_for_each_record(path: Path) -> None:
    write(CsvOutput(path=path), [{"a": 1, "b": "x"}, {"b": "y", "a": 2}], [], [{"a": 3, "b": ""}])
    assert path.read_text() == "a,b\n1,x\n2,y\n3,\n"


def test_no_records_make_an_empty_file(path: Path) -> None:
    write(CsvOutput(path=path))
    assert path.read_bytes() == b""


def test_named_columns_make_a_header_without_records(path: Path) -> None:
    write(CsvOutput(path=path, columns=["a", "b"]))
    assert path.read_text() == "a,b\n"


def test_named_columns_give_the_order(path: Path) -> None:
    assert text_of(path, {"a": 1, "b": 2}, columns=["b", "a"]) == "b,a\n2,1\n"


def test_without_a_header(path: Path) -> None:
    assert text_of(path, {"a": 1, "b": 2}, header=False) == "1,2\n"


def test_one_column_with_nothing_in_it_is_no_blank_line(path: Path) -> None:
    assert text_of(path, {"a": None}, {"a": ""}, {"a": 1}) == 'a\n""\n""\n1\n'


def test_rows_of_a_table(path: Path) -> None:
    output = CsvOutput(path=path)
    write(output, Rows(("a", "b"), [[1, 2]]), Rows(("b", "a"), [[4, 3]]), [{"a": 5, "b": True}])
    assert path.read_text() == "a,b\n1,2\n3,4\n5,true\n"


@dataclass
class Point:
    a: Any
    b: Any


def test_dataclasses(path: Path) -> None:
    assert text_of(path, Point(1, [2]), Point(3, "x")) == "a,b\n1,[2]\n3,x\n"


def test_other_keys_may_be_ignored(path: Path) -> None:
    records = [{"a": 1, "b": 2}, {"a": 3, "b": 4, "c": 5}]
    assert text_of(path, *records, extra="ignore") == "a,b\n1,2\n3,4\n"
    assert text_of(path, {"a": 1, "b": 2}, columns=["b"], extra="ignore") == "b\n2\n"


def test_missing_columns_may_be_empty(path: Path) -> None:
    records = [{"a": 1, "b": 2}, {"b": 4}, {}]
    assert text_of(path, *records, missing="empty") == "a,b\n1,2\n,4\n,\n"
    assert text_of(path, {"b": 4}, columns=["a", "b"], missing="empty", null="-") == "a,b\n-,4\n"


@pytest.mark.parametrize(
    ("record", "objection"),
    [
        ({"a": 3}, "column 'b' is missing; add it, or set missing: empty"),
        ({"a": 3, "c": 4}, "there is no column 'c'; drop it, or set extra: ignore"),
        ({"a": 3, "b": 4, "c": 5}, "there is no column 'c'; drop it, or set extra: ignore"),
        ([3, 4], "the record is of type list, without columns; make it a mapping"),
        ("ab", "the record is of type str, without columns; make it a mapping"),
        (7, "the record is of type int, without columns; make it a mapping"),
        (
            {"a": 3, "b": b"x"},
            "column 'b' holds bytes, which are no text; decode them or leave them out",
        ),
        (
            {"a": timedelta(1), "b": 4},
            "column 'a' holds a value of type timedelta, which has no text; cast it first",
        ),
        (
            {"a": 3, "b": [{1}]},
            "column 'b' holds a value of type set, which has no text; cast it first",
        ),
        (
            {"a": 3, "b": [float("nan")]},
            "column 'b' has no text in JSON: out of range float values are not JSON compliant",
        ),
        (
            {"a": 3, "b": {(1, 2): 3}},
            "column 'b' has no text in JSON: keys must be str, int, float, bool or None, not tuple",
        ),
        *(
            (
                {"a": one, "b": other},
                "column 'a' holds a number with more digits than can be written; make it text",
            )
            for one in (10**5000, type("Own", (int,), {})(10**5000))
            for other in (1, True)  # which is written by csv.writer, and which is not
        ),
        (
            {"a": 3, "b": [10**5000]},
            "column 'b' has no text in JSON: exceeds the limit",
        ),
        (
            {"a": 3, "b": "\ud800"},
            "'\\ud800' cannot be written in utf-8; replace it, or set encoding: utf-8",
        ),
    ],
)
def test_the_record_without_a_row_is_named(path: Path, record: Any, objection: str) -> None:
    assert objection_to(path, record).startswith(objection)


def test_records_of_one_ordinal_fail_one_by_one(path: Path) -> None:
    """An expanded batch has several records with the same ordinal."""
    output = CsvOutput(path=path, encoding="ascii")
    output.open(Context("out"))
    output.resume(None, 0)
    records = [{"a": 1}, {"a": b""}, {"a": 2}, {"a": "ü"}]
    failures = list(output.write(Batch(records, "in", [7, 7, 7, 7])))
    output.finish()
    assert [(one.ordinal, one.record) for one in failures] == [(7, records[1]), (7, records[3])]
    assert path.read_text() == "a\n1\n2\n"


def test_records_without_keys_fail(path: Path) -> None:
    failures = write(CsvOutput(path=path), [{}, 5], [{"a": 1}])
    objection = "the record has no columns; make it a mapping with keys"
    assert [(one.ordinal, str(one.error)) for one in failures] == [(1, objection), (2, objection)]
    assert path.read_text() == "a\n1\n"


# ---- values -------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (Name("x"), "x"),
        (-5, "-5"),
        (10**30, str(10**30)),
        (0.1 + 0.2, "0.30000000000000004"),
        (float("inf"), "inf"),
        (True, "true"),
        (False, "false"),
        (Decimal("1.10"), "1.10"),
        (datetime.fromisoformat("2026-01-31T08:30:00"), "2026-01-31T08:30:00"),
        (datetime(2026, 1, 31, 8, 30, 0, 5, timezone.utc), "2026-01-31T08:30:00.000005+00:00"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(8, 30), "08:30:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "red"),
        ([1, "ü", None], '"[1,""ü"",null]"'),
        ((1, 2), '"[1,2]"'),
        ({"a": date(2026, 1, 31)}, '"{""a"":""2026-01-31""}"'),
        (Point(1, Decimal("2.0")), '"{""a"":1,""b"":""2.0""}"'),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("", ""),
        (None, ""),
    ],
)
def test_the_text_of_values(path: Path, value: Any, text: str) -> None:
    assert text_of(path, {"n": 1, "v": value}) == f"n,v\n1,{text}\n"


def test_text_for_none(path: Path) -> None:
    assert text_of(path, {"a": None, "b": ""}, null="NULL") == "a,b\nNULL,\n"


@pytest.mark.parametrize(
    ("quoting", "text"),
    [
        ("minimal", "a,b,c\n1,x,true\n"),
        ("all", '"a","b","c"\n"1","x","true"\n'),
        ("nonnumeric", '"a","b","c"\n1,"x","true"\n'),
    ],
)
def test_quoting(path: Path, quoting: str, text: str) -> None:
    assert text_of(path, {"a": 1, "b": "x", "c": True}, quoting=quoting) == text


def test_delimiter_and_quotechar(path: Path) -> None:
    record = {"a": "x;y", "b": "it's", "c": "1,5"}
    assert text_of(path, record, delimiter=";", quotechar="'") == "a;b;c\n'x;y';'it''s';1,5\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_within_values_are_quoted(path: Path, end: str) -> None:
    records = [{"a": value, "b": "x"} for value in ("1\n2", "1\r2", "1\r\n2", "1")]
    text = text_of(path, *records, line_terminator=end)
    assert list(csv.DictReader(io.StringIO(text, newline=""))) == records
    assert text.endswith(f"1,x{end}")


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-x", "@x", "\tx", "\rx", "+", "-1+cmd|' /C calc'!A0", "-1\n"]
)
def test_formulas_may_be_escaped(path: Path, text: str) -> None:
    record = {"a": text, "b": -1, "c": "x=1", "d": [1]}
    for options, expected in (({}, text), ({"formulas": "escape"}, f"'{text}")):
        written = text_of(path, record, **options)
        [row] = csv.DictReader(io.StringIO(written, newline=""))
        assert row == {"a": expected, "b": "-1", "c": "x=1", "d": "[1]"}


@pytest.mark.parametrize("text", ["-1", "+1.5", "-.5", "-1e10", "+1,5", "5", "x", "", "'=1"])
def test_numbers_and_other_text_are_not_escaped(path: Path, text: str) -> None:
    [row] = csv.DictReader(io.StringIO(text_of(path, {"a": text, "b": 1}, formulas="escape")))
    assert row["a"] == text


def test_names_of_columns_are_escaped_too(path: Path) -> None:
    assert text_of(path, {"=a": 1}, formulas="escape") == "'=a\n1\n"


# ---- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_encodings(path: Path, encoding: str) -> None:
    write(CsvOutput(path=path, encoding=encoding), [{"a": "ü"}], [{"a": "é"}])
    assert path.read_bytes() == "a\nü\né\n".encode(encoding)


def test_a_character_that_the_encoding_lacks(path: Path) -> None:
    objection = objection_to(path, {"a": "ok", "b": "€"}, encoding="latin-1")
    assert objection == "'€' cannot be written in latin-1; replace it, or set encoding: utf-8"


def test_an_encoding_with_states_is_ended(path: Path) -> None:
    records = [{"a": "日本"}, {"a": "€"}, {"a": "語"}]
    failures = write(CsvOutput(path=path, encoding="iso2022_jp", header=False), records)
    assert [one.ordinal for one in failures] == [2]
    assert path.read_bytes().decode("iso2022_jp") == "日本\n語\n"


def test_a_header_that_the_encoding_lacks(path: Path) -> None:
    with pytest.raises(RunError) as caught:
        write(CsvOutput(path=path, encoding="latin-1"), [{"€": 1}])
    assert str(caught.value) == (
        f"{path}: '€' in the header cannot be written in latin-1; "
        "set encoding: utf-8, or rename the columns"
    )


def test_the_suffix_compresses(tmp_path: Path) -> None:
    path = tmp_path / "out.csv.gz"
    write(CsvOutput(path=path), [{"a": 1}])
    assert gzip.decompress(path.read_bytes()) == b"a\n1\n"


# ---- appending and failing ----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le"])
def test_appending_keeps_the_header_and_its_order(
    tmp_path: Path, suffix: str, encoding: str
) -> None:
    path = tmp_path / f"out.csv{suffix}"
    for record in ({"a": 1, "b": 2}, {"b": 4, "a": 3}):
        write(CsvOutput(path=path, mode="append", encoding=encoding), [record])
    data = gzip.decompress(path.read_bytes()) if suffix else path.read_bytes()
    assert data == "a,b\n1,2\n3,4\n".encode(encoding)


def test_appending_to_a_new_file_writes_the_header(path: Path) -> None:
    assert text_of(path, {"a": 1}, mode="append") == "a\n1\n"


def test_appending_without_a_header(path: Path) -> None:
    path.write_text("1,2\n")
    assert text_of(path, {"x": 3, "y": 4}, mode="append", header=False) == "1,2\n3,4\n"


def test_a_record_with_other_keys_is_not_appended(path: Path) -> None:
    path.write_text("a,b\n1,2\n")
    [failure] = write(CsvOutput(path=path, mode="append"), [{"a": 3, "c": 4}])
    assert str(failure.error) == "there is no column 'c'; drop it, or set extra: ignore"
    assert path.read_text() == "a,b\n1,2\n"


def test_a_row_without_its_end_does_not_swallow_the_next(path: Path) -> None:
    path.write_text("a,b\n1,2")
    assert text_of(path, {"a": 3, "b": 4}, mode="append") == "a,b\n1,2\n3,4\n"


def test_a_header_that_differs_is_refused(path: Path) -> None:
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConnectError) as caught:
        write(CsvOutput(path=path, mode="append", columns=["a", "c"]), [{"a": 3, "c": 4}])
    assert str(caught.value) == (
        f"{path}: its header is a, b, but columns are a, c; make them agree, or replace it"
    )
    assert path.read_text() == "a,b\n1,2\n"


def test_a_header_that_cannot_be_read_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\n")
    with pytest.raises(ConnectError) as caught:
        write(CsvOutput(path=path, mode="append"), [{"a": 3}])
    text = str(caught.value)
    assert text.startswith(f"{path}: its header cannot be read: 'utf-8' codec can't decode byte")
    assert text.endswith("; look at encoding and delimiter, or replace it")
    assert path.read_bytes() == b"\xff\n"


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_run_that_fails_leaves_the_file_as_it_was(path: Path, mode: str) -> None:
    path.write_text("a\n1\n")
    output = CsvOutput(path=path, mode=mode)
    output.open(Context("out"))
    output.resume(None, 0)
    output.write(Batch([{"a": 2}]))
    output.flush()
    output.close()
    assert path.read_text() == "a\n1\n"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("columns", [[], ["n", "ü"]])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "iso2022_jp_2"])
def test_a_run_that_was_cut_off_goes_on(
    tmp_path: Path, count: int, mode: Any, columns: list[str], encoding: str
) -> None:
    options: dict[str, Any] = {"mode": mode, "columns": columns, "encoding": encoding}
    records = [{"n": n, "ü": "あ"} for n in range(3)]
    whole, path = tmp_path / "whole.csv", tmp_path / "out.csv"
    write(CsvOutput(path=whole, **options), records)

    output = CsvOutput(path=path, **options)
    output.open(Context("out"))
    output.resume(None, 0)
    if count:
        output.write(Batch(records[:count]))
    mark = json.loads(json.dumps(output.prepare(1)))
    output.write(Batch([{"ü": "lost", "n": 0}]))
    output.flush()
    output._writer._file.raw.close()  # type: ignore[attr-defined]

    again = CsvOutput(path=path, **options)
    again.open(Context("out"))
    again.resume(mark, 1)
    if records[count:]:
        again.write(Batch(records[count:]))
    mark = again.prepare(2)
    again.finish()
    again.close()
    assert path.read_bytes() == whole.read_bytes()

    last = CsvOutput(path=path, **options)  # it died before it could note that it was done
    last.open(Context("out"))
    last.resume(mark, 2)
    last.finish()
    last.close()
    assert path.read_bytes() == whole.read_bytes()


def test_the_columns_stay_those_of_the_first_record(path: Path) -> None:
    output = CsvOutput(path=path)
    output.open(Context("out"))
    output.resume(None, 0)
    output.write(Batch([{"a": 1, "b": 2}]))
    mark = output.prepare(1)
    output.close()
    again = CsvOutput(path=path)
    again.open(Context("out"))
    again.resume(mark, 1)
    again.write(Batch([{"b": 4, "a": 3}]))
    again.finish()
    assert path.read_text() == "a,b\n1,2\n3,4\n"


def test_an_append_that_was_cut_off_in_its_header_begins_again(path: Path) -> None:
    output = CsvOutput(path=path, mode="append")
    output.open(Context("out"))
    output.resume(None, 0)
    output._writer.write(b"a,")
    output.flush()
    output._writer._file.raw.close()  # type: ignore[attr-defined]
    assert text_of(path, {"a": 1, "b": 2}, mode="append", columns=["a", "b"]) == "a,b\n1,2\n"


def test_only_a_file_can_be_taken_back(path: Path) -> None:
    assert CsvOutput(path=path).delivery == "rewindable"
    assert CsvOutput(path=Path("/dev/stdout")).delivery == "append"


def test_what_cannot_be_opened_is_closed_without_harm(tmp_path: Path) -> None:
    output = CsvOutput(path=tmp_path)
    with pytest.raises(ConnectError) as caught:
        output.open(Context("out"))
    output.close()
    assert str(caught.value) == f"{tmp_path}: is a folder; name a file in it"


def test_a_full_disk() -> None:
    with pytest.raises(RunError) as caught:
        write(CsvOutput(path=Path("/dev/full")), [{"a": 1}])
    assert str(caught.value) == "/dev/full: the disk is full; make room and run it again"


MARK = "'utf-16' begins each file with a mark; name the order of its bytes, as in 'utf-16-le'"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"delimiter": ";;"}, ".delimiter: must be one character, got ';;'"),
        ({"quotechar": "\n"}, ".quotechar: must be one character, got '\\n'"),
        ({"delimiter": '"'}, ": delimiter and quotechar must not be the same"),
        ({"columns": ["a", "b", "a"]}, ": columns names 'a' twice"),
        (
            {"encoding": "utf-9"},
            ".encoding: must be an encoding that Python knows, such as 'utf-8', got 'utf-9'",
        ),
        (
            {"encoding": "utf-16", "mode": "append"},
            f": {MARK}",
        ),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CsvOutput(path=Path("x"), **options)
    assert str(caught.value) == f"CsvOutput{problem}"


# ---- property -----------------------------------------------------------------------------------

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), max_size=10)
)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "quoting": st.sampled_from(["minimal", "all", "nonnumeric"]),
        "line_terminator": st.sampled_from(["\n", "\r\n", "\r"]),
        "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    }
)


@settings(deadline=None)
@given(TABLES, DIALECTS)
def test_any_text_reads_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], dialect: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("x") / "out.csv"
    records = [{f"c{index}": value for index, value in enumerate(row)} for row in table]
    assert write(CsvOutput(path=path, **dialect), records) == []
    with path.open(encoding=dialect["encoding"], newline="") as file:
        reading = {name: dialect[name] for name in ("delimiter", "quotechar")}
        assert list(csv.DictReader(file, **reading)) == records


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, [{"a": 1}], "a\n1\n2\n"),
        ({}, [], "a\n2\n"),
        ({"columns": ["a"]}, [], "a\n2\n"),
        ({"mode": "append"}, [{"a": 1}], "a\n1\n2\n"),
        ({"encoding": "utf-16"}, [{"a": 1}], "a\n1\n2\n"),
        ({"encoding": "utf-16", "columns": ["a"]}, [], "a\n2\n"),
    ],
)
def test_records_are_added_to_what_a_finished_run_has_written(
    path: Path, options: Any, before: list[Any], after: str
) -> None:
    output = CsvOutput(path=path, **options)
    output.open(Context("out"))
    output.resume(None, 0)
    output.write(Batch(before))
    mark = output.prepare(1)
    output.finish()
    output.close()
    alone = path.read_bytes()
    for records in ([], [{"a": 2}]):
        assert path.read_bytes() == alone
        output = CsvOutput(path=path, **options)
        output.open(Context("out"))
        output.reopen(mark, 1)
        output.write(Batch(records))
        output.finish()
        output.close()
    assert path.read_text(options.get("encoding", "utf-8")) == after
