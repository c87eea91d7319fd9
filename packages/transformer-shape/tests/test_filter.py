import pytest

from penstock import Batch, Rows
from penstock_shape import Filter


def test_passes_on_the_records_for_which_it_holds(run):
    driven = run(Filter(where="qty >= 2"), [{"qty": one} for one in (1, 2, 3, 0)])
    assert driven.rows == [("in", 2, {"qty": 2}), ("in", 3, {"qty": 3})]
    assert driven.dropped == 2


def test_a_record_it_cannot_be_said_of_fails_alone(run):
    driven = run(Filter(where="qty >= 2"), [{"qty": 5}, {"qty": "5"}, {"n": 1}, 7, {"qty": 6}])
    assert driven.records == [{"qty": 5}, {"qty": 6}]
    assert driven.failures == [
        (
            2,
            (
                "where: '>=' not supported between instances of 'str' and 'int', with qty='5'; "
                "is 'qty' meant to be a number?"
            ),
        ),
        (3, "where: the record has no field 'qty'; there are n"),
        (4, "a record of type int has no fields"),
    ]


def test_rows_of_a_table_are_records_too(drive):
    batch = Batch(Rows(("a", "b"), [[1, 2], [3, 4]]), "in")
    assert drive(Filter(where="a > 1")).push(batch).records == [{"a": 3, "b": 4}]


def test_needs_no_state(survives, batches):
    survives(lambda: Filter(where="n % 2 == 0"), batches([{"n": n} for n in range(10)]))


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("qty >", "syntax"),
        ("open('x')", "unknown function 'open'"),
        ("a.b", "a dot after a value cannot be used"),
    ],
)
def test_a_wrong_expression_is_explained(refused, where, part):
    sentence = refused(Filter, {"where": where})
    assert sentence.startswith("Filter.where: ")
    assert part in sentence
