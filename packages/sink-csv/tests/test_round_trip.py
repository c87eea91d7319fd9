"""What the output `csv` writes, the input `csv` reads: the same text, in a run as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import penstock
from penstock.testing import ListInput, ListOutput
from penstock_input_csv import CsvInput
from penstock_sink_csv import CsvOutput

TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufeff"))
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=9)
)
DIALECTS = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from(",;\t|"),
        "quotechar": st.sampled_from("\"'"),
        "encoding": st.sampled_from(["utf-8", "utf-16-le"]),
    }
)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
QUOTING = st.sampled_from(["minimal", "all", "nonnumeric"])


@settings(deadline=None)
@given(TABLES, DIALECTS, QUOTING, ENDS)
def test_text_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[list[str]],
    dialect: dict[str, Any],
    quoting: str,
    end: str,
) -> None:
    path = tmp_path_factory.mktemp("x") / "file.csv"
    records = [{f"c{index}": value for index, value in enumerate(row)} for row in table]
    output = CsvOutput(path=path, quoting=quoting, line_terminator=end, **dialect)
    penstock.run(ListInput(values=records), output)
    out = ListOutput()
    report = penstock.run(CsvInput(path=path, **dialect), out)
    assert report.letters == 0
    assert out.values == records


def test_a_record_that_has_no_row_is_a_dead_letter(tmp_path: Path) -> None:
    values = [{"n": 1}, {"m": 2}, {"n": 3}]
    report = penstock.run(ListInput(values=values), CsvOutput(path=tmp_path / "out.csv"))
    assert report.letters == 1
    assert (tmp_path / "out.csv").read_text() == "n\n1\n3\n"
