"""Every record of a file is handed out once, in order, or is a failure that says why."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
from collections.abc import Mapping
from math import inf, isnan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import BATCH_SIZE, Batch, ConfigError, ConnectError, Context, PenstockError, RunError
from penstock_input_json import JsonInput

PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def read(path: Path, positions: Mapping[str, Any] | None = None, **options: Any) -> list[Batch]:
    source = JsonInput(path=path, **options)
    source.open(Context("in"))
    try:
        return list(source.read(positions or {}))
    finally:
        source.close()


def records(batches: list[Batch]) -> list[Any]:
    return [record for batch in batches for record in batch.records]


def failures(batches: list[Batch]) -> list[tuple[int, Any, str]]:
    return [(f.ordinal, f.record, str(f.error)) for batch in batches for f in batch.failures]


def ordinals(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number in batch.ordinals]


def read_until_error(path: Path, **options: Any) -> tuple[list[Any], PenstockError]:
    """The records before the error that ends the run, and the error."""
    source = JsonInput(path=path, **options)
    source.open(Context("in"))
    got: list[Any] = []
    try:
        for batch in source.read({}):
            got.extend(batch.records)
    except PenstockError as error:
        return got, error
    finally:
        source.close()
    raise AssertionError("the file was read to its end")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.json"


# ---- lines --------------------------------------------------------------------------------------


def test_every_line_is_a_record(path: Path) -> None:
    path.write_text('{"a": 1}\n{"a": [true, null]}\n"text"\n[1]\n5\n')
    batches = read(path)
    assert records(batches) == [{"a": 1}, {"a": [True, None]}, "text", [1], 5]
    assert ordinals(batches) == [1, 2, 3, 4, 5]


def test_an_empty_file_has_no_records(path: Path) -> None:
    path.write_bytes(b"")
    assert read(path) == []


@pytest.mark.parametrize(
    "text", ['{"a":1}', '\ufeff{"a":1}\n', '\n \n{"a":1}\r\n\n', ' {"a":1} \n']
)
def test_blank_lines_marks_and_ends_do_not_matter(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    batches = read(path)
    assert records(batches) == [{"a": 1}]
    assert ordinals(batches) == [1]
    assert failures(batches) == []


def test_whole_numbers_are_exact(path: Path) -> None:
    path.write_text(f'{{"a":{2**64}}}\n{{"a":-{10**30}}}\n')
    assert records(read(path)) == [{"a": 2**64}, {"a": -(10**30)}]


def test_a_bad_line_is_a_failure_with_its_number_and_text(path: Path) -> None:
    path.write_bytes(b'{"a":1}\n\n{"a":\r\n{"a":3}\n\xff\n')
    batches = read(path)
    assert records(batches) == [{"a": 1}, {"a": 3}]
    assert ordinals(batches) == [1, 3]
    assert failures(batches) == [
        (2, '{"a":', "line 3: column 6: expecting value"),
        (4, "\\xff", "line 5: column 1: the byte 0xff is not UTF-8; save the file as UTF-8"),
    ]


LONE = "the lone surrogate '\\ud800' is no character; set surrogates: allow, or mend the file"


@pytest.mark.parametrize(
    ("line", "objection"),
    [
        ("{'a':1}", "column 2: expecting property name enclosed in double quotes"),
        ('{"a":1}{"a":2}', "column 8: extra data"),
        ('{"a":01}', "column 7: expecting ',' delimiter"),
        ('{"a":"x', "column 6: unterminated string starting at"),
        ('{"a":"\t"}', "column 7: invalid control character at"),
        ("null", "null is no record"),
        ('{"a":NaN}', "NaN is not JSON; set nan: allow, or mend the file"),
        ('{"a":-Infinity}', "-Infinity is not JSON; set nan: allow, or mend the file"),
        ('{"a":1e400}', "the number 1e400 is too large"),
        ('{"a":' + "1" * 400 + ".5}", "the number 11111111111111111111… is too large"),
        ('{"a":"\\ud800"}', LONE),
        ('{"\\ud800":1}', LONE),
        ("[" * 100_000, "is nested too deeply; flatten it"),
    ],
)
@pytest.mark.parametrize("duplicates", ["refuse", "allow"])
def test_what_is_not_strict_json_is_refused(
    path: Path, line: str, objection: str, duplicates: str
) -> None:
    path.write_text(f'{{"a":1}}\n{line}\n{{"a":3}}\n')
    batches = read(path, duplicates=duplicates)
    assert records(batches) == [{"a": 1}, {"a": 3}]
    assert failures(batches) == [(2, line, f"line 2: {objection}")]


def test_a_number_that_python_does_not_convert(path: Path) -> None:
    path.write_text("1" * 5000 + "\n")
    [(_, _, objection)] = failures(read(path))
    assert objection == "line 1: a number has too many digits; write it as text"


@pytest.mark.parametrize(
    "line",
    [
        '{"a":1,"a":1}',
        '{"a":1,"b":2,"a":3}',
        '{"a" :1,"b":2,"a" :3}',
        '{"a"\t:1,"b":2,"a"\t:3}',
        '{"a":{"b":1,"b":2}}',
        '{"a":{"b":1},"a":{"c":1,"d":2}}',
        '{"a":[{"b":1},{"b":1,"b":2}]}',
        '{"a":1,"\\u0061":2}',
        '{"a":":","b":"\\":","a":"::"}',
        '{"a":"x\\u0022:","a":"\\u0022\\u003A"}',
        '{"a":"\\"\\u003a","a":"y"}',
        '{"a":"\\"\\u0020:","a":"y"}',
        '[{"a":1,"a":2}]',
    ],
)
def test_a_key_that_occurs_twice_is_refused(path: Path, line: str) -> None:
    path.write_text(f'{{"a":1}}\n{line}\n{{"a":3}}\n')
    batches = read(path)
    assert records(batches) == [{"a": 1}, {"a": 3}]
    [(number, text, objection)] = failures(batches)
    assert (number, text) == (2, line)
    assert "occurs twice; set duplicates: allow to keep the last" in objection
    allowed = records(read(path, duplicates="allow"))
    assert allowed == [{"a": 1}, json.loads(line), {"a": 3}]


@pytest.mark.parametrize(
    "line",
    ['{"a":"12:30:00"}', '{"a":"x\\":y"}', '{"a" : ": :"}', '{"a":{"b":{}},"c":[{"b":":"}]}', '""'],
)
def test_colons_elsewhere_do_no_harm(path: Path, line: str) -> None:
    path.write_text(f"{line}\n")
    batches = read(path)
    assert records(batches) == [json.loads(line)]
    assert failures(batches) == []


def test_what_is_allowed_is_read(path: Path) -> None:
    path.write_text('{"a":NaN,"b":-Infinity}\n{"a":"\\ud800","b":":"}\n')
    first, second = records(read(path, nan="allow", surrogates="allow"))
    assert isnan(first["a"])
    assert first["b"] == -inf
    assert second == {"a": "\ud800", "b": ":"}


def test_a_line_above_the_limit_is_a_failure(path: Path) -> None:
    long = json.dumps("x" * 200_000)
    path.write_text(f"1\n{long}\n2\n{long}\n3\n{long}")
    batches = read(path, max_line_size="64KiB")
    assert records(batches) == [1, 2, 3]
    assert ordinals(batches) == [1, 3, 5]
    objection = "is longer than 65536 bytes; raise max_line_size"
    assert failures(batches) == [
        (number, long[:1000], f"line {number}: {objection}") for number in (2, 4, 6)
    ]
    assert batches[-1].resume["offset"] == path.stat().st_size


def test_a_short_limit_holds_for_every_line(path: Path) -> None:
    path.write_text('"12345"\n"1234"\n"123456"')
    batches = read(path, max_line_size=7)
    assert records(batches) == ["12345", "1234"]
    assert [number for number, *_ in failures(batches)] == [3]


# ---- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 1])
def test_every_element_of_an_array_is_a_record(path: Path, indent: int | None) -> None:
    elements = [{"n": n, "in": [{"x": n}, {"y": {}}], "s": "},{"} for n in range(3000)]
    path.write_text(json.dumps(elements, indent=indent))
    batches = read(path)
    assert records(batches) == elements
    assert ordinals(batches) == list(range(1, 3001))
    assert max(map(len, batches)) <= BATCH_SIZE


@pytest.mark.parametrize(
    "elements", [[], [1], [1.5, -2, "x", [], {}, True], list(range(100_000)), ["ü" * 5000] * 50]
)
def test_elements_may_be_anything_but_null(path: Path, elements: list[Any]) -> None:
    path.write_text(json.dumps(elements, ensure_ascii=False), "utf-8")
    assert records(read(path)) == elements


def test_an_element_that_is_refused_is_a_failure(path: Path) -> None:
    bad = ['{"a":1,"a":2}', "null", '{"a":\nNaN}', '"\\ud800"', "1e999"]
    path.write_text("[\n" + ",\n".join(['{"a":1}', *bad, '{"a":3}']) + "\n]\n")
    batches = read(path)
    assert records(batches) == [{"a": 1}, {"a": 3}]
    assert ordinals(batches) == [1, 7]
    assert failures(batches) == [
        (2, bad[0], "line 3: the key 'a' occurs twice; set duplicates: allow to keep the last"),
        (3, bad[1], "line 4: null is no record"),
        (4, bad[2], "line 5: NaN is not JSON; set nan: allow, or mend the file"),
        (5, bad[3], f"line 7: {LONE}"),
        (6, bad[4], "line 8: the number 1e999 is too large"),
    ]
    assert len(records(read(path, duplicates="allow", nan="allow", surrogates="allow"))) == 5


def test_the_array_may_lie_in_an_object(path: Path) -> None:
    path.write_text('{"x": [{"y": 1}], "data": {"n": 2, "orders": [{"a": 1}, {"a": 2}], "z": 1}}')
    assert records(read(path, records="data.orders")) == [{"a": 1}, {"a": 2}]


TOO_LONG = "a value is malformed or longer than 100000 bytes; mend the file, or raise max_line_size"
NO_ARRAY = (
    "the file does not begin with an array; set format: lines, or records: to the path of the array"
)
CUT_OFF = "the file may be cut off, or still be written"


@pytest.mark.parametrize(
    ("text", "good", "objection"),
    [
        ('[{"a":1},{"a":2}', 2, f"1: the array ends too early; {CUT_OFF}"),
        ('[{"a":1},\n{"a":2},', 2, f"2: the array ends too early; {CUT_OFF}"),
        ('[{"a":1},{"a', 1, f"1: the array ends too early; {CUT_OFF}"),
        ('[{"a":1},{"a":', 1, f"1: the array ends too early; {CUT_OFF}"),
        ("[", 0, f"1: the array ends too early; {CUT_OFF}"),
        ("[1,\n2 3]", 2, "2: expected ',' or ']', found '3'; mend the file"),
        ('[{"a":1},\n{"a":x}]', 1, "2: expecting value; mend the file at 'x}]'"),
        ("[1,]", 1, "1: expecting value; mend the file at ']'"),
        ("[1]\n[2]", 1, "2: there is more after the array; a file holds one array"),
        (
            "[1," + "[" * 100_000,
            1,
            "1: a value is nested too deeply, or a number in it is too long; leave it out",
        ),
        (
            '[1,"' + "x" * 300_000 + '"]',
            1,
            f"1: {TOO_LONG}",
        ),
    ],
)
def test_a_broken_array_ends_the_run_after_the_good_records(
    path: Path, text: str, good: int, objection: str
) -> None:
    path.write_text(text)
    got, error = read_until_error(path, max_line_size="100kB")
    assert len(got) == good
    assert isinstance(error, RunError)
    assert str(error) == f"{path}:{objection}"


@pytest.mark.parametrize(
    ("text", "options", "objection"),
    [
        (
            '{"a":1}',
            {"format": "array"},
            NO_ARRAY,
        ),
        ("", {"format": "array"}, f"there is no array in it; {CUT_OFF}"),
        ('{"a":{"b":1}}', {"records": "a.b"}, "'a.b' is no array; look at records"),
        ('{"a":{"b":1}}', {"records": "a.c"}, "there is no 'a.c'; look at records"),
        ('{"a":1}', {"records": "a.c"}, "there is no object with 'a.c'; look at records"),
        ("[1]", {"records": "a"}, "there is no object with 'a'; look at records"),
        ('{"b":1', {"records": "a"}, f"the array ends too early; {CUT_OFF}"),
        ('{"b" 1', {"records": "a"}, "expected ':', found '1'; mend the file"),
        ('{"b":1,2', {"records": "a"}, "expected a key, found '2'; mend the file"),
    ],
)
def test_no_array_where_one_should_be(
    path: Path, text: str, options: dict[str, Any], objection: str
) -> None:
    path.write_text(text)
    with pytest.raises(RunError) as caught:
        read(path, **options)
    assert str(caught.value) == f"{path}:1: {objection}"


def test_lines_may_hold_arrays(path: Path) -> None:
    path.write_text("[1]\n[2]\n")
    assert records(read(path, format="lines")) == [[1], [2]]


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("text", ['{"a":1}\n{"a":2}\n', '[{"a":1},{"a":2}]'])
def test_compressed_files(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"in.json{suffix}"
    path.write_bytes(PACKERS[suffix](text.encode()))
    assert records(read(path)) == [{"a": 1}, {"a": 2}]


def test_a_cut_off_compressed_file_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    whole = gzip.compress(b"".join(b'{"n":%d}\n' % n for n in range(50_000)))
    path.write_bytes(whole[: len(whole) // 2])
    got, error = read_until_error(path)
    assert got == [{"n": n} for n in range(len(got))]
    assert len(got) > 1000
    assert str(path) in str(error)


def test_each_file_of_a_pattern_is_a_source(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(f'"{name}1"\n"{name}2"\n')
    batches = read(tmp_path / "*.jsonl")
    assert [(b.source, list(b.records), list(b.ordinals)) for b in batches] == [
        ("in/a.jsonl", ["a1", "a2"], [1, 2]),
        ("in/b.jsonl", ["b1", "b2"], [1, 2]),
    ]
    rest = read(tmp_path / "*.jsonl", {"in/a.jsonl": batches[0].resume})
    assert records(rest) == ["b1", "b2"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a":1}\n{"a":2}\n')))
    assert records(read(Path("-"))) == [{"a": 1}, {"a": 2}]


def test_standard_input_cannot_be_read_again() -> None:
    assert JsonInput(path=Path("-")).capability == "ephemeral"
    assert JsonInput(path=Path("a.jsonl")).capability == "replayable"


@pytest.mark.parametrize(
    ("pieces", "counts"),
    [
        ([b"[1,2", b",3", b"]"], [1, 2, 3]),  # digits may follow the last one
        ([b'[{"a":1},\n{"a":2},', b'\n{"a":', b'3}\n,{"a":4}]\n'], [2, 2, 4]),
        ([b'[{"a":1},\n{"a":2}', b',{"a":3}', b"]"], [2, 3, 3]),
        ([b"[ [1]", b'\n,"b"', b"\n,  [0]]"], [1, 2, 3]),
    ],
)
def test_an_array_that_is_still_being_sent_is_read_as_it_comes(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], counts: list[int]
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as given:
        monkeypatch.setattr("sys.stdin", given)
        source = JsonInput(path=Path("-"))
        source.open(Context("in"))
        batches = source.read({})
        found: list[Any] = []
        for piece, count in zip(pieces, counts, strict=True):
            os.write(writing, piece)
            while len(found) < count:
                found += next(batches).records  # what comes next is not waited for
        os.close(writing)
        assert [list(batch.records) for batch in batches] == []
        source.close()
    assert found == json.loads(b"".join(pieces))


def test_a_missing_file_is_named_before_anything_is_read(path: Path) -> None:
    source = JsonInput(path=path)
    with pytest.raises(ConnectError) as caught:
        source.open(Context("in"))
    source.close()
    assert str(caught.value).startswith(f"{path}: no such file")


def test_a_file_in_utf16(path: Path) -> None:
    path.write_text('{"a":1}', "utf-16")
    with pytest.raises(ConnectError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: is encoded as UTF-16; save it as UTF-8"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"records": "a", "format": "lines"},
            "JsonInput: records names an array, and format: lines has none; leave one out",
        ),
        ({"max_line_size": 0}, "JsonInput.max_line_size: must be 1 or more, got 0"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        JsonInput(path=Path("x"), **options)
    assert str(caught.value) == problem


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("1\n" * 100_000)
    source = JsonInput(path=tmp_path / "*")
    source.open(Context("in"))
    assert source.progress() == 0.0
    shares = [source.progress() for _ in source.read({})]
    source.close()
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-1] <= 1
    assert source.progress() == 1.0


def test_progress_of_standard_input_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1\n2\n")))
    source = JsonInput(path=Path("-"))
    source.open(Context("in"))
    assert [source.progress() for _ in source.read({})] == [None]
    source.close()


# ---- resuming -----------------------------------------------------------------------------------

MIXED = [b'{"a":%d}' % n if n % 7 else b"bad" for n in range(2000)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    "text",
    [
        b"\n".join(MIXED) + b"\n",
        b"\xef\xbb\xbf" + b"\r\n\r\n".join(MIXED),
        b"[" + b",".join(b"null" if one == b"bad" else one for one in MIXED) + b"]",
        b"[" + b",\n".join(b'{"n":%d}' % n for n in range(20_000)) + b"]",
    ],
)
def test_reading_from_any_position_goes_on_with_the_next_record(
    tmp_path: Path, text: bytes, suffix: str
) -> None:
    path = tmp_path / f"in.json{suffix}"
    path.write_bytes(gzip.compress(text) if suffix else text)
    batches = read(path)
    assert len(batches) > 3
    for index, batch in enumerate(batches):
        position = json.loads(json.dumps(batch.resume))
        rest = read(path, {"in": position})
        assert records(rest) == records(batches[index + 1 :])
        assert ordinals(rest) == ordinals(batches[index + 1 :])
        assert failures(rest) == failures(batches[index + 1 :])


def test_an_array_is_resumed_within_a_group(path: Path) -> None:
    path.write_text("[1, null, 3, null, 5]")
    rest = read(path, {"in": {"records": 2}})
    assert records(rest) == [3, 5]
    assert ordinals(rest) == [3, 5]
    assert [number for number, *_ in failures(rest)] == [4]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_was_replaced_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in.jsonl{suffix}"
    pack = gzip.compress if suffix else bytes
    path.write_bytes(pack(b'{"a":1}\n{"a":2}\n'))
    [batch] = read(path)
    hint = "the file was replaced or changed; start over with --fresh"
    path.write_bytes(pack(b'{"a":100000}\n{"a":2}\n'))
    with pytest.raises(ConnectError) as caught:
        read(path, {"in": batch.resume})
    what = "has no line that ends at byte 16, where reading would go on"
    assert str(caught.value) == f"{path}: {what}; {hint}"
    path.write_bytes(pack(b"1\n"))
    with pytest.raises(ConnectError) as caught:
        read(path, {"in": batch.resume})
    assert (
        str(caught.value) == f"{path}: is shorter than the 16 bytes that were read before; {hint}"
    )


HINT = "the file was replaced or changed; start over with --fresh"


def read_in_part(path: Path, format: str) -> tuple[Any, int]:
    """Write 2000 records, read the first of them; the position, and the next record."""
    texts = [b'{"n": %d, "x": "%s"}' % (n, b"x" * 50) for n in range(2000)]
    text = b"\n".join(texts) + b"\n" if format == "lines" else b"[" + b",".join(texts) + b"]"
    path.write_bytes(text)
    batches = read(path)
    return json.loads(json.dumps(batches[1].resume)), batches[2].records[0]["n"]


def said_of(path: Path, position: Any) -> str:
    with pytest.raises(ConnectError) as caught:
        read(path, {"in": position})
    return str(caught.value)


@pytest.mark.parametrize("format", ["lines", "array"])
def test_a_file_that_was_replaced_by_another_is_refused(path: Path, format: str) -> None:
    position, _ = read_in_part(path, format)
    content = path.read_bytes()
    path.rename(path.with_name("old"))
    path.write_bytes(content.replace(b'{"n": 150, "x', b'{"n": 150, "y'))
    what = f"is not as it was when {position['records']} records had been read from it"
    assert said_of(path, position) == f"{path}: {what}; {HINT}"


@pytest.mark.parametrize("format", ["lines", "array"])
def test_a_file_whose_beginning_was_rewritten_is_refused(path: Path, format: str) -> None:
    position, _ = read_in_part(path, format)
    with path.open("r+b") as file:
        file.seek(20)
        file.write(b"y")
    what = f"is not as it was when {position['records']} records had been read from it"
    assert said_of(path, position) == f"{path}: {what}; {HINT}"


def test_a_file_that_was_rewritten_where_reading_stopped_is_refused(path: Path) -> None:
    position, _ = read_in_part(path, "lines")
    with path.open("r+b") as file:
        file.seek(position["offset"] - 5)
        file.write(b"y")
    what = f"has another line before byte {position['offset']}, where reading would go on"
    assert said_of(path, position) == f"{path}: {what}; {HINT}"


def test_an_array_to_which_something_was_added_is_refused(path: Path) -> None:
    position, _ = read_in_part(path, "array")
    path.write_bytes(path.read_bytes()[:-1] + b",1]")
    what = f"is not as it was when {position['records']} records had been read from it"
    assert said_of(path, position) == f"{path}: {what}; {HINT}"


def test_an_array_with_too_few_records_is_refused(path: Path) -> None:
    path.write_bytes(b"[1, 2]")
    what = "has 2 records, and 3 were read before"
    assert said_of(path, {"records": 3}) == f"{path}: {what}; {HINT}"


@pytest.mark.parametrize("format", ["lines", "array"])
def test_a_copy_that_has_kept_its_time_is_read_on(path: Path, format: str) -> None:
    position, following = read_in_part(path, format)
    path.rename(path.with_name("old"))
    shutil.copy2(path.with_name("old"), path)
    assert read(path, {"in": position})[0].records[0]["n"] == following


def test_lines_that_were_added_are_read_next(path: Path) -> None:
    path.write_text("1\n2\n")
    [batch] = read(path)
    with path.open("a") as file:
        file.write("3\n")
    rest = read(path, {"in": batch.resume})
    assert (records(rest), ordinals(rest)) == ([3], [3])


# ---- properties ---------------------------------------------------------------------------------

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from('":\\ \t{}[],'))
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(VALUES.filter(lambda value: value is not None), max_size=20)
LOOKS = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (" , ", " : ")])}
)


@settings(deadline=None)
@given(RECORDS, LOOKS, st.booleans())
def test_what_the_standard_library_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, elements: list[Any], look: Any, as_lines: bool
) -> None:
    path = tmp_path_factory.mktemp("x") / "in"
    text = "".join(json.dumps(one, **look) + "\n" for one in elements)
    if not as_lines:
        text = json.dumps(elements, indent=1, **look)
    path.write_text(text, "utf-8")
    batches = read(path, format="lines" if as_lines else "array")
    assert failures(batches) == []
    assert records(batches) == elements
    assert list(map(type, records(batches))) == list(map(type, elements))


PIECES = st.sampled_from(
    [
        '"a"',
        '"b"',
        ":",
        ",",
        "{",
        "}",
        "[",
        "]",
        "1",
        "-0.5",
        "null",
        " ",
        '"\\u003a"',
        '":"',
        "\\",
        '"',
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=6))
def test_any_lines_are_read_as_a_strict_reader_would(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Each line gives its value or a failure, as the standard library does with a check of keys."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise ValueError("twice")
        return made

    expected: list[Any] = []
    for line in lines:
        try:
            value = json.loads(line, object_pairs_hook=unique)
        except ValueError:
            continue
        if value is not None:
            expected.append(value)
    path = tmp_path_factory.mktemp("x") / "in"
    path.write_text("".join(line + "\n" for line in lines))
    batches = read(path, format="lines")
    assert records(batches) == expected
    blank = sum(not line.strip() for line in lines)
    assert len(expected) + len(failures(batches)) + blank == len(lines)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_read_as_an_array_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("x") / "in"
    path.write_text(f"[{text}]")
    try:
        whole = json.loads(f"[{text}]")
    except ValueError:
        with pytest.raises(PenstockError):
            read(path, format="array", duplicates="allow")
    else:
        batches = read(path, format="array", duplicates="allow")
        assert records(batches) == [value for value in whole if value is not None]
