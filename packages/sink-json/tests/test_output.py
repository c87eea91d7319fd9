"""What is written is strict JSON, and the record that has none is the only one left out."""

from __future__ import annotations

import gzip
import json
import uuid
from collections import OrderedDict, namedtuple
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Batch, ConfigError, ConnectError, Context, Failure, Rows, RunError
from penstock_sink_json import JsonOutput


def write(output: JsonOutput, *batches: Iterable[Any]) -> list[Failure]:
    """A run over `batches` that ends well."""
    failures: list[Failure] = []
    try:
        output.open(Context("out"))
        output.resume(None, 0)
        first = 1
        for records in batches:
            kept = records if isinstance(records, Rows) else list(records)
            batch = Batch(kept, "in", range(first, first + len(kept)))
            failures.extend(output.write(batch))
            first += len(kept)
        output.flush()
        output.finish()
    finally:
        output.close()
    return failures


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.json"


def text_of(path: Path, record: Any, **options: Any) -> str:
    assert write(JsonOutput(path=path, **options), [record]) == []
    return path.read_text("utf-8").rstrip("\n")


def objection_to(path: Path, record: Any, **options: Any) -> str:
    """What is said of a record, between two that are written."""
    failures = write(JsonOutput(path=path, **options), [{"n": 1}, record, {"n": 3}])
    assert path.read_text() == '{"n":1}\n{"n":3}\n'
    assert [(one.ordinal, one.record is record) for one in failures] == [(2, True)]
    return str(failures[0].error)


def test_one_record_on_each_line(path: Path) -> None:
    write(JsonOutput(path=path), [{"a": 1}, {"a": "x\ny"}], [], [{"a": None}])
    assert path.read_text() == '{"a":1}\n{"a":"x\\ny"}\n{"a":null}\n'


def test_no_records_make_an_empty_file(path: Path) -> None:
    write(JsonOutput(path=path))
    assert path.read_bytes() == b""


def test_an_array(path: Path) -> None:
    write(JsonOutput(path=path, format="array"), [{"a": 1}, {"a": 2}], [{"a": 3}])
    assert path.read_text() == '[\n{"a":1},\n{"a":2},\n{"a":3}\n]\n'


def test_an_empty_array(path: Path) -> None:
    write(JsonOutput(path=path, format="array"))
    assert path.read_text() == "[]\n"


def test_an_indented_array(path: Path) -> None:
    write(JsonOutput(path=path, format="array", indent=True), [{"a": [1]}, {"a": 2}], [{}])
    records = [{"a": [1]}, {"a": 2}, {}]
    assert path.read_text() == json.dumps(records, indent=2) + "\n"


def test_keys_in_order(path: Path) -> None:
    assert text_of(path, {"b": {"d": 1, "c": 2}, "a": 3}, sort_keys=True) == (
        '{"a":3,"b":{"c":2,"d":1}}'
    )


