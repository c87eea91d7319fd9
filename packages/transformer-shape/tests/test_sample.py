import pytest

from penstock import Batch
from penstock_shape import Sample


def drawn(drive, ordinals, source="in", **options):
    batch = Batch(list(ordinals), source, ordinals)
    return drive(Sample(**options)).push(batch).records


def test_a_fraction_is_about_that_part(drive):
    assert 900 < len(drawn(drive, range(1, 10_001), fraction=0.1)) < 1100


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (1, 1000)])
def test_none_and_all(drive, fraction, count):
    assert len(drawn(drive, range(1, 1001), fraction=fraction)) == count


def test_a_record_is_drawn_by_its_ordinal_alone(drive):
    whole = drawn(drive, range(1, 1001), fraction=0.3)
    assert drawn(drive, range(501, 1001), fraction=0.3) == [n for n in whole if n > 500]
    assert drawn(drive, list(range(1, 1001, 3)), fraction=0.3) == [n for n in whole if n % 3 == 1]


def test_a_smaller_fraction_is_part_of_a_greater_one(drive):
    small, great = (set(drawn(drive, range(1, 1001), fraction=part)) for part in (0.1, 0.4))
    assert small < great


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": "spring"}, {"source": "other"}])
def test_another_seed_or_source_draws_another_sample(drive, other):
    first = drawn(drive, range(1, 1001), fraction=0.5)
    assert drawn(drive, range(1, 1001), fraction=0.5, **other) != first


def test_the_draw_never_changes_between_versions(drive):
    assert drawn(drive, range(1, 40), fraction=0.25, seed=7) == FIXED


FIXED = [6, 14, 24, 26, 27, 33, 35, 38]


def test_every_takes_the_first_of_each_so_many(run):
    driven = run(Sample(every=4), list(range(1, 12)))
    assert driven.records == [1, 5, 9]
    assert driven.dropped == 8


def test_every_counts_each_source_by_itself(drive):
    driven = drive(Sample(every=2))
    for source, first in (("a", 1), ("b", 1), ("a", 4), ("b", 4)):
        driven.push(Batch([0, 0, 0], source, range(first, first + 3)))
    assert [(source, ordinal) for source, ordinal, _ in driven.rows] == [
        ("a", 1), ("a", 3), ("b", 1), ("b", 3), ("a", 5), ("b", 5),
    ]  # fmt: skip


def test_survives_a_restart_anywhere(survives, batches):
    survives(lambda: Sample(every=3), batches(list(range(20)), size=4))
    survives(lambda: Sample(fraction=0.5), batches(list(range(20)), size=4))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "Sample: give either fraction or every"),
        ({"fraction": 0.5, "every": 2}, "Sample: give either fraction or every"),
        ({"fraction": 1.5}, "Sample.fraction: must be from 0 to 1, got 1.5"),
        ({"every": 0}, "Sample.every: must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_explained(options, sentence, refused):
    assert refused(Sample, options) == sentence
