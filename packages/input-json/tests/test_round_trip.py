"""What the output `json` writes, the input `json` reads: the same records, in a run as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock
from penstock import Batch, Context
from penstock.testing import ListInput, ListOutput
from penstock_input_json import JsonInput
from penstock_sink_json import JsonOutput

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]) | st.sampled_from('":\\ \t{}[],'))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=5), max_size=30)
OPTIONS = st.sampled_from(
    [
        {"format": "lines"},
        {"format": "lines", "mode": "append"},
        {"format": "array"},
        {"format": "array", "indent": True},
    ]
)


def write(output: Any, records: list[Any]) -> None:
    output.open(Context("out"))
    for start in range(0, len(records), 7):
        assert not output.write(Batch(records[start : start + 7]))
    output.flush()
    output.finish()
    output.close()


@settings(deadline=None)
@given(RECORDS, OPTIONS, st.sampled_from(["", ".gz", ".bz2", ".xz"]))
def test_records_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[Any],
    options: dict[str, Any],
    suffix: str,
) -> None:
    path = tmp_path_factory.mktemp("x") / f"file.json{suffix}"
    write(JsonOutput(path=path, **options), records)
    source = JsonInput(path=path)
    source.open(Context("in"))
    batches = list(source.read({}))
    source.close()
    read = [record for batch in batches for record in batch.records]
    assert read == records
    assert repr(read) == repr(records)  # 1 and True and 1.0 are equal, and yet not the same
    assert not any(batch.failures for batch in batches)


def test_a_run_copies_a_file_and_sets_bad_lines_aside(tmp_path: Path) -> None:
    lines = [json.dumps({"n": n}) for n in range(1000)]
    lines[500] = '{"n": 500'
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = penstock.run(
        JsonInput(path=tmp_path / "in.jsonl"),
        JsonOutput(path=tmp_path / "out.json", format="array"),
    )
    assert (report.status, report.letters) == ("letters", 1)
    [group] = report.failures
    assert group.message == "line 501: column 10: expecting ',' delimiter"
    out = ListOutput()
    penstock.run(JsonInput(path=tmp_path / "out.json"), out)
    assert [record["n"] for record in out.values] == [n for n in range(1000) if n != 500]


def test_a_run_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[{"n":1},{"n":2}')
    (tmp_path / "out.jsonl").write_text("old\n")
    with pytest.raises(penstock.RunError) as caught:
        penstock.run(JsonInput(path=tmp_path / "in.json"), JsonOutput(path=tmp_path / "out.jsonl"))
    assert str(caught.value) == (
        f"{tmp_path / 'in.json'}:1: the array ends too early; "
        "the file may be cut off, or still be written"
    )
    assert (tmp_path / "out.jsonl").read_text() == "old\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["in.json", "out.jsonl"]


def test_a_record_that_cannot_be_written_is_a_dead_letter(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    values = [{"n": 1}, {"n": float("nan")}, {"n": 3}]
    report = penstock.run(ListInput(values=values), JsonOutput(path=path))
    assert report.letters == 1
    assert path.read_text() == '{"n":1}\n{"n":3}\n'