def test_the_suffix_compresses(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.gz"
    write(JsonOutput(path=path), [{"a": 1}])
    assert gzip.decompress(path.read_bytes()) == b'{"a":1}\n'


def test_rows_of_a_table(path: Path) -> None:
    write(JsonOutput(path=path), Rows(("a", "b"), [[1, 2], [3, 4]]))
    assert path.read_text() == '{"a":1,"b":2}\n{"a":3,"b":4}\n'


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: float
    y: Any


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**64 - 1, "18446744073709551615"),
        (2**64, "18446744073709551616"),
        (-(2**70), "-1180591620717411303424"),
        ([{"deep": 10**30}], '[{"deep":1000000000000000000000000000000}]'),
        (1.1, "1.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (True, "true"),
        ((1, "x"), '[1,"x"]'),
        ("ü€😀", '"ü€😀"'),
        ("null", '"null"'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        (Decimal("1.10"), '"1.10"'),
        (datetime.fromisoformat("2026-01-31T08:30:00"), '"2026-01-31T08:30:00"'),
        (datetime(2026, 1, 31, 8, 30, 0, 5, timezone.utc), '"2026-01-31T08:30:00.000005+00:00"'),
        (date(2026, 1, 31), '"2026-01-31"'),
        (time(8, 30), '"08:30:00"'),
        (time(8, 30, tzinfo=timezone(timedelta(hours=2))), '"08:30:00+02:00"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Path("a/b"), '"a/b"'),
        (Colour.RED, '"red"'),
        (Point(1.5, None), '{"x":1.5,"y":null}'),
    ],
)
def test_the_forms_of_values(path: Path, value: Any, text: str) -> None:
    assert text_of(path, {"v": value}) == f'{{"v":{text}}}'
    # The same value beside one that orjson cannot take is written in the same form.
    assert text_of(path, {"v": value, "big": 10**20}) == f'{{"v":{text},"big":{10**20}}}'


def test_records_need_not_be_dicts(path: Path) -> None:
    records = [Point(1.5, 2), [1, None], "text", 5, Point(0.5, None)]
    assert write(JsonOutput(path=path), records) == []
    assert path.read_text() == '{"x":1.5,"y":2}\n[1,null]\n"text"\n5\n{"x":0.5,"y":null}\n'


def test_a_decimal_as_a_number_keeps_its_digits(path: Path) -> None:
    value = Decimal("1.1000000000000000000000000001")
    assert text_of(path, {"v": value}, decimal="number") == f'{{"v":{value}}}'


Pair = namedtuple("Pair", "a b")
NO_JSON = "which JSON does not have"


@pytest.mark.parametrize(
    ("record", "objection"),
    [
        ({"v": float("nan")}, f"field 'v' holds nan, {NO_JSON}; set nan: null, or take it out"),
        (
            {"v": None, "w": {"x": [0, float("-inf")]}},
            f"field 'w.x[1]' holds -inf, {NO_JSON}; set nan: null, or take it out",
        ),
        (float("inf"), f"the record holds inf, {NO_JSON}; set nan: null, or take it out"),
        (
            Point(float("inf"), 1),
            f"field 'x' holds inf, {NO_JSON}; set nan: null, or take it out",
        ),
        (
            {"v": "a\ud800"},
            "field 'v' holds the lone surrogate '\\ud800', which is no character; replace it",
        ),
        (
            {"\ud800": 1},
            "field '\\ud800' holds the lone surrogate '\\ud800', which is no character; replace it",
        ),
        (
            {"v": [1, 10**5000]},
            "field 'v[1]' holds a number with more digits than can be written; take it out",
        ),
        (
            {10**5000: 1},
            "the record has the key of type int; make it text, as JSON keys are",
        ),
        ({1: 2}, "the record has the key 1; make it text, as JSON keys are"),
        ({"v": {None: 2}}, "field 'v' has the key None; make it text, as JSON keys are"),
        (
            {"v": b"x"},
            "field 'v' holds bytes, for which JSON has no form; decode them or leave them out",
        ),
        ({"v": {1}}, "field 'v' holds a set, which has no order; make it a sorted list"),
        (
            {"v": timedelta(1)},
            "field 'v' holds a value of type timedelta, for which JSON has no form; cast it first",
        ),
        (
            {"v": Pair(1, 2)},
            "field 'v' holds a value of type Pair, for which JSON has no form; cast it first",
        ),
    ],
)
def test_the_record_without_a_json_form_is_named(path: Path, record: Any, objection: str) -> None:
    assert objection_to(path, record) == objection


def test_a_decimal_that_is_not_a_number(path: Path) -> None:
    record = {"v": Decimal("NaN")}
    objection = objection_to(path, record, decimal="number")
    assert objection == f"field 'v' holds NaN, {NO_JSON}; set decimal: text, or take it out"
    assert text_of(path, record) == '{"v":"NaN"}'


def test_a_record_that_holds_itself(path: Path) -> None:
    record: dict[str, Any] = {}
    record["self"] = record
    assert objection_to(path, record) == "is nested more than 200 deep; flatten it"


def test_nan_as_null(path: Path) -> None:
    record = {"v": float("nan"), "w": [float("inf")], "big": 2**70}
    assert text_of(path, record, nan="null") == f'{{"v":null,"w":[null],"big":{2**70}}}'
    assert text_of(path, {"v": float("nan")}, nan="null") == '{"v":null}'


@pytest.mark.parametrize("indent", [False, True])
def test_failures_in_an_array(path: Path, indent: bool) -> None:
    output = JsonOutput(path=path, format="array", indent=indent)
    bad = {"v": float("nan")}
    failures = write(output, [bad], [{"v": 1}, bad, {"v": None}, {"v": [2**70]}], [bad])
    assert json.loads(path.read_text()) == [{"v": 1}, {"v": None}, {"v": [2**70]}]
    assert [one.ordinal for one in failures] == [1, 3, 6]


def test_only_failures_make_an_empty_file(path: Path) -> None:
    failures = write(JsonOutput(path=path), [{1: 1}, {2: 2}, {3: 3}])
    assert len(failures) == 3
    assert path.read_bytes() == b""


def test_appending_adds_lines(path: Path) -> None:
    path.write_text('{"a":1}\n')
    write(JsonOutput(path=path, mode="append"), [{"a": 2}], [{"a": 3}])
    assert path.read_text() == '{"a":1}\n{"a":2}\n{"a":3}\n'


def test_a_line_without_its_end_does_not_swallow_the_next(path: Path) -> None:
    path.write_text('{"a":')
    write(JsonOutput(path=path, mode="append"), [{"a": 2}], [{"a": 3}])
    assert path.read_text() == '{"a":\n{"a":2}\n{"a":3}\n'


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_run_that_fails_leaves_the_file_as_it_was(path: Path, mode: str) -> None:
    path.write_text('{"a":1}\n')
    output = JsonOutput(path=path, mode=mode)
    output.open(Context("out"))
    output.resume(None, 0)
    output.write(Batch([{"a": 2}]))
    output.flush()
    output.close()
    assert path.read_text() == '{"a":1}\n'
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("format", ["lines", "array"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_run_that_was_cut_off_goes_on(
    tmp_path: Path, count: int, format: Any, suffix: str
) -> None:
    records = [{"n": n} for n in range(3)]
    whole, path = tmp_path / f"whole.json{suffix}", tmp_path / f"out.json{suffix}"
    write(JsonOutput(path=whole, format=format), records)
    output = JsonOutput(path=path, format=format)
    output.open(Context("out"))
    output.resume(None, 0)
    if count:
        output.write(Batch(records[:count]))
    mark = json.loads(json.dumps(output.prepare(1)))
    output.write(Batch([{"lost": 1}]))
    output.flush()
    output._writer._file.raw.close()  # type: ignore[attr-defined]

    again = JsonOutput(path=path, format=format)
    again.open(Context("out"))
    again.resume(mark, 1)
    if records[count:]:
        again.write(Batch(records[count:]))
    mark = again.prepare(2)
    again.finish()
    again.close()
    assert text_in(path) == text_in(whole)

    last = JsonOutput(path=path, format=format)  # it died before it could note that it was done
    last.open(Context("out"))
    last.resume(mark, 2)
    last.finish()
    last.close()
    assert text_in(path) == text_in(whole)
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([path.name, whole.name])


def text_in(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def test_only_a_file_can_be_taken_back(path: Path) -> None:
    assert JsonOutput(path=path).delivery == "rewindable"
    assert JsonOutput(path=Path("-")).delivery == "append"


def test_what_cannot_be_opened_is_closed_without_harm(tmp_path: Path) -> None:
    output = JsonOutput(path=tmp_path)
    with pytest.raises(ConnectError) as caught:
        output.open(Context("out"))
    output.close()
    assert str(caught.value) == f"{tmp_path}: is a folder; name a file in it"


def test_a_full_disk() -> None:
    output = JsonOutput(path=Path("/dev/full"))
    with pytest.raises(RunError) as caught:
        write(output, [{"a": 1}])
    assert str(caught.value) == "/dev/full: the disk is full; make room and run it again"


def test_folders_are_made_when_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.jsonl"
    write(JsonOutput(path=path, create_parents=True), [{"a": 1}])
    assert path.read_text() == '{"a":1}\n'


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"format": "array", "mode": "append"},
            "an array cannot be appended to; use format: lines or mode: replace",
        ),
        ({"indent": True}, "a record must stay on its line; use indent with format: array"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        JsonOutput(path=Path("x"), **options)
    assert str(caught.value) == f"JsonOutput: {problem}"


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=3), VALUES, max_size=4), max_size=12)


