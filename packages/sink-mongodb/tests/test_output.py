"""Records become documents: what a collection holds after a run, on every kind of server."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import uuid
from decimal import Decimal
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64

import penstock
from penstock import Batch, ConfigError, ConnectError, Context, RunError
from penstock.testing import ListInput
from penstock_sink_mongodb import MongoOutput


def values_of(documents):
    return [{name: one[name] for name in one if name != "_id"} for one in documents]


def batch(*records: Any, source: str = "rows", first: int = 1) -> Batch:
    return Batch(list(records), source, range(first, first + len(records)))


# ---- which document a record becomes -----------------------------------------------------------


def test_a_record_is_the_document_of_its_place_in_the_source(place):
    assert place.write(batch({"a": 1}, {"a": 2})) == []
    assert place.documents() == [
        {"_id": "p/out/0/rows:1", "a": 1},
        {"_id": "p/out/0/rows:2", "a": 2},
    ]


def test_what_is_written_again_takes_the_place_of_what_is_there(place):
    for value in (1, 2):
        place.write(batch({"a": value}))
    assert values_of(place.documents()) == [{"a": 2}]


def test_the_next_run_adds_its_documents(place):
    for _ in range(2):
        penstock.run(ListInput(values=[{"a": 1}, {"a": 2}]), place.output(), store=store_of(place))
    assert sorted(one["a"] for one in place.documents()) == [1, 1, 2, 2]


def store_of(place):
    """One store for all runs of a test."""
    if not hasattr(place, "store"):
        place.store = penstock.MemoryStore()
    return place.store


def test_an_id_that_a_record_has_is_kept(place):
    assert place.write(batch({"_id": 7, "a": 1}, {"_id": None, "a": 2}, {"_id": 7, "a": 3})) == []
    assert place.documents() == [{"_id": 7, "a": 3}, {"_id": "p/out/0/rows:2", "a": 2}]


def test_results_of_one_record_do_not_take_each_others_place(place):
    parts = Batch([{"a": n} for n in range(4)], "rows", [1, 1, 2, 2])
    again = Batch([{"a": 9}], "rows", [2])
    assert place.write(parts, again) == []
    assert [one["_id"][8:] for one in place.documents()] == [
        *("rows:1", "rows:1.2", "rows:2", "rows:2.2", "rows:2.3")
    ]


def test_a_record_is_not_changed_by_being_written(place):
    record = {"a": Decimal(1), "b": {"c": [Decimal(2)]}}
    place.write(batch(record))
    assert record == {"a": Decimal(1), "b": {"c": [Decimal(2)]}}


# ---- upsert, replace ---------------------------------------------------------------------------


def test_upsert_replaces_the_document_with_the_same_key_and_keeps_its_id(place):
    place.base.c.insert_one({"_id": "mine", "id": 1, "old": True})
    assert (
        place.write(batch({"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 1, "a": 3}), key="id") == []
    )
    found = sorted(place.base.c.find(), key=lambda one: one["id"])
    assert found[0] == {"_id": "mine", "id": 1, "a": 3}
    assert (found[1]["id"], found[1]["a"]) == (2, 2)


def test_a_key_may_be_several_fields_and_gets_a_unique_index(place):
    rows = [{"x": n % 2, "y": n, "a": n} for n in range(4)]
    place.write(batch(*rows, *rows), mode="upsert", key=["x", "y"])
    assert len(place.documents()) == 4
    unique = [one for one in place.base.c.index_information().values() if one.get("unique")]
    assert [[name for name, _ in one["key"]] for one in unique] == [["x", "y"]]


def test_a_record_without_its_key_is_a_failure(place):
    refused = place.write(batch({"id": 1}, {"a": 2}, {"id": None}), key="id")
    assert [text for _, text in refused] == ["has no 'id', which is in the key"] * 2
    assert len(place.documents()) == 1


def test_a_key_is_compared_and_never_a_query(place):
    place.write(batch({"id": "a"}, {"id": "b"}), key="id")
    place.write(batch({"id": {"$gt": ""}}), key="id", names="keep")
    assert len(place.documents()) == 3 or place.client.server_info().get("double") is None


def test_replace_puts_the_new_documents_in_the_place_of_all_others(place):
    place.base.c.insert_many([{"_id": n} for n in range(3)])
    output = place.opened(mode="replace", indexes=["-a"])
    try:
        output.resume(None, 0)
        output.context.epoch = 1
        output.write(batch({"a": 1}))
        mark = output.prepare(1)
        if output.delivery == "transactional":
            output.commit(penstock.Checkpoint("p", "r", 1, marks={"out": mark}))
        assert len(place.documents()) == 3
        output.finish()
        output.finish()  # a run died before it could note that it was done
    finally:
        output.close()
    assert values_of(place.documents()) == [{"a": 1}]
    assert place.base.c.index_information()["a_-1"]["key"] == [("a", -1)]
    assert set(place.base.list_collection_names()) - {"penstock_checkpoints"} == {"c"}


def test_replace_by_nothing_empties_the_collection(place):
    place.base.c.insert_one({"_id": 1})
    penstock.run(ListInput(values=[]), place.output(mode="replace"))
    assert place.documents() == []


def test_a_staged_collection_that_is_gone_is_noticed(place):
    output = place.opened(mode="replace")
    try:
        output.resume({"series": 0, "highest": {}}, 1)
        with pytest.raises(RunError) as caught:
            output.write(batch({"a": 1}))
        assert "the documents that an earlier run had staged for it are gone" in str(caught.value)
        with pytest.raises(RunError, match="nothing can be added to what a finished run"):
            output.reopen(None, 1)
    finally:
        output.close()


# ---- values ------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: Decimal


ZONE = dt.timezone(dt.timedelta(hours=2))
VALUES = {
    "exact": (Decimal("1.10"), Decimal128("1.10")),
    "not a number": (Decimal("NaN"), Decimal128("NaN")),
    "large": (2**63, Decimal128("9223372036854775808")),
    "very large": ({"deep": [-(2**70)]}, {"deep": [Decimal128(str(-(2**70)))]}),
    "long": (2**40, 2**40),
    "aware": (dt.datetime(2026, 1, 1, 2, tzinfo=ZONE), dt.datetime(2026, 1, 1)),
    "naive": (dt.datetime(2026, 1, 1, 2, 3, 4, 5678), dt.datetime(2026, 1, 1, 2, 3, 4, 5000)),
    "day": (dt.date(2026, 1, 31), dt.datetime(2026, 1, 31)),
    "time": (dt.time(8, 30), "08:30:00"),
    "raw": (b"\x00\xff", b"\x00\xff"),
    "array": (bytearray(b"ab"), b"ab"),
    "uuid": (uuid.UUID(int=5), Binary.from_uuid(uuid.UUID(int=5))),
    "nested": ({"a": [1, (2, None)]}, {"a": [1, [2, None]]}),
    "set": ({3}, [3]),
    "enum": (Colour.RED, "red"),
    "dataclass": (Point(1, Decimal(2)), {"x": 1, "y": Decimal128("2")}),
    "words": ("Łódź '$x.y'", "Łódź '$x.y'"),
    "truth": (True, True),
    "nothing": (None, None),
    "infinite": (float("inf"), float("inf")),
}


def test_every_value_is_kept_as_what_it_is(place):
    assert place.write(batch({name: given for name, (given, _) in VALUES.items()})) == []
    [found] = values_of(place.documents())
    assert {k: str(v) if k == "not a number" else v for k, v in found.items()} == {
        name: str(kept) if name == "not a number" else kept for name, (_, kept) in VALUES.items()
    }
    assert type(found["long"]) in (int, Int64)
    assert type(found["truth"]) is bool


def test_a_dataclass_is_a_document(place):
    assert place.write(batch(Point(1, Decimal("0.5")))) == []
    assert values_of(place.documents()) == [{"x": 1, "y": Decimal128("0.5")}]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (7, "is no mapping but int, so it has no fields"),
        ({"a": Decimal("1." + "1" * 40)}, "'a' is a number of more than 34 digits"),
        ({"a": {"b": 10**40 + 1}}, "'a.b' is a number of more than 34 digits"),
        ({"a": object}, "cannot be a document: "),
        ({"a": "\ud800"}, "cannot be a document: "),
        ({1: "a"}, "has a field '1', whose name is no text"),
        ({"a": [{"b": b"x" * 17_000_000}]}, "bytes as a document, the server takes 16777216"),
        ({"a": "x" * 17_000_000}, "bytes as a document, the server takes 16777216 at most"),
    ],
)
def test_what_cannot_be_a_document_is_set_aside_alone(place, record, reason):
    [(refused, said)] = place.write(batch({"a": 1}, record, {"a": 3}))
    assert refused is record
    assert reason in said
    assert values_of(place.documents()) == [{"a": 1}, {"a": 3}]


# ---- names -------------------------------------------------------------------------------------

NAMES = {"$set": 1, "a.b": 2, "": 3, "n\0l": 4, "deep": {"$x": [{"c.d": 5}]}}


def test_names_that_are_no_names_are_refused(place):
    refused = place.write(*(batch({"ok": 1}, {name: v}) for name, v in NAMES.items()))
    assert [said for _, said in refused] == [
        "has a field '$set', whose name begins with '$'",
        "has a field 'a.b', whose name has a '.'",
        "has a field '', whose name is empty",
        "has a field 'n\\x00l', whose name has a NUL",
        "has a field 'deep.$x', whose name begins with '$'",
    ]


def test_names_may_be_replaced(place):
    assert place.write(batch(NAMES), names="replace") == []
    assert values_of(place.documents()) == [
        {"&set": 1, "a:b": 2, "_": 3, "n\ufffdl": 4, "deep": {"&x": [{"c:d": 5}]}}
    ]
    [(_, said)] = place.write(batch({"a.b": 1, "a:b": 2}), names="replace")
    assert said == "two fields would be named 'a:b'"


def test_names_may_be_kept_as_far_as_the_server_takes_them(replica_set):
    refused = replica_set.write(batch({"a.b": 1, "": 2, "c": {"$d": 3}}, NAMES), names="keep")
    assert [said for _, said in refused] == ["has a field '$set', whose name begins with '$'"]
    assert values_of(replica_set.documents()) == [{"a.b": 1, "": 2, "c": {"$d": 3}}]


# ---- what the server refuses -------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [False, True])
def test_exactly_the_refused_documents_are_failures(place, ordered):
    place.base.c.create_index("u", unique=True)
    place.base.c.insert_one({"_id": "there", "u": 3})
    records = [{"u": u} for u in (1, 3, 2, 1, 4, 3, 5)]
    refused = place.write(batch(*records), ordered=ordered)
    assert [record for record, _ in refused] == [records[1], records[3], records[5]]
    assert all("duplicate key" in said for _, said in refused)
    assert sorted(one["u"] for one in place.documents()) == [1, 2, 3, 4, 5]


def test_a_validator_refuses_documents(replica_set):
    replica_set.base.create_collection("c", validator={"$jsonSchema": {"required": ["q"]}})
    refused = replica_set.write(batch({"q": 1}, {"a": 2}, {"q": 3}))
    assert [record for record, _ in refused] == [{"a": 2}]
    assert values_of(replica_set.documents()) == [{"q": 1}, {"q": 3}]


def test_dead_letters_do_not_take_others_with_them(place):
    place.base.c.create_index("u", unique=True)
    report = penstock.run(ListInput(values=[{"u": n % 40} for n in range(42)]), place.output())
    assert len(place.documents()) == 40
    assert report.letters == 2


# ---- indexes -----------------------------------------------------------------------------------


def test_indexes_are_made(place):
    place.write(
        batch({"a": 1}),
        indexes=["user, -at", {"fields": ["mail"], "unique": True}],
    )
    found = place.base.c.index_information()
    assert found["user_1_at_-1"]["key"] == [("user", 1), ("at", -1)]
    assert found["mail_1"]["unique"]


def test_documents_may_expire(replica_set):
    replica_set.write(batch({"a": 1}), indexes=[{"fields": ["at"], "expire_after": "1h"}])
    assert replica_set.base.c.index_information()["at_1"]["expireAfterSeconds"] == 3600


def test_an_index_that_cannot_be_made_is_told(place):
    place.base.c.insert_many([{"id": 1}, {"id": 1}])
    with pytest.raises(ConnectError) as caught:
        place.write(batch({"id": 2}), key="id")
    assert "the index on id cannot be made: " in str(caught.value)
    assert "collection '" in str(caught.value)


# ---- options and servers -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"uri": "http://x/"}, "must begin with mongodb:// or mongodb+srv://"),
        ({"mode": "upsert"}, "mode 'upsert' needs the key"),
        ({"mode": "append", "key": "id"}, "mode 'append' takes no key; with a key it is 'upsert'"),
        ({"database": ""}, "give the database, here or in the uri"),
        ({"collection": " "}, "must not be empty"),
        ({"server_timeout": 0}, "must be more than 0"),
        ({"w": 0}, "must be 1 or more, 'majority' or a tag: unconfirmed writes may be lost"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, what):
    given = {"uri": "mongodb://h/", "database": "d", "collection": "c", **options}
    with pytest.raises(ConfigError) as caught:
        MongoOutput(**given)
    assert what in str(caught.value)


def test_delivery_is_what_the_uri_says_until_a_server_was_seen():
    def delivery(parameters, **options):
        given = {"uri": f"mongodb://h/d{parameters}", "collection": "c", **options}
        return MongoOutput(**given).delivery

    assert delivery("") == "keyed"
    assert delivery("?replicaSet=rs0") == "transactional"
    assert delivery("?replicaSet=rs0", transactions="off") == "keyed"
    assert delivery("", transactions="on") == "transactional"


def test_delivery_is_what_the_server_has(replica_set, standalone):
    for place, expected in ((replica_set, "transactional"), (standalone, "keyed")):
        output = place.opened()
        output.close()
        assert output.delivery == expected


def test_transactions_may_be_wanted(standalone):
    with pytest.raises(ConnectError) as caught:
        standalone.opened(transactions="on")
    assert "the server has no transactions; make it a replica set" in str(caught.value)


def test_a_server_that_is_not_there_is_told_without_the_password():
    output = MongoOutput(
        uri="mongodb://me:secret@127.0.0.1:9/d", collection="c", server_timeout=0.2
    )
    with pytest.raises(ConnectError) as caught:
        output.open(Context("out", pipeline="p"))
    output.close()
    text = str(caught.value)
    assert text.startswith("mongodb://127.0.0.1:9: could not be reached: ")
    assert text.endswith("; is the server there, and its address right?")
    assert "secret" not in text + repr(output)
