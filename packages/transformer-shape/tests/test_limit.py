from penstock_shape import Limit


def test_passes_on_the_first_records(run):
    driven = run(Limit(count=4), list("abcdefgh"))
    assert driven.rows == [("in", 1, "a"), ("in", 2, "b"), ("in", 3, "c"), ("in", 4, "d")]
    assert driven.dropped == 4


def test_leaves_out_the_offset(run):
    assert run(Limit(count=3, offset=2), list("abcdefgh")).records == ["c", "d", "e"]


def test_an_offset_beyond_the_end_leaves_nothing(run):
    assert run(Limit(count=3, offset=20), list("abc")).records == []


def test_says_when_no_further_record_matters(drive, batches):
    driven = drive(Limit(count=3, offset=1))
    first, second = batches(list("abcdef"))
    assert not driven.push(first).stage.satisfied
    assert driven.push(second).stage.satisfied
    assert driven.records == ["b", "c", "d"]


def test_a_limit_of_nothing_is_satisfied_at_once(drive):
    assert drive(Limit(count=0)).stage.satisfied


def test_a_whole_batch_passes_as_it_came(drive, batches):
    batch = batches([1, 2, 3])[0]
    assert drive(Limit(count=10)).push(batch).batches[0].records is batch.records


def test_counts_again_in_a_run_that_follows(drive, batches):
    driven = drive(Limit(count=2)).push(*batches([1, 2, 3])).finish()
    assert drive(Limit(count=2), driven.stage.snapshot()).push(*batches([4, 5, 6])).records == [
        4,
        5,
    ]


def test_survives_a_restart_anywhere(survives, batches):
    survives(lambda: Limit(count=5, offset=2), batches(list(range(12)), size=2))
