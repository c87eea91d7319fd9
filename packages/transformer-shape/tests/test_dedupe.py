from decimal import Decimal

import pytest

from penstock import Batch, RunError
from penstock_shape import Dedupe


def by_id(*ids):
    return [{"id": one, "n": number} for number, one in enumerate(ids, 1)]


def ns(driven):
    return [record["n"] for record in driven.records]


def test_passes_on_the_first_record_of_each_key(run):
    driven = run(Dedupe(key="id"), by_id("a", "b", "a", "c", "b", "a"))
    assert ns(driven) == [1, 2, 4]
    assert driven.dropped == 3


def test_a_key_may_be_several_fields(run):
    records = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1}]
    assert run(Dedupe(key=["a", "b"]), records).records == records[:2]


def test_without_a_key_whole_records_are_compared(run):
    records = [{"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": [3]}, {"a": True, "b": [2]}]
    assert run(Dedupe(), records).records == [records[0], records[2], records[3]]


def test_whole_records_may_be_anything(run):
    assert run(Dedupe(), ["x", 1, "x", [1], (1,), [1], None, None]).records == [
        "x", 1, [1], (1,), None,
    ]  # fmt: skip


def test_keys_that_are_lists_or_mappings_are_compared_by_value(run):
    driven = run(Dedupe(key="id"), by_id([1], {"x": 1, "y": 2}, [1], {"y": 2, "x": 1}, {"x": 1}))
    assert ns(driven) == [1, 2, 5]


def test_null_is_a_key_like_any_other(run):
    assert ns(run(Dedupe(key="id"), by_id(None, 1, None))) == [1, 2]


def test_a_record_without_the_field_fails_alone(run):
    driven = run(Dedupe(key="id"), [*by_id(1), {"ID": 1}, "text", *by_id(2)])
    assert driven.failures == [
        (2, "the record has no field 'id'; did you mean 'ID'?"),
        (3, "a record of type str has no fields"),
    ]
    assert ns(driven) == [1, 1]


def test_keeps_the_last_record_in_the_order_of_the_last_ones(run):
    driven = run(Dedupe(key="id", keep="last"), by_id("a", "b", "a", "c", "b"))
    assert [(ordinal, record["n"]) for _, ordinal, record in driven.rows] == [
        (3, 3),
        (4, 4),
        (5, 5),
    ]
    assert driven.dropped == 2


def test_keeping_the_last_accounts_for_each_source(drive):
    driven = drive(Dedupe(key="id", keep="last"))
    driven.push(Batch(by_id(1, 2), "a"), Batch(by_id(1, 3), "b")).finish()
    assert [(source, ordinal) for source, ordinal, _ in driven.rows] == [
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]
    assert [(batch.source, batch.dropped) for batch in driven.batches if batch.dropped] == [
        ("a", 1)
    ]


def test_within_compares_with_so_many_records_before(run):
    records = by_id("a", "b", "c", "a", "c", "d", "e", "c")
    assert ns(run(Dedupe(key="id", within=2), records)) == [1, 2, 3, 4, 6, 7, 8]
    assert ns(run(Dedupe(key="id", within=3), records)) == [1, 2, 3, 6, 7]


def test_within_gives_the_last_up_after_so_many_further_records(drive, batches):
    driven = drive(Dedupe(key="id", keep="last", within=2))
    assert ns(driven.push(*batches(by_id("a", "b", "a", "c", "d", "a"), size=1))) == [2, 3, 4]
    assert ns(driven.finish()) == [2, 3, 4, 5, 6]
    assert driven.answered == driven.received


def test_within_bounds_what_is_remembered(drive, batches):
    driven = drive(Dedupe(key="id", within=10, max_keys=1))
    driven.push(*batches(by_id(*range(5000)), size=100))
    assert len(driven.records) == 5000
    assert len(driven.stage.snapshot()["recent"]) < 200  # ten keys with their counts


def test_too_many_keys_stop_the_run(run):
    with pytest.raises(RunError) as caught:
        run(Dedupe(key="id", max_keys=5), by_id(*range(9)))
    assert str(caught.value) == (
        "stage: there are more than 5 different keys to remember; raise max_keys, "
        "or give within to compare only records that are close"
    )


def test_keys_are_remembered_by_a_run_that_follows(drive):
    driven = drive(Dedupe(key="id")).push(Batch(by_id(1, 2))).finish()
    later = drive(Dedupe(key="id"), driven.stage.snapshot()).push(Batch(by_id(2, 3)))
    assert ns(later) == [2]


KEYS = ["a", 1, None, Decimal("1.50"), "a", (1, 2), Decimal("1.5"), b"x", "b", (1, 2), b"x", 1.0]


@pytest.mark.parametrize(
    "options", [{}, {"within": 3}, {"keep": "last"}, {"keep": "last", "within": 3}]
)
@pytest.mark.parametrize("key", ["id", None, ["id", "m"]])
def test_survives_a_restart_anywhere(survives, batches, options, key):
    records = [{"id": one, "m": number % 2} for number, one in enumerate(KEYS)]
    survives(lambda: Dedupe(key=key, **options), batches(records, size=2))


def test_a_checkpoint_encodes_only_what_is_new(drive):
    driven = drive(Dedupe(key="id")).push(Batch(by_id(1, 2)))
    first = driven.stage.snapshot()["seen"]
    assert driven.stage.snapshot()["seen"] == first
    assert driven.push(Batch(by_id(2, 3))).stage.snapshot()["seen"] == [*first, "[3]"]


def test_a_key_that_cannot_be_kept_is_explained(drive):
    driven = drive(Dedupe(key="id")).push(Batch(by_id(object)))
    with pytest.raises(RunError) as caught:
        driven.stage.snapshot()
    assert str(caught.value) == (
        "stage: holds a value that cannot be kept for resuming: <class 'object'>; "
        "cast it to text first"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"key": []}, "Dedupe.key: must name at least one field, got []"),
        ({"key": ""}, "Dedupe.key: must name at least one field, got ''"),
        (
            {"key": ["a", "a"]},
            "Dedupe.key: must name each field once, not 'a' twice, got ['a', 'a']",
        ),
        ({"within": 0}, "Dedupe.within: must be at least 1, got 0"),
        ({"max_keys": 0}, "Dedupe.max_keys: must be at least 1, got 0"),
        (
            {"keep": "frist"},
            "Dedupe.keep: must be 'first' or 'last', got 'frist'; did you mean 'first'?",
        ),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Dedupe, options) == sentence
