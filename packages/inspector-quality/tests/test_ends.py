"""Inspectors that judge the stream when it has ended: freshness and count."""

from datetime import date, datetime, timedelta, timezone

import pytest

from penstock import RunError
from penstock_quality import Count, Freshness

NOW = datetime(2024, 5, 6, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def stamped(*values):
    return [{"at": one} for one in values]


def fresh(inspecting, batches, records, **options):
    inspector = Freshness(field="at", **{"max_age": "1h", **options})
    return inspecting(inspector, now=NOW.timestamp()).push(*batches(records))


@pytest.mark.parametrize(
    "newest",
    [
        NOW - HOUR,
        (NOW - HOUR).astimezone(timezone(5 * HOUR)),
        (NOW - HOUR).replace(tzinfo=None),
        NOW + HOUR,
    ],
)
def test_the_newest_value_may_be_so_old(inspecting, batches, newest):
    records = stamped(NOW - 9 * HOUR, newest, None, NOW - 5 * HOUR)
    inspected = fresh(inspecting, batches, records).finish()
    assert len(inspected.passed) == 4
    assert inspected.observed["objections"] == []


def test_a_date_counts_from_its_beginning(inspecting, batches):
    records = stamped(date(2024, 5, 6))
    assert fresh(inspecting, batches, records, max_age="12h").finish().observed["age"] == 43200
    with pytest.raises(RunError):
        fresh(inspecting, batches, records, max_age="11h").finish()


def test_a_stream_whose_newest_value_is_older_fails_the_run(inspecting, batches):
    with pytest.raises(RunError) as caught:
        fresh(inspecting, batches, stamped(NOW - 30 * HOUR, NOW - 26 * HOUR)).finish()
    assert str(caught.value) == (
        "checked: the newest 'at' is 2024-05-05T10:00:00+00:00, 1 day, 2:00:00 ago, over 1:00:00; "
        "look whether the source still delivers"
    )


@pytest.mark.parametrize("records", [[], stamped(None)])
def test_a_stream_without_any_value_fails_the_run(inspecting, batches, records):
    with pytest.raises(RunError) as caught:
        fresh(inspecting, batches, records).finish()
    assert str(caught.value) == (
        "checked: no record has a value in 'at', so nothing is known to be fresh; "
        "look whether the source still delivers"
    )


def test_flag_puts_it_into_the_report(inspecting, batches):
    inspected = fresh(inspecting, batches, stamped(NOW - 2 * HOUR), action="flag").finish()
    assert inspected.observed == {
        "newest": "2024-05-06T10:00:00+00:00",
        "age": 7200.0,
        "objections": ["the newest 'at' is 2024-05-06T10:00:00+00:00, 2:00:00 ago, over 1:00:00"],
    }


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"at": "2024-05-06"}, "at: must be a datetime or a date, got '2024-05-06'"),
        ({"on": 1}, "the record has no field 'at'; there are on"),
        (5, "a record of type int has no fields"),
    ],
)
def test_a_record_without_a_time_fails_alone(inspecting, batches, record, sentence):
    inspected = fresh(inspecting, batches, [*stamped(NOW), record])
    assert inspected.failed == [(2, sentence)]
    inspected.finish()


def test_freshness_survives_a_restart_anywhere(survives):
    records = stamped(NOW - HOUR, None, (NOW - 2 * HOUR).astimezone(timezone(3 * HOUR)), NOW)
    survives(lambda: Freshness(field="at", max_age="1h", action="flag"), records)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_counts_between_the_bounds_are_well(inspect, count):
    inspected = inspect(Count(min=2, max=4), list(range(count)))
    assert inspected.observed == {"count": count, "objections": []}


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (1, "there must be at least 2 records, and there were 1"),
        (5, "there must be at most 4 records, and there were 5"),
    ],
)
def test_too_few_or_too_many_records_fail_the_run(inspect, count, sentence):
    with pytest.raises(RunError) as caught:
        inspect(Count(min=2, max=4), list(range(count)))
    assert str(caught.value) == (
        f"checked: {sentence}; look whether the source is complete, or change min or max"
    )
    flagged = inspect(Count(min=2, max=4, action="flag"), list(range(count)))
    assert flagged.observed == {"count": count, "objections": [sentence]}


def test_count_survives_a_restart_anywhere(survives):
    survives(lambda: Count(max=5), list(range(5)))


def test_count_begins_anew_in_a_run_that_follows(inspecting, batches):
    inspected = inspecting(Count(max=2)).push(*batches([1, 2])).finish()
    inspecting(Count(max=2), inspected.inspector.snapshot()).push(*batches([3, 4])).finish()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "Count: give min or max, or both"),
        ({"min": 3, "max": 2}, "Count: min must not be greater than max, got 3 and 2"),
        ({"min": -1}, "Count.min: must not be negative, got -1"),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Count, options) == sentence
