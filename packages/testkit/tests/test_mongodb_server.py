"""The double of MongoDB answers as its clients expect, and loses nothing when it is killed."""

from __future__ import annotations

import datetime as dt
import signal

import pytest
from bson import Decimal128, Int64, ObjectId
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure

from penstock_testkit.servers import MongoDB, running
from penstock_testkit.servers.mongo_double.query import order


@pytest.fixture
def mongo(mongodb_server):
    with mongodb_server.database() as name, mongodb_server.client() as client:
        yield client[name]


def test_every_value_comes_back(mongo):
    value = {
        "_id": ObjectId(),
        "exact": Decimal128("1.10"),
        "raw": b"\x00\xff",
        "at": dt.datetime(2026, 1, 1, 1, 1, 1, 5000),
        "large": Int64(2**40),
        "nested": {"list": [1, {"a": None}], "truth": True},
    }
    mongo.c.insert_one(value)
    assert mongo.c.find_one() == value


def test_a_query_compares_values_of_one_kind_only(mongo):
    values = [None, 1, 2.5, Decimal128("7"), "a", {"x": 1}, b"z", True, dt.datetime(2026, 1, 1)]
    mongo.c.insert_many([{"_id": n, "v": value} for n, value in enumerate(values)])
    assert [one["_id"] for one in mongo.c.find({"v": {"$gt": 2}})] == [2, 3]
    assert [one["_id"] for one in mongo.c.find({"v": {"$type": ["number", "bool"]}})] == [
        1,
        2,
        3,
        7,
    ]
    assert [one["_id"] for one in mongo.c.find().sort("v", -1)] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert [one["_id"] for one in mongo.c.find({"$or": [{"v": None}, {"v": {"$in": ["a"]}}]})] == [
        0,
        4,
    ]


def test_a_large_result_comes_in_parts(mongo):
    mongo.c.insert_many([{"_id": n} for n in range(1000)])
    assert [one["_id"] for one in mongo.c.find(batch_size=70)] == list(range(1000))
    assert mongo.c.count_documents({"_id": {"$gte": 990}}) == 10


def test_unordered_writes_go_on_after_one_that_is_refused_and_ordered_ones_stop(mongo):
    writes = [InsertOne({"_id": 1}), InsertOne({"_id": 1}), InsertOne({"_id": 2})]
    for ordered, count in ((True, 1), (False, 2)):
        with pytest.raises(BulkWriteError) as caught:
            mongo[f"c{ordered}"].bulk_write(writes, ordered=ordered)
        assert [one["index"] for one in caught.value.details["writeErrors"]] == [1]
        assert caught.value.details["nInserted"] == count
        assert mongo[f"c{ordered}"].count_documents({}) == count


def test_a_unique_index_holds_also_inside_a_transaction(mongo):
    mongo.c.create_index("k", unique=True)
    mongo.c.insert_one({"_id": 1, "k": 1})
    with mongo.client.start_session() as session, session.start_transaction():
        mongo.c.bulk_write([ReplaceOne({"k": 2}, {"k": 2}, upsert=True)] * 2, session=session)
    assert mongo.c.count_documents({}) == 2
    with mongo.client.start_session() as session:
        session.start_transaction()
        with pytest.raises(BulkWriteError):
            mongo.c.bulk_write([InsertOne({"k": 3}), InsertOne({"k": 1})], session=session)
        with pytest.raises(OperationFailure, match="Transaction was aborted"):
            session.commit_transaction()  # the error has ended it
    assert mongo.c.count_documents({}) == 2


def test_a_transaction_is_seen_when_it_is_committed_and_not_before(mongo):
    with mongo.client.start_session() as session:
        session.start_transaction()
        mongo.c.insert_one({"_id": 1}, session=session)
        assert mongo.c.count_documents({}) == 0
        assert mongo.c.find_one({}, session=session) == {"_id": 1}
        session.commit_transaction()
    assert mongo.c.count_documents({}) == 1
    with mongo.client.start_session() as session:
        session.start_transaction()
        mongo.c.update_one({"_id": 1}, {"$set": {"a": 1}}, session=session)
        session.abort_transaction()
    assert mongo.c.find_one() == {"_id": 1}


