"""The loops over a batch: nothing is lost, nothing runs twice, everything is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import Batch, Rows, Skip, each, expand, inspect_each


def behave(record: str) -> Any:
    """What each letter does: f fails, s stops the iteration, k skips, n gives None, z gives zero."""
    if record == "f":
        raise ValueError(record)
    if record == "s":
        raise StopIteration
    if record == "k":
        raise Skip
    return {"n": None, "z": 0}.get(record, record.upper())


@given(st.text("abfsknz", max_size=30))
def test_each_accounts_for_every_record_once(text: str) -> None:
    seen: list[str] = []

    def function(record: str) -> Any:
        seen.append(record)
        return behave(record)

    out = each(function, Batch(list(text), "source"))

    assert seen == list(text)
    kept = [(n, c) for n, c in enumerate(text, 1) if c in "abz"]
    assert out.records == [0 if c == "z" else c.upper() for _, c in kept]
    assert list(out.ordinals) == [n for n, _ in kept]
    assert [(f.ordinal, f.record) for f in out.failures] == [
        (n, c) for n, c in enumerate(text, 1) if c in "fs"
    ]
    assert out.dropped == sum(c in "kn" for c in text)
    assert out.consumed == len(text)
    assert out.source == "source"


@given(st.lists(st.one_of(st.integers(0, 4), st.just("fail"), st.just("half")), max_size=20))
def test_expand_gives_all_results_of_a_record_or_none(records: list[Any]) -> None:
    def function(record: Any) -> Iterator[Any]:
        if record == "half":
            yield "lost with its record"
        if record in ("fail", "half"):
            raise ValueError
        yield from range(record)

    out = expand(function, Batch(records))

    numbers = [(n, r) for n, r in enumerate(records, 1) if isinstance(r, int)]
    assert out.records == [i for _, r in numbers for i in range(r)]
    assert list(out.ordinals) == [n for n, r in numbers for _ in range(r)]
    assert len(out.failures) == len(records) - len(numbers)
    assert out.dropped == sum(r == 0 for _, r in numbers)
    assert out.consumed == len(records)


@given(st.text("abfsk", max_size=20))
def test_inspect_each_passes_the_very_records_it_was_given(text: str) -> None:
    records = [{"c": c} for c in text]

    def look(record: Any) -> None:
        behave(record["c"])

    out = inspect_each(look, Batch(records))

    passed = [record for record in records if record["c"] not in "fs"]
    assert len(out.records) == len(passed)
    assert all(a is b for a, b in zip(out.records, passed, strict=True))
    assert len(out.failures) == len(records) - len(passed)
    assert out.consumed == len(records)
    assert out.dropped == 0


def test_a_failing_record_may_be_recovered_in_its_place() -> None:
    def recover(record: str, error: Exception) -> str:
        if record == "f":
            return "again"
        raise RuntimeError("gave up") from error

    out = each(behave, Batch(list("afbs")), recover=recover)

    assert out.records == ["A", "again", "B"]
    assert [str(f.error) for f in out.failures] == ["gave up"]


def test_a_real_stop_is_not_swallowed() -> None:
    def stop(record: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        each(stop, Batch([1]))


def test_rows_are_dicts_for_whoever_asks() -> None:
    rows = Rows(("a", 'it\'s "b"\\'), [[1, 2], (3, 4)])

    assert len(rows) == 2
    assert rows[1] == {"a": 3, 'it\'s "b"\\': 4}
    assert list(rows) == [rows[0], rows[1]]
    assert rows[0] is rows.dicts()[0]
    assert rows == [{"a": 1, 'it\'s "b"\\': 2}, {"a": 3, 'it\'s "b"\\': 4}]
    assert each(lambda r: r["a"], Batch(rows)).records == [1, 3]
    assert inspect_each(lambda r: None, Batch(rows)).records is rows


def test_a_failure_among_rows_shows_the_record() -> None:
    batch = Batch(Rows(("a",), [["1"], ["x"]]))

    out = each(lambda row: int(row[0]), batch, items=batch.records.rows)

    assert out.records == [1]
    assert [(f.record, f.ordinal) for f in out.failures] == [({"a": "x"}, 2)]


def test_keep_counts_what_it_drops() -> None:
    out = Batch([1, 2, 3], "s", [4, 5, 9]).keep([True, 0, "yes"])

    assert (out.records, out.ordinals, out.dropped, out.consumed) == ([1, 3], [4, 9], 1, 3)


def test_a_batch_says_what_it_is() -> None:
    assert repr(Batch([1, 2], "orders", [7, 8])) == "<Batch 'orders': 2 records from 7>"