@given(RECORDS)
def test_the_text_is_what_the_standard_library_would_read(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    """Exactly the records that strict JSON has a form for are written, each on its line."""

    def strict(record: dict[str, Any]) -> bool:
        try:
            json.dumps(record, allow_nan=False, ensure_ascii=False).encode()
        except ValueError:
            return False
        return True

    path = tmp_path_factory.mktemp("x") / "out.jsonl"
    failures = write(JsonOutput(path=path), records)
    lines = path.read_text("utf-8").split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == list(filter(strict, records))
    assert len(failures) == len(records) - len(lines)


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        ({}, [{"a": 1}], '{"a":1}\n{"a":2}\n'),
        ({}, [], '{"a":2}\n'),
        ({"mode": "append"}, [{"a": 1}], '{"a":1}\n{"a":2}\n'),
        ({"format": "array"}, [{"a": 1}], '[\n{"a":1},\n{"a":2}\n]\n'),
        ({"format": "array"}, [], '[\n{"a":2}\n]\n'),
    ],
)
def test_records_are_added_to_what_a_finished_run_has_written(
    path: Path, options: Any, before: list[Any], after: str
) -> None:
    output = JsonOutput(path=path, **options)
    output.open(Context("out"))
    output.resume(None, 0)
    output.write(Batch(before))
    mark = output.prepare(1)
    output.finish()
    output.close()
    alone = path.read_bytes()
    for records in ([], [{"a": 2}]):
        assert path.read_bytes() == alone
        output = JsonOutput(path=path, **options)
        output.open(Context("out"))
        output.reopen(mark, 1)
        output.write(Batch(records))
        output.finish()
        output.close()
    assert path.read_text(options.get("encoding", "utf-8")) == after