def test_of_two_transactions_that_write_the_same_document_one_is_refused(mongo):
    mongo.c.insert_one({"_id": 1})
    with mongo.client.start_session() as one, mongo.client.start_session() as two:
        one.start_transaction()
        two.start_transaction()
        mongo.c.update_one({"_id": 1}, {"$set": {"a": 1}}, session=one)
        with pytest.raises(OperationFailure) as caught:
            mongo.c.update_one({"_id": 1}, {"$set": {"a": 2}}, session=two)
        assert caught.value.has_error_label("TransientTransactionError")
        one.commit_transaction()
    assert mongo.c.find_one() == {"_id": 1, "a": 1}


def test_a_write_whose_answer_is_lost_is_done_once(mongodb_server, mongo):
    mongo.c.insert_one({"_id": 1, "n": 0})
    mongodb_server.fail("update", doneFirst=True, closeConnection=True)
    mongo.c.update_one({"_id": 1}, {"$inc": {"n": 1}})  # the client tries again by itself
    assert mongo.c.find_one() == {"_id": 1, "n": 1}


def test_what_was_acknowledged_outlives_a_kill_and_an_open_transaction_does_not():
    with running(MongoDB) as server:
        server.own()
        with server.client() as client:
            client.d.c.create_index("k", unique=True)
            client.d.c.insert_many([{"_id": n, "k": n} for n in range(10)])
            client.d.c.delete_one({"_id": 3})
            session = client.start_session()
            session.start_transaction()
            client.d.c.insert_one({"_id": 99, "k": 99}, session=session)
            server.stop(signal.SIGKILL)
            server.start()
            with pytest.raises((AutoReconnect, OperationFailure)):
                session.commit_transaction()
            assert [one["_id"] for one in client.d.c.find()] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
            with pytest.raises(DuplicateKeyError):
                client.d.c.insert_one({"k": 5})


def test_a_log_that_was_cut_in_the_middle_of_a_change_is_read_up_to_it(tmp_path):
    from penstock_testkit.servers.mongo_double.store import Store

    log = tmp_path / "log"
    store = Store(log)
    for number in (1, 2):
        store.keep([{"in": "d.c", "id": {"v": number}, "document": {"_id": number}}])
    log.write_bytes(log.read_bytes()[:-3])
    assert list(Store(log).collections["d.c"].documents.values()) == [{"_id": 1}]


def test_a_standalone_server_has_no_transactions(mongodb_standalone):
    with mongodb_standalone.client() as client, client.start_session() as session:
        assert "setName" not in client.admin.command("hello")
        session.start_transaction()
        with pytest.raises(OperationFailure, match="only allowed on a replica set"):
            client.d.c.update_one({"_id": 1}, {"$set": {"a": 1}}, session=session)


def test_collections_are_made_renamed_and_checked(mongo):
    mongo.create_collection("c", validator={"$jsonSchema": {"required": ["q"]}})
    with pytest.raises(OperationFailure, match="failed validation"):
        mongo.c.insert_one({})
    mongo.c.insert_one({"_id": 1, "q": 1})
    mongo.d.insert_one({"_id": 2})
    mongo.c.rename("d", dropTarget=True)
    assert mongo.list_collection_names() == ["d"]
    assert list(mongo.d.find()) == [{"_id": 1, "q": 1}]
    mongo.d.bulk_write([UpdateOne({"_id": 1}, {"$unset": {"q": 1}, "$set": {"q": 2}})])


def test_numbers_that_are_equal_are_one_key():
    assert order(1) == order(1.0) == order(Decimal128("1.0"))
    assert order(float("nan")) < order(-(10**9)) < order("")


def test_one_that_is_there_is_used_cleaned_up_and_goes_on(mongodb_server, monkeypatch):
    monkeypatch.setenv("PENSTOCK_TEST_MONGODB_URI", mongodb_server.url())
    with running(MongoDB) as there, there.database() as name, there.client() as client:
        client[name].c.insert_one({"_id": 1})
    with mongodb_server.client() as client:
        assert client[name].list_collection_names() == []


def test_one_that_is_there_is_used_and_left_alone(monkeypatch):
    monkeypatch.setenv("PENSTOCK_TEST_MONGODB_URI", "mongodb://there/")
    server = MongoDB()
    for step in (server.make, server.start, server.stop, server.remove):
        step()
    assert server.url() == "mongodb://there/"
    with pytest.raises(pytest.skip.Exception, match="needs faults"):
        server.own()
