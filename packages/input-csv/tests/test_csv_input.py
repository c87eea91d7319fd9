"""What the input promises: the rows of a file, and a sentence for every line that is not one."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock import Batch, ConfigError, ConnectError, Context, PenstockError, Rows
from penstock_input_csv import CsvInput, problems


class Read:
    """Everything that an input gave for a file."""

    def __init__(self, rows: CsvInput, positions: dict[str, Any] | None = None) -> None:
        rows.open(Context("orders"))
        try:
            self.batches: list[Batch] = list(rows.read(positions or {}))
        finally:
            rows.close()
        self.records = [record for batch in self.batches for record in batch.records]
        self.rows = [
            list(row)
            for batch in self.batches
            if isinstance(batch.records, Rows)
            for row in batch.records.rows
        ]
        self.failures = [failure for batch in self.batches for failure in batch.failures]
        self.messages = [str(failure.error) for failure in self.failures]


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, content: str | bytes, name: str = "orders.csv") -> Path:
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, content: str | bytes, **options: Any) -> Read:
        return Read(CsvInput(path=self.write(content), **options))

    def refused(self, content: str | bytes, **options: Any) -> str:
        with pytest.raises(PenstockError) as caught:
            self.read(content, **options)
        return str(caught.value).replace(f"{self.path}{os.sep}", "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def wrong_options(**options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        CsvInput(path=Path("orders.csv"), **options)
    return str(caught.value)


# ---- rows ---------------------------------------------------------------------------------------


def test_each_row_is_a_dict_keyed_by_the_header(folder: Folder) -> None:
    read = folder.read("id,name\n1,Ann\n2,\n")
    assert read.records == [{"id": "1", "name": "Ann"}, {"id": "2", "name": ""}]


def test_rows_stay_columns_until_someone_looks(folder: Folder) -> None:
    (batch,) = folder.read("id,name\n1,Ann\n").batches
    assert isinstance(batch.records, Rows)
    assert batch.records.columns == ("id", "name")
    assert batch.records.rows == [["1", "Ann"]]


def test_a_header_alone_is_no_record(folder: Folder) -> None:
    assert folder.read("id,name\n").batches == []
    assert folder.read("id,name").batches == []


def test_a_file_without_a_header_takes_its_names_from_the_options(folder: Folder) -> None:
    assert folder.read("1,Ann\n", header=False, columns=["id", "name"]).records == [
        {"id": "1", "name": "Ann"}
    ]
    assert folder.read("", header=False, columns=["id", "name"]).records == []


def test_columns_replace_the_names_in_a_header(folder: Folder) -> None:
    assert folder.read("a,a\n1,2\n", columns=["x", "y"]).records == [{"x": "1", "y": "2"}]


def test_a_header_may_be_quoted_over_lines(folder: Folder) -> None:
    assert folder.read('id,"full\nname"\n1,Ann\n').records == [{"id": "1", "full\nname": "Ann"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_may_end_in_any_way(folder: Folder, end: str, last: bool) -> None:
    text = end.join(["id,name", "1,Ann", "", "2,Bob"]) + end * last
    assert folder.read(text).rows == [["1", "Ann"], ["2", "Bob"]]


def test_line_ends_may_be_mixed_and_stay_as_they_are_in_quotes(folder: Folder) -> None:
    read = folder.read('id,name\r\n1,"a\nb"\r2,"c\rd"\n3,"e\r\nf"\r\n')
    assert read.rows == [["1", "a\nb"], ["2", "c\rd"], ["3", "e\r\nf"]]


def test_only_line_ends_end_lines(folder: Folder) -> None:
    read = folder.read("id,name\n1,a\x0bb\x0cc\x1cd\x85e\u2028f\n")
    assert read.rows == [["1", "a\x0bb\x0cc\x1cd\x85e\u2028f"]]


def test_a_dialect_of_its_own(folder: Folder) -> None:
    text = "id;name\n1; 'O\\'Neil; Ann'\n"
    options = {"quotechar": "'", "escapechar": "\\", "doublequote": False}
    read = folder.read(text, delimiter=";", skip_initial_space=True, **options)
    assert read.rows == [["1", "O'Neil; Ann"]]


def test_tabs_without_quotes(folder: Folder) -> None:
    read = folder.read('id\tsize\n1\t5"\n2\t"\n', delimiter="\t", quotechar="")
    assert read.rows == [["1", '5"'], ["2", '"']]


def test_comments_and_leading_lines_are_skipped(folder: Folder) -> None:
    text = 'export of\n"today\n# a "comment\nid,name\n1,"a\n# b"\n# "c\n2,#d\n'
    assert folder.read(text, skip_rows=2, comment="#").rows == [["1", "a\n# b"], ["2", "#d"]]


def test_texts_that_mean_nothing_become_none(folder: Folder) -> None:
    read = folder.read("id,name\n1,NULL\n2,\n3,null\n", null=["", "NULL"])
    assert read.rows == [["1", None], ["2", None], ["3", "null"]]


def test_nul_is_a_character_like_any_other(folder: Folder) -> None:
    read = folder.read('id,name\n1,a\0b\n2,"c\0d"\n3,"e\n\0"\n4\0\n')
    assert read.rows == [["1", "a\0b"], ["2", "c\0d"], ["3", "e\n\0"]]
    assert read.failures[0].record == "4\0"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030", "utf-7"]
)
def test_encodings(folder: Folder, encoding: str) -> None:
    rows = [[str(number), f"漢 ਊ Ċ ਍ {number}"] for number in range(3_000)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["id", "name"], *rows])
    assert folder.read(text.getvalue().encode(encoding), encoding=encoding).rows == rows


def test_byte_order_marks_are_not_data(folder: Folder) -> None:
    assert folder.read(b"\xef\xbb\xbfid\n1\n").records == [{"id": "1"}]
    assert folder.read("\ufeffid\n1\n".encode("utf-16-be"), encoding="utf-16").rows == [["1"]]


@pytest.mark.parametrize("pack", [gzip, bz2, lzma])
def test_compressed_files_are_read_and_resumed(folder: Folder, pack: Any) -> None:
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[pack]
    content = "id\n" + "\n".join(map(str, range(1_000)))
    path = folder.write(pack.compress(content.encode()), f"orders.csv.{suffix}")
    read = Read(CsvInput(path=path))
    assert [row for (row,) in read.rows] == list(map(str, range(1_000)))
    position = read.batches[1].resume
    later = Read(CsvInput(path=path), {"orders": position})
    assert later.rows == read.rows[position["records"] :]


def test_a_value_of_ten_megabytes(folder: Folder) -> None:
    text = "a\n" * 5_000_000
    read = folder.read(f'id,text\n1,"{text}"\n2,b\n', max_record_size="16MB")
    assert read.rows == [["1", text], ["2", "b"]]
    assert read.batches[-1].resume["line"] == 5_000_003


# ---- lines that are no rows ---------------------------------------------------------------------


def test_a_short_row_is_set_aside_with_its_line(folder: Folder) -> None:
    read = folder.read('id,name\n1,"a\nb"\n2\n3,c\n')
    assert read.rows == [["1", "a\nb"], ["3", "c"]]
    assert [(f.record, f.ordinal) for f in read.failures] == [("2", 2)]
    assert read.messages == [
        "orders.csv:4: 1 value for 2 columns; mend the line or set short_rows: fill"
    ]
    assert isinstance(read.failures[0].error, problems.ShortRow)
    assert list(read.batches[0].ordinals) == [1, 3]


def test_a_long_row_is_set_aside_with_its_line(folder: Folder) -> None:
    read = folder.read("id\n1\n2,3\n")
    assert read.messages == [
        "orders.csv:3: 2 values for 1 column; quote values that contain ',' or set long_rows: cut"
    ]
    assert read.failures[0].record == "2,3"


def test_short_and_long_rows_may_be_made_to_fit(folder: Folder) -> None:
    read = folder.read("a,b\n1\n1,2,3\n", short_rows="fill", long_rows="cut")
    assert read.rows == [["1", None], ["1", "2"]]
    assert read.failures == []


def test_an_unclosed_quote_costs_one_line(folder: Folder) -> None:
    rest = [[str(number), "x"] for number in range(3, 2_000)]
    text = 'id,name\n1,a\n2,"b\n' + "".join(f"{a},{b}\n" for a, b in rest)
    read = folder.read(text)
    assert read.rows == [["1", "a"], *rest]
    assert read.messages == ["orders.csv:3: the quote that opens here is never closed; close it"]
    assert read.failures[0].record == '2,"b'
    assert isinstance(read.failures[0].error, problems.BadQuotes)


def test_text_behind_a_closing_quote_costs_one_line(folder: Folder) -> None:
    read = folder.read('id,name\n1,"a"b\n2,"c\n3,"d"\n4,e\n')
    assert read.rows == [["3", "d"], ["4", "e"]]
    assert read.messages == [
        f"orders.csv:{line}: not valid CSV, ',' expected after '\"'; double each quote inside of "
        "quotes, close the quote in this line or set strict: false"
        for line in (2, 3)
    ]


def test_without_strictness_quotes_are_taken_as_they_come(folder: Folder) -> None:
    read = folder.read('id,name\n1,"a"b\n2,"c\n3,d\n', strict=False)
    assert read.rows == [["1", "ab"], ["2", "c\n3,d\n"]]


def test_a_row_may_not_be_larger_than_allowed(folder: Folder) -> None:
    text = 'id,name\n1,"' + "a\n" * 30 + '"\n2,b\n'
    read = folder.read(text, max_record_size=50)
    assert read.messages[0] == (
        "orders.csv:2: the row is larger than 50 bytes; close its quote or raise max_record_size"
    )
    assert read.rows == [["2", "b"]]
    assert isinstance(read.failures[0].error, problems.TooLarge)


def test_an_endless_line_is_skipped_in_little_memory(folder: Folder) -> None:
    read = folder.read("id\n1\n" + "x" * 3_000_000 + "\n2\n", max_record_size="100KiB")
    assert read.rows == [["1"], ["2"]]
    assert read.messages == [
        "orders.csv:3: the line is larger than 102400 bytes; raise max_record_size"
    ]
    assert read.failures[0].record == "x" * 102_400
    last = read.batches[-1].resume
    assert (last["offset"], last["line"], last["records"]) == (5 + 3_000_001 + 2, 4, 3)


def test_an_endless_comment_is_no_record(folder: Folder) -> None:
    endless = "#" + "x" * 300
    text = f"{endless}\nid\n1\n{endless}\n2\n"
    read = folder.read(text, max_record_size=100, comment="#")
    assert (read.rows, read.failures) == ([["1"], ["2"]], [])


def test_a_value_may_not_be_larger_than_allowed(folder: Folder) -> None:
    read = folder.read(f"id,name\n1,{'ä' * 5}\n2,{'ä' * 6}\n3,b\n", max_field_size=10)
    assert read.rows == [["1", "ä" * 5], ["3", "b"]]
    assert read.messages == ["orders.csv:3: value 2 is larger than 10 bytes; raise max_field_size"]


def test_bytes_that_are_no_text_cost_one_line(folder: Folder) -> None:
    read = folder.read('id,name\n1,M\xfcller\n2,b\n3,"c\nd\xff"\n4,e\n'.encode("latin-1"))
    assert read.rows == [["2", "b"], ["4", "e"]]
    assert [f.record for f in read.failures] == [b"1,M\xfcller\n", b'3,"c\nd\xff"\n']
    ending = "is not utf-8 (invalid start byte); mend it or set encoding"
    assert read.messages == [
        f"orders.csv:2: byte 0xfc at position 4 {ending}",
        f"orders.csv:5: byte 0xff at position 2 {ending}",
    ]
    assert isinstance(read.failures[0].error, problems.BadBytes)


def test_a_cut_character_at_the_end_costs_one_line(folder: Folder) -> None:
    read = folder.read("id\n1\n2\n".encode("utf-16-le")[:-1], encoding="utf-16-le")
    assert read.rows == [["1"]]
    assert "position 3 is not utf-16-le (truncated data)" in read.messages[0]


def test_failures_in_a_batch_of_their_own_have_a_position(folder: Folder) -> None:
    read = folder.read("a,b\n1\n2\n3,4\n", batch_size=1)
    assert [batch.resume["records"] for batch in read.batches] == [1, 2, 3]
    assert [len(batch.failures) for batch in read.batches] == [1, 1, 0]


# ---- going on -----------------------------------------------------------------------------------


def test_reading_goes_on_after_any_batch(folder: Folder) -> None:
    text = "id,name\r\n" + "".join(f'{n},"é{n}\r\nx"\r\n' for n in range(500)) + "bad\r\n"
    read = folder.read(text.encode(), batch_size=7)
    for batch in read.batches:
        later = Read(CsvInput(path=folder.path / "orders.csv"), {"orders": batch.resume})
        assert later.rows == read.rows[batch.resume["records"] :]
        assert later.messages == (read.messages if batch is not read.batches[-1] else [])
        assert all(batch.source == "" for batch in later.batches)


def test_ordinals_and_positions_go_on_where_they_were(folder: Folder) -> None:
    read = folder.read("id\n1\n\n2\n", batch_size=1)
    places = [
        [batch.resume[name] for name in ("offset", "line", "records")] for batch in read.batches
    ]
    assert places == [[5, 2, 1], [8, 4, 2]]
    later = Read(CsvInput(path=folder.path / "orders.csv"), {"orders": read.batches[0].resume})
    assert [list(batch.ordinals) for batch in later.batches] == [[2]]


@pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz"])
def test_a_file_that_became_shorter_is_refused(folder: Folder, name: str) -> None:
    content = b"id\n1\n"
    path = folder.write(gzip.compress(content) if name.endswith("gz") else content, name)
    with pytest.raises(ConnectError) as caught:
        Read(CsvInput(path=path), {"orders": {"offset": 99, "line": 3, "records": 2}})
    assert str(caught.value) == (
        f"{path}: ends before byte 99, where an earlier run stopped reading; "
        "it was replaced or cut; start over with --fresh"
    )


CHANGED = (
    "was replaced or changed since an earlier run stopped reading at byte {offset}; "
    "put back what it was, or start over with --fresh"
)


@pytest.fixture
def read_in_part(folder: Folder) -> tuple[Path, Any]:
    """A file of which an earlier run has read the first half, and its position."""
    text = "id,text\n" + "".join(f"{n},{'x' * 50}\n" for n in range(1000))
    batches = folder.read(text, batch_size=100).batches
    return folder.path / "orders.csv", json.loads(json.dumps(batches[len(batches) // 2].resume))


def said_of(path: Path, position: Any) -> str:
    with pytest.raises(ConnectError) as caught:
        Read(CsvInput(path=path), {"orders": position})
    return str(caught.value)


def test_a_file_that_was_replaced_by_another_is_refused(read_in_part: tuple[Path, Any]) -> None:
    path, position = read_in_part
    content = path.read_bytes()
    path.rename(path.with_name("old.csv"))
    path.write_bytes(content.replace(b"\n150,x", b"\n150,y"))
    changed = CHANGED.format(offset=position["offset"])
    assert said_of(path, position) == f"{path}: {changed}"


@pytest.mark.parametrize("where", ["head", "tail"])
def test_a_file_that_was_rewritten_is_refused(read_in_part: tuple[Path, Any], where: str) -> None:
    path, position = read_in_part
    with path.open("r+b") as file:
        file.seek(10 if where == "head" else position["offset"] - 1000)
        file.write(b"y")
    changed = CHANGED.format(offset=position["offset"])
    assert said_of(path, position) == f"{path}: {changed}"


def test_a_file_that_was_cut_behind_what_was_read_is_refused(
    read_in_part: tuple[Path, Any],
) -> None:
    path, position = read_in_part
    os.truncate(path, position["offset"])
    changed = CHANGED.format(offset=position["offset"])
    assert said_of(path, position) == f"{path}: {changed}"


def test_a_file_that_has_grown_is_read_on(read_in_part: tuple[Path, Any]) -> None:
    path, position = read_in_part
    with path.open("a") as file:
        file.write("1000,new\n")
    later = Read(CsvInput(path=path), {"orders": position})
    assert later.rows[0][0] == str(position["records"])
    assert later.rows[-1] == ["1000", "new"]


def test_a_copy_that_has_kept_its_time_is_read_on(read_in_part: tuple[Path, Any]) -> None:
    path, position = read_in_part
    path.rename(path.with_name("old.csv"))
    shutil.copy2(path.with_name("old.csv"), path)
    later = Read(CsvInput(path=path), {"orders": position})
    assert later.rows[0][0] == str(position["records"])


def test_batches_keep_to_their_size(folder: Folder) -> None:
    text = "id\n" + "1\n" * 1_000
    sizes = [len(batch) for batch in folder.read(text, batch_size=100).batches]
    assert sum(sizes) == 1_000
    assert max(sizes) <= 100


# ---- several files, standard input --------------------------------------------------------------


def test_every_file_of_a_pattern_is_a_source_of_its_own(folder: Folder) -> None:
    folder.write("id,x\n2,b\n3\n", "b.csv")
    folder.write("id\n1\n", "a.csv")
    rows = CsvInput(path=folder.path / "*.csv", batch_size=1)
    read = Read(rows)
    assert read.records == [{"id": "1"}, {"id": "2", "x": "b"}]
    assert [(b.source, b.resume["records"]) for b in read.batches] == [
        ("orders/a.csv", 1),
        ("orders/b.csv", 1),
        ("orders/b.csv", 2),
    ]
    assert read.messages[0].startswith("b.csv:3: ")
    later = Read(rows, {batch.source: batch.resume for batch in read.batches[:2]})
    assert later.records == []
    assert later.messages == read.messages


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    given = os.fdopen(reading, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", given)
    os.write(writing, b"id,name\n1,a\n2")
    rows = CsvInput(path=Path("-"))
    rows.open(Context("orders"))
    batches = rows.read({})
    assert list(next(batches).records) == [{"id": "1", "name": "a"}]  # more is not waited for
    os.write(writing, b",b\n3\n")
    batch = next(batches)
    assert list(batch.records) == [{"id": "2", "name": "b"}]
    assert str(batch.failures[0].error).startswith("stdin:4: 1 value for 2 columns")
    assert rows.progress() is None
    os.close(writing)
    assert list(batches) == []
    rows.close()
    assert not given.closed
    given.close()
    assert (rows.capability, CsvInput(path=Path("a.csv")).capability) == ("ephemeral", "replayable")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("engine", ["inline", "threads"])
def test_ctrl_c_while_more_of_standard_input_is_waited_for(tmp_path: Path, engine: str) -> None:
    (tmp_path / "a.yaml").write_text(
        "inputs: {rows: {use: csv, path: '-'}}\npipes: {main: [rows]}\n"
    )
    command = [sys.executable, "-m", "penstock", "run", "a.yaml", "--engine", engine]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"id\n1\n2\n")
        process.stdin.flush()
        assert [json.loads(process.stdout.readline())["id"] for _ in "12"] == ["1", "2"]
        process.send_signal(signal.SIGINT)
        code = process.wait(30)  # with its standard input still open
        said = process.stderr.read().decode()
    assert code == 130
    assert "read 2 = written 2" in said
    assert "Fatal" not in said


def test_standard_input_that_is_sent_again_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = io.TextIOWrapper(io.BytesIO(b"id\n1\n2\n"))
    monkeypatch.setattr(sys, "stdin", sent)
    position = {"offset": 5, "line": 2, "records": 1}
    read = Read(CsvInput(path=Path("-")), {"orders": position})
    assert (read.rows, list(read.batches[0].ordinals)) == ([["2"]], [2])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"id\n1\n"))
    writer.start()
    assert Read(CsvInput(path=path)).rows == [["1"]]
    writer.join()


def test_progress_goes_from_0_to_1_over_all_files(folder: Folder) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        folder.write("id\n" + "x" * 80_000 + "\n1\n" * 50_000, name)
    rows = CsvInput(path=folder.path / "*.csv")
    rows.open(Context("orders"))
    seen = [rows.progress() or 0 for _ in rows.read({})]
    assert 0 < seen[0] < 0.2
    assert seen == sorted(seen)
    assert seen[-1] == rows.progress() == 1
    rows.close()
    assert folder.read("", header=False, columns=["a"]).batches == []


def test_it_can_be_closed_without_being_opened() -> None:
    CsvInput(path=Path("orders.csv")).close()


def test_it_is_its_options(folder: Folder) -> None:
    rows = CsvInput(path=Path("orders.csv"), delimiter=";")
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert repr(rows).endswith("path=" + repr(Path("orders.csv")) + ", delimiter=';')")


def test_the_limit_of_the_csv_module_is_never_lowered(folder: Folder) -> None:
    before = csv.field_size_limit(7_000_000)
    try:
        assert folder.read(f'id\n"{"a" * 300_000}\n"\n').rows == [["a" * 300_000 + "\n"]]
        assert csv.field_size_limit() == 7_000_000
    finally:
        csv.field_size_limit(before)


# ---- files that cannot be read at all -----------------------------------------------------------


def test_an_empty_file_is_refused(folder: Folder) -> None:
    expected = (
        "orders.csv: is empty; a header row is expected; with header: false, give the columns"
    )
    assert folder.refused("") == expected
    assert folder.refused("\n\r\n# nothing", comment="#") == expected
    assert folder.refused("a\nb\n", skip_rows=3) == expected
    assert folder.refused(b"\xef\xbb\xbf") == expected


def test_a_header_must_name_each_column_once(folder: Folder) -> None:
    hint = "rename it in the file, or name all columns with the option columns"
    assert folder.refused("id,a,id\n") == f"orders.csv:1: the header has 'id' twice; {hint}"
    shown = folder.refused("\nid, ,a\n")
    assert shown == f"orders.csv:2: column 2 has no name in the header; {hint}"
    with pytest.raises(ConfigError):
        folder.read("id,id\n")


def test_columns_must_be_as_many_as_in_the_header(folder: Folder) -> None:
    assert folder.refused("a,b,c\n", columns=["x"]) == (
        "orders.csv:1: the header has 3 columns, but columns names 1; the file has 'a', 'b', 'c'"
    )
    names = ",".join("abcdefghij")
    assert folder.refused(names, columns=["x"]).endswith("'g', 'h', …")


def test_a_header_must_be_csv_in_the_encoding(folder: Folder) -> None:
    assert folder.refused(b"id,\xff\n1,2\n") == (
        "orders.csv:1: the header is not utf-8 (invalid start byte); set encoding"
    )
    assert folder.refused('id,"name\n1,2\n') == (
        "orders.csv:1: a quote in the header is never closed; close it"
    )
    assert folder.refused('id,"name"x\n') == (
        "orders.csv:1: the header is not valid CSV, ',' expected after '\"'; "
        "double each quote inside of quotes or set strict: false"
    )
    assert folder.refused("x" * 200, max_record_size=100) == (
        "orders.csv:1: the header is larger than 100 bytes; "
        "raise max_record_size if this is a CSV file"
    )


@pytest.mark.parametrize(
    ("content", "encoding", "told"),
    [
        ("id".encode("utf-16"), "utf-8", "utf-16-le"),
        ("id".encode("utf-32"), "utf-8", "utf-32-le"),
        (b"\xef\xbb\xbfid", "cp1252", "utf-8"),
        ("\ufeffid".encode("utf-16-be"), "utf-16-le", "utf-16-be"),
    ],
)
def test_a_byte_order_mark_of_another_encoding_is_refused(
    folder: Folder, content: bytes, encoding: str, told: str
) -> None:
    assert folder.refused(content, encoding=encoding) == (
        f"orders.csv: starts with the byte order mark of '{told}', but encoding is '{encoding}'; "
        f"set encoding: {told}"
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_a_byte_order_is_not_guessed(folder: Folder, encoding: str, order: str) -> None:
    content = "id\n1\n".encode(f"{encoding}-{order}")
    assert folder.refused(content, encoding=encoding) == (
        "orders.csv: has no byte order mark; "
        f"set encoding: {encoding}-le, {encoding}-be or what the file is in"
    )
    assert folder.read(content, encoding=f"{encoding}-{order}").rows == [["1"]]


def test_a_file_of_no_bytes_needs_no_byte_order_mark(folder: Folder) -> None:
    assert folder.refused(b"", encoding="utf-16").startswith("orders.csv: is empty; ")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConnectError) as caught:
        Read(CsvInput(path=tmp_path / "orders.csv"))
    assert ": no such file; looked in " in str(caught.value)


def test_damage_half_way_is_reported_after_what_was_read(folder: Folder) -> None:
    packed = gzip.compress(b"id\n" + os.urandom(200_000).hex("\n", 8).encode())
    rows = CsvInput(path=folder.write(packed[:-40], "orders.csv.gz"))
    rows.open(Context("orders"))
    batches = rows.read({})
    assert len(next(batches)) > 0
    with pytest.raises(ConnectError, match=r"orders\.csv\.gz: the gzip file ends too early: "):
        list(batches)
    rows.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"delimiter": ";;"}, "must be one character; a tab is \"\\t\" in double quotes, got ';;'"),
        (
            {"quotechar": "\n"},
            "must be one character; a tab is \"\\t\" in double quotes, got '\\n'",
        ),
        ({"header": False}, "header: false needs columns, the names of all columns in order"),
        ({"columns": ["a", "a"]}, "must not name 'a' twice, got ['a', 'a']"),
        ({"columns": []}, "must name a column, got []"),
        ({"encoding": "utf-9"}, "must be an encoding such as 'utf-8' or 'cp1252', got 'utf-9'"),
        ({"encoding": "base64"}, "must be an encoding such as 'utf-8' or 'cp1252', got 'base64'"),
        ({"delimiter": '"'}, "delimiter, quotechar and escapechar must differ"),
        ({"comment": "a\n"}, "must not contain a line end, got 'a\\n'"),
        ({"skip_rows": -1}, "must not be negative, got -1"),
        ({"batch_size": 0}, "must be at least 1, got 0"),
        ({"max_field_size": 0}, "must be at least 1, got 0"),
        (
            {"delimiter": " ", "skip_initial_space": True},
            "skip_initial_space: true leaves no use for a space as a sign",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    assert wrong_options(**options).endswith(told)
