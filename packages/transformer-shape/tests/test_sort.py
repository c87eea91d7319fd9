import os
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Batch, Context, RunError
from penstock_shape import Sort
from penstock_shape import runs as runs_module


def rows(*pairs):
    return [{"a": a, "b": b, "n": n} for n, (a, b) in enumerate(pairs, 1)]


def ns(driven):
    return [record["n"] for record in driven.records]


MIXED = rows((2, "x"), (1, "y"), (None, "z"), (2, "a"), (1, "y"), (3, None))


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("a", [2, 5, 1, 4, 6, 3]),
        ("-a", [6, 1, 4, 2, 5, 3]),
        (["a", "b"], [2, 5, 4, 1, 6, 3]),
        (["a", "-b"], [2, 5, 1, 4, 6, 3]),
        (["-a", "b"], [6, 4, 1, 2, 5, 3]),
        (["b", "-a"], [4, 1, 2, 5, 3, 6]),
    ],
)
@pytest.mark.parametrize("memory", ["64MiB", "1"])
def test_sorts_by_fields_in_either_direction_and_keeps_ties_in_order(run, by, order, memory):
    assert ns(run(Sort(by=by, memory=memory), MIXED, size=2)) == order


@pytest.mark.parametrize("memory", ["64MiB", "1"])
def test_nulls_may_come_first(run, memory):
    assert ns(run(Sort(by="a", nulls="first", memory=memory), MIXED)) == [3, 2, 5, 1, 4, 6]
    assert ns(run(Sort(by="-a", nulls="first", memory=memory), MIXED)) == [3, 6, 1, 4, 2, 5]


def test_numbers_of_every_type_sort_together(run):
    records = [{"a": one} for one in (2.5, Decimal("1.5"), 2, -1, Decimal(3))]
    assert [record["a"] for record in run(Sort(by="a"), records).records] == [-1, 1.5, 2, 2.5, 3]


def test_every_record_keeps_its_source_and_ordinal(drive):
    driven = drive(Sort(by="n"))
    driven.push(Batch([{"n": 3}, {"n": 1}], "a"), Batch([{"n": 2}, {"n": 0}], "b", [7, 9])).finish()
    assert driven.rows == [
        ("b", 9, {"n": 0}), ("a", 2, {"n": 1}), ("b", 7, {"n": 2}), ("a", 1, {"n": 3}),
    ]  # fmt: skip
    assert driven.answered == 4


PLAIN = datetime(2024, 1, 1)
ZONED = datetime(2024, 1, 1, tzinfo=timezone.utc)
CAST = "cast the field first"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1, "2"], "a: '2' is text, and others are a number; cast the field first"),
        ([1, True], "a: True is true or false, and others are a number; cast the field first"),
        (["x", b"x"], "a: b'x' is bytes, and others are text; cast the field first"),
        (
            [date(2024, 1, 1), PLAIN],
            f"a: {PLAIN!r} is a datetime without a zone, and others are a date; {CAST}",
        ),
        (
            [PLAIN, ZONED],
            f"a: {ZONED!r} is a datetime with a zone, and others are a datetime without a zone; "
            + CAST,
        ),
        ([1.0, float("nan")], "a: nan has no order, so it cannot be sorted"),
        ([1, Decimal("NaN")], "a: Decimal('NaN') has no order, so it cannot be sorted"),
        (["x", ["y"]], "a: ['y'] has no order, so it cannot be sorted"),
        (["x", object], "a: <class 'object'> has no order, so it cannot be sorted"),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_a_value_that_does_not_go_with_the_others_fails_alone(run, values, sentence, size):
    driven = run(Sort(by="a"), [{"a": one} for one in values], size=size)
    assert driven.failures == [(2, sentence)]
    assert [record["a"] for record in driven.records] == values[:1]


def test_long_values_are_cut_in_messages(run):
    driven = run(Sort(by="a"), [{"a": 1}, {"a": "x" * 100}])
    assert driven.failures == [
        (2, f"a: '{'x' * 59}… is text, and others are a number; cast the field first")
    ]


def test_a_record_without_the_field_fails_alone(run):
    driven = run(Sort(by=["a", "b"]), [{"a": 1, "b": 2}, {"a": 1, "bb": 2}, {"a": 0, "b": 0}])
    assert driven.failures == [(2, "the record has no field 'b'; did you mean 'bb'?")]
    assert driven.records == [{"a": 0, "b": 0}, {"a": 1, "b": 2}]


def test_objects_that_define_an_order_can_be_sorted(run):
    records = [{"a": Version(2)}, {"a": Version(1)}]
    assert [record["a"].n for record in run(Sort(by="a"), records).records] == [1, 2]


class Version:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n


def test_what_does_not_fit_is_sorted_in_files_that_go_away(drive, batches, tmp_path):
    records = [{"n": (n * 7919) % 2000, "text": "x" * 100} for n in range(2000)]
    driven = drive(Sort(by="n", memory="100KB", folder=tmp_path / "here"))
    driven.push(*batches(records, size=100))
    files = list(tmp_path.glob("here/penstock-sort-*/run-*"))
    assert len(files) >= 3
    assert len(driven.stage._held) < 500
    assert driven.finish().records == sorted(records, key=lambda record: record["n"])
    driven.stage.close()
    assert list(tmp_path.glob("here/*")) == []


