"""Documents are read in their order, each once, wherever reading was cut off."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Decimal

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

import penstock
from penstock import ConfigError, ConnectError, MemoryStore, RunError
from penstock.testing import ListOutput
from penstock_input_mongodb import MongoInput
from penstock_input_mongodb.order import after, at_least, before
from penstock_testkit.servers.mongo_double.query import matches, order

UTC = dt.timezone.utc


def records_of(batches):
    return [record for batch in batches for record in batch.records]


def fill(place, count, **more):
    place.base.c.insert_many([{"_id": n, "a": n % 3, **more} for n in range(count)])


# ---- reading and going on ----------------------------------------------------------------------


def test_documents_come_in_the_order_of_their_ids(place):
    place.base.c.insert_many([{"_id": n, "a": n} for n in (3, 1, 2)])
    [batch] = place.batches()
    assert batch.records == [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 3}]
    assert list(batch.ordinals) == [1, 2, 3]


def test_reading_goes_on_after_every_position_that_was_given(place):
    fill(place, 50)
    batches = place.batches(batch_size=7)
    assert len(batches) == 8
    seen = 0
    for batch in batches:
        seen += len(batch.records)
        position = json.loads(json.dumps(batch.resume))
        rest = place.batches(position, batch_size=7)
        assert [one["_id"] for one in records_of(rest)] == list(range(seen, 50))
        assert not rest or rest[0].ordinals[0] == seen + 1


EVERY_KIND = [
    *(MinKey(), None, math.nan, -math.inf, -3, 2.5, Int64(2**40), Decimal128("1E+30")),
    *("", "a", "ä", {}, {"x": 1}, {"x": 1, "y": 2}, b"", b"z", uuid.UUID(int=5)),
    *(ObjectId(b"0" * 12), ObjectId(b"1" * 12), False, True),
    *(
        dt.datetime(1969, 1, 1),
        dt.datetime(2026, 1, 1),
        Timestamp(1, 2),
        Regex("^a"),
        Code("f()"),
        MaxKey(),
    ),
]
EVERY_KIND = [Binary.from_uuid(one) if isinstance(one, uuid.UUID) else one for one in EVERY_KIND]


def test_ids_of_every_kind_are_read_each_once_after_each_of_them(place):
    place.base.c.insert_many([{"_id": one, "n": n} for n, one in enumerate(EVERY_KIND)])
    batches = place.batches(batch_size=1)
    numbers = [one["n"] for one in records_of(batches)]
    assert numbers == sorted(numbers)
    assert len(numbers) == len(EVERY_KIND)
    for index, batch in enumerate(batches):
        rest = place.records(json.loads(json.dumps(batch.resume)))
        assert [one["n"] for one in rest] == numbers[index + 1 :]


def test_what_comes_after_a_value_and_before_it_is_all_of_the_rest():
    documents = [{"_id": n, "v": one} for n, one in enumerate([*EVERY_KIND, None])]
    for way in (1, -1):
        for document in documents:
            query = after([("v", way), ("_id", 1)], [document["v"], document["_id"]])
            found = {one["_id"] for one in documents if matches(one, query)}
            mine = order(document["v"])
            assert found == {
                one["_id"]
                for one in documents
                if (order(one["v"]) > mine if way > 0 else order(one["v"]) < mine)
                or (order(one["v"]) == mine and one["_id"] > document["_id"])
            }
            here, there = (
                {one["_id"] for one in documents if matches(one, query)}
                for query in (before("v", document["v"]), at_least("v", document["v"]))
            )
            assert here | there == {one["_id"] for one in documents}
            assert not here & there


def test_an_order_of_several_fields_is_kept(place):
    fill(place, 20)
    place.base.c.insert_one({"_id": 99})  # without the field: first, or last when descending
    for by, first in ((["a"], 99), (["-a"], 2), (["-a", "-_id"], 20 - 3)):
        batches = place.batches(order_by=by, batch_size=3)
        ids = [one["_id"] for one in records_of(batches)]
        assert ids[0] == first
        assert sorted(ids) == [*range(20), 99]
        for index, batch in enumerate(batches):
            rest = place.records(batch.resume, order_by=by)
            assert [one["_id"] for one in rest] == ids[3 * index + 3 :]


def test_an_order_that_was_changed_is_refused(place):
    fill(place, 3)
    [batch] = place.batches()
    with pytest.raises(RunError) as caught:
        place.batches(batch.resume, order_by=["a"])
    assert "the kept position is in the order of _id, documents are read by a, _id" in str(
        caught.value
    )


def test_a_field_that_is_a_list_has_no_place(place):
    place.base.c.insert_one({"_id": 1, "a": {"b": [1, 2]}})
    for by in ("a.b", "a.b.c"):
        with pytest.raises(RunError) as caught:
            place.records(order_by=[by])
        assert f"field {by!r} of document 1 is a list, which has no one place" in str(caught.value)


# ---- a cursor ----------------------------------------------------------------------------------


def test_a_cursor_is_a_log_that_each_run_goes_on_with(place):
    output, store = ListOutput(), MemoryStore()
    seen = []
    for new in ([(1, 10), (2, 10)], [(3, 10), (0, 11)], [], [(9, None), (8, 12)]):
        if new:
            place.base.c.insert_many([{"_id": n, "at": at} for n, at in new])
        penstock.run(place.input(cursor="at"), output, store=store)
        seen.append([one["_id"] for one in output.values])
    assert seen == [[1, 2], [3, 0], [], [8]]
    assert not place.input(cursor="at").finite
    assert place.input().finite


# ---- what is read ------------------------------------------------------------------------------


def test_values_are_plain_python(place):
    moment = dt.datetime(2026, 1, 1, 1, 1, 1, 5000, UTC)
    identity = ObjectId()
    place.base.c.insert_one(
        {
            "_id": identity,
            "exact": Decimal128("1.10"),
            "long": Int64(2**40),
            "at": moment,
            "raw": b"\x00",
            "uuid": Binary.from_uuid(uuid.UUID(int=5)),
            "other": Binary(b"x", 128),
            "deep": [{"id": identity, "n": Int64(1)}],
        }
    )
    [record] = place.records()
    assert record == {
        "_id": str(identity),
        "exact": Decimal("1.10"),
        "long": 2**40,
        "at": moment,
        "raw": b"\x00",
        "uuid": uuid.UUID(int=5),
        "other": b"x",
        "deep": [{"id": str(identity), "n": 1}],
    }
    types = {name: type(value) for name, value in record.items()}
    assert types == {
        "_id": str,
        "exact": Decimal,
        "long": int,
        "at": dt.datetime,
        "raw": bytes,
        "uuid": uuid.UUID,
        "other": bytes,
        "deep": list,
    }


def test_rare_values_are_plain_too():
    from penstock_input_mongodb.values import records_of as plain

    given = {
        "timestamp": Timestamp(1, 2),
        "pattern": Regex("^a", "i"),
        "code": Code("f()"),
        "reference": DBRef("c", 1),
        "far": bson.DatetimeMS(2**60),
        "first": MinKey(),
    }
    assert plain(bson.encode(given)) == [
        {
            "timestamp": dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
            "pattern": "^a",
            "code": "f()",
            "reference": {"collection": "c", "id": 1},
            "far": 2**60,
            "first": "MinKey()",
        }
    ]


def test_a_filter_may_name_values_that_a_file_cannot_hold(place):
    wanted = ObjectId()
    place.base.c.insert_many([{"_id": wanted, "a": 1}, {"_id": ObjectId(), "a": 5}])
    assert len(place.records(filter={"a": {"$gte": 2}})) == 1
    [found] = place.records(filter={"_id": {"$in": [{"$oid": str(wanted)}]}})
    assert found["_id"] == str(wanted)


def test_fields_are_chosen(place):
    fill(place, 3, b=1)
    assert place.records(fields=["b"]) == [{"b": 1}] * 3
    assert place.records(fields=["b", "_id"])[0] == {"b": 1, "_id": 0}
    assert place.records(fields=["b"], order_by=["a"]) == [{"b": 1}] * 3
    [batch] = place.batches(fields=["b"], order_by=["a"])
    assert place.records(batch.resume, fields=["b"], order_by=["a"]) == []


# ---- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 3, 20])
def test_parts_together_read_the_same_documents(place, parts):
    ids = [*range(7), "a", "b", None, dt.datetime(2026, 1, 1)]
    place.base.c.insert_many([{"_id": one} for one in ids])
    whole = place.records()
    found = [records_of(place.read(part)) for part in place.input().split(parts)]
    assert [one for records in found for one in records] == whole
    assert len(found) == min(parts, len(ids))


def test_a_part_is_the_whole_with_bounds_that_json_can_hold(place):
    place.base.c.insert_many([{"_id": ObjectId()} for _ in range(9)])
    whole = place.input()
    parts = whole.split(3)
    for part in parts:
        bounds = {
            name: value for name, value in vars(part).items() if vars(whole).get(name) != value
        }
        assert bounds
        assert json.loads(json.dumps(bounds)) == bounds
    assert len(parts) == 3


# ---- servers -----------------------------------------------------------------------------------


def test_a_lost_connection_is_made_again(place):
    fill(place, 50)
    place.server.fail("getMore", times=1, closeConnection=True)
    assert [one["_id"] for one in place.records(batch_size=7)] == list(range(50))
    place.server.fail("getMore", times=1, errorCode=43)  # the server has forgotten the cursor
    assert [one["_id"] for one in place.records(batch_size=7)] == list(range(50))


def test_a_connection_that_stays_lost_ends_the_run(place, monkeypatch):
    monkeypatch.setattr(penstock.Context().clock.__class__, "sleep", lambda *_: None)
    fill(place, 5)
    place.server.fail("find", times=99, errorCode=91)
    with pytest.raises(RunError, match="a fault was asked for"):
        place.records()
    place.server.heal()
    place.server.fail("find", times=1, errorCode=2)
    with pytest.raises(RunError, match="a fault was asked for"):
        place.records()


def test_a_collection_that_is_not_there_is_told(place):
    with pytest.raises(ConnectError) as caught:
        place.records()
    assert "there is no collection 'c'; the database is empty" in str(caught.value)
    place.base.orders.insert_one({})
    with pytest.raises(ConnectError, match="did you mean 'orders'"):
        place.records(collection="order")
    with pytest.raises(ConnectError, match="there are orders"):
        place.records(collection="x")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"uri": "host"}, "must begin with mongodb:// or mongodb+srv://"),
        ({"database": ""}, "give the database, here or in the uri"),
        ({"collection": ""}, "must not be empty"),
        ({"batch_size": 0}, "must be more than 0"),
        ({"cursor": "at", "order_by": ["a"]}, "give either a cursor or order_by"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, what):
    given = {"uri": "mongodb://h/", "database": "d", "collection": "c", **options}
    with pytest.raises(ConfigError) as caught:
        MongoInput(**given)
    assert what in str(caught.value)
