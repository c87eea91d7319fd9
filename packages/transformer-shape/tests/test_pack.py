import pytest

from penstock import Batch
from penstock_shape import Pack, Unpack


def test_packs_every_so_many_records_across_batches(run):
    driven = run(Pack(size=4), list(range(1, 11)))
    assert driven.rows == [
        ("in", 1, {"records": [1, 2, 3, 4]}),
        ("in", 5, {"records": [5, 6, 7, 8]}),
        ("in", 9, {"records": [9, 10]}),
    ]
    assert driven.dropped == 0


def test_one_batch_may_fill_several_packs(run):
    assert run(Pack(size=2, field="two"), [1, 2, 3, 4, 5], size=5).records == [
        {"two": [1, 2]},
        {"two": [3, 4]},
        {"two": [5]},
    ]


def test_without_a_field_the_pack_is_the_list(run):
    assert run(Pack(size=2, field=None), [1, 2, 3]).records == [[1, 2], [3]]


def test_records_of_two_sources_are_never_packed_together(drive):
    driven = drive(Pack(size=2, field=None))
    driven.push(Batch([1], "a"), Batch([10], "b"), Batch([2, 3], "a", [2, 3])).finish()
    assert driven.rows == [("a", 1, [1, 2]), ("b", 1, [10]), ("a", 3, [3])]
    assert driven.answered == 4


def test_gives_up_a_smaller_pack_when_nothing_comes(drive):
    driven = drive(Pack(size=3, field=None, wait="5s")).push(Batch([1], "a"))
    assert driven.idle(4).records == []
    assert driven.idle(1).records == [[1]]
    assert driven.idle(10).records == [[1]]


def test_waits_for_ever_unless_told(drive):
    assert drive(Pack(size=3)).push(Batch([1], "a")).idle(1e9).records == []


def test_survives_a_restart_anywhere(survives, batches, values):
    survives(lambda: Pack(size=4), batches(values, size=3))


def test_unpack_makes_a_record_of_each_element(run):
    driven = run(Unpack(), [{"records": [1, 2]}, {"records": []}, {"records": (3,)}])
    assert driven.rows == [("in", 1, 1), ("in", 1, 2), ("in", 3, 3)]
    assert driven.dropped == 1


def test_unpack_undoes_batch(run, batches, drive):
    packed = drive(Pack(size=3)).push(*batches(list(range(8)))).finish()
    assert drive(Unpack()).push(*packed.batches).records == list(range(8))


def test_unpack_takes_records_that_are_lists(run):
    assert run(Unpack(field=None), [[1, 2], [3]]).records == [1, 2, 3]


def test_unpack_carries_fields_into_the_elements(run):
    order = {"order_id": 7, "by": "ann", "items": [{"sku": "a"}, {"sku": "b"}]}
    driven = run(Unpack(field="items", carry=["order_id"]), [order])
    assert driven.records == [{"order_id": 7, "sku": "a"}, {"order_id": 7, "sku": "b"}]


@pytest.mark.parametrize(
    ("options", "record", "sentence"),
    [
        ({"field": "items"}, {"item": []}, "the record has no field 'items'; did you mean 'item'?"),
        ({"field": "items"}, {"a": 1, "b": 2}, "the record has no field 'items'; there are a, b"),
        ({"field": "items"}, {"items": "abc"}, "items: must be a list, not of type str"),
        ({"field": "items"}, "abc", "a record of type str has no fields"),
        ({"field": None}, {"a": 1}, "the record: must be a list, not of type dict"),
        (
            {"field": "items", "carry": ["id"]},
            {"id": 1, "items": [{"a": 1}, 2]},
            "items: element 2 is 2, which cannot carry fields",
        ),
        (
            {"field": "items", "carry": ["id"]},
            {"id": 1, "items": [{"id": 2}]},
            "items: element 1 has its own field 'id'",
        ),
        (
            {"field": "items", "carry": ["id"]},
            {"items": []},
            "the record has no field 'id'; there are items",
        ),
    ],
)
def test_a_record_that_cannot_be_unpacked_fails_alone(run, options, record, sentence):
    good = {"id": 5, "items": [{"x": 1}]} if options["field"] else [{"x": 1}]
    driven = run(Unpack(**options), [good, record])
    assert driven.failures == [(2, sentence)]
    assert len(driven.records) == 1


@pytest.mark.parametrize(
    ("cls", "options", "sentence"),
    [
        (Pack, {"size": 0}, "Pack.size: must be at least 1, got 0"),
        (
            Unpack,
            {"field": None, "carry": ["id"]},
            "Unpack: carry needs field, as a list has no other fields",
        ),
        (
            Unpack,
            {"field": "items", "carry": ["items"]},
            "Unpack: carry must not name the field itself, 'items'",
        ),
    ],
)
def test_wrong_options_are_explained(cls, options, sentence, refused):
    assert refused(cls, options) == sentence