def test_more_files_than_are_read_at_once_are_merged_in_rounds(run, monkeypatch):
    monkeypatch.setattr(runs_module, "_WIDTH", 3)
    records = [{"a": n % 5, "n": n} for n in range(40)]
    driven = run(Sort(by="a", memory="1"), records, size=1)
    assert driven.records == sorted(records, key=lambda record: record["a"])


def test_a_run_that_breaks_off_leaves_no_files(drive, batches, tmp_path):
    driven = drive(Sort(by="n", memory="1", folder=tmp_path)).push(*batches([{"n": 1}]))
    assert list(tmp_path.iterdir())
    driven.stage.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_explained(drive, batches, tmp_path):
    (tmp_path / "file").write_text("")
    driven = drive(Sort(by="n", memory="1", folder=tmp_path / "file" / "folder"))
    with pytest.raises(RunError) as caught:
        driven.push(*batches([{"n": 1}]))
    place = str(tmp_path / "file" / "folder")
    assert str(caught.value) == (
        f"stage: cannot write sorted records to {place!r}: Not a directory; "
        "give a folder with room, or more memory"
    )


def test_a_full_disk_is_explained(drive, batches):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    driven = drive(Sort(by="n", memory="1"))
    driven.stage._runs._folder = FullFolder()
    with pytest.raises(RunError, match="No space left on device; give a folder with room"):
        driven.push(*batches([{"n": 1}]))


class FullFolder:
    def __truediv__(self, name):
        return Path("/dev/full")

    def __str__(self):
        return "/full"


@pytest.mark.parametrize("options", [{}, {"memory": "1"}, {"memory": "2KB"}])
def test_survives_a_restart_anywhere(survives, batches, options, tmp_path, values):
    records = [*values, *reversed(values), *values]
    make = lambda: Sort(by="-n", folder=tmp_path, **options)  # noqa: E731
    survives(make, batches(records, size=4))


def test_a_checkpoint_of_many_records_names_files(drive, batches, tmp_path):
    records = [{"n": (n * 7919) % 3000} for n in range(3000)]
    first = drive(Sort(by="n", folder=tmp_path)).push(*batches(records[:2000], size=500))
    state = first.stage.snapshot()
    first.stage.close()
    second = drive(Sort(by="n", folder=tmp_path), state).push(*batches(records[2000:], size=500))
    assert second.finish().records == sorted(records, key=lambda record: record["n"])
    second.stage.close()
    assert list(tmp_path.iterdir()) == []


def test_what_was_known_of_the_values_survives_a_restart(drive):
    state = drive(Sort(by="n")).push(Batch([{"n": 1}])).stage.snapshot()
    again = drive(Sort(by="n"), state).push(Batch([{"n": "x"}]))
    assert again.failures == [(1, "n: 'x' is text, and others are a number; cast the field first")]


def test_files_that_are_gone_are_explained(drive, batches, tmp_path):
    driven = drive(Sort(by="n", memory="1", folder=tmp_path)).push(*batches([{"n": 1}]))
    state = driven.stage.snapshot()
    (file,) = tmp_path.glob("*/run-*")
    file.unlink()
    with pytest.raises(RunError) as caught:
        drive(Sort(by="n"), state)
    assert str(caught.value) == (
        f"stage: cannot go on sorting: {str(file)!r} is gone; "
        "start over, and give a folder that is not cleaned up"
    )


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_files_that_others_could_have_written_are_refused(drive, batches, tmp_path):
    driven = drive(Sort(by="n", memory="1", folder=tmp_path)).push(*batches([{"n": 1}]))
    state = driven.stage.snapshot()
    Path(state["folder"]).chmod(0o777)
    with pytest.raises(RunError) as caught:
        drive(Sort(by="n"), state)
    assert str(caught.value) == (
        f"stage: cannot go on sorting: others may write to {state['folder']!r}; start over"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"by": []}, "Sort.by: must name at least one field, got []"),
        ({"by": ["-"]}, "Sort.by: must name at least one field, got ['-']"),
        ({"by": ["a", "-a"]}, "Sort.by: must name each field once, not 'a' twice, got ['a', '-a']"),
        ({"by": "a", "memory": 0}, "Sort.memory: must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Sort, options) == sentence


maybe = st.one_of(st.none(), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(maybe, maybe), max_size=30),
    st.lists(
        st.sampled_from(["a", "-a", "b", "-b"]), min_size=1, max_size=2, unique_by=lambda f: f[-1]
    ),
    st.sampled_from(["first", "last"]),
)
def test_sorting_in_files_gives_what_sorting_in_memory_gives(pairs, by, nulls):
    def result(memory):
        stage = Sort(by=by, nulls=nulls, memory=memory)
        stage.open(Context())
        for record in rows(*pairs):
            list(stage.process(Batch([record])))
        out = [record["n"] for batch in stage.finish() for record in batch.records]
        stage.close()
        return out

    assert result(1) == result(10**9)
