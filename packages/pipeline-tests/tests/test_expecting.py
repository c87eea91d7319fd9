"""What a case expects is all that it accepts."""

from __future__ import annotations

import pytest


@pytest.fixture
def told(shop, orders):
    """`told(expect, amounts…)`: the complaints about orders of these amounts, of which one fails."""

    def complaints(expect, *amounts):
        feed = orders(*(amounts or ("1", "0", "2")))
        return shop.complaints(feed={"orders": [*feed, {"id": 9}]}, expect=expect)

    return complaints


FAILED = 'complete at orders:4: there is no amount: {"id": 9}'


def test_a_case_that_expects_nothing_must_end_well(shop, orders, told):
    assert shop.complaints(feed={"orders": orders("1")}) == []
    assert told({}) == [f"dead letter that nothing expects: {FAILED}"]


def test_records_in_any_order(told):
    two = [{"id": 3, "amount": 2.0}, {"id": 1, "amount": 1.0}]
    assert told({"records": {"store": {"unordered": two}}, "dead_letters": 1}) == []
    assert told({"records": {"store": {"exact": two}}, "dead_letters": 1}) != []
    assert told({"records": {"store": {"unordered": two[:1]}}, "dead_letters": 1}) == [
        'store, record 1: got and not expected: {"id": 1, "amount": 1.0}'
    ]
    wrong = [{"id": 3, "amount": 5.0}, {"id": 1, "amount": 1.0}, {"id": 7, "amount": 7.0}]
    assert told({"records": {"store": {"unordered": wrong}}, "dead_letters": 1}) == [
        "store, record 2, amount: expected 5.0, got 2.0",
        'store, record: expected and missing: {"id": 7, "amount": 7.0}',
    ]


def test_records_that_are_among_others(told):
    def store(*contains):
        return told({"records": {"store": {"contains": contains}}, "dead_letters": 1})

    assert store({"amount": 2.0}) == []
    assert store() == []
    assert store({"id": 3, "amount": 1.0}) == ["store, record 2, amount: expected 1.0, got 2.0"]
    assert store({"id": 3}, {"id": 3}) == ['store, record: expected and missing: {"id": 3}']
    assert store(5) == ["store, record: expected and missing: 5"]
    assert store({"id": 5}) == ['store, record: expected and missing: {"id": 5}']


def test_records_by_expression(told):
    def store(each):
        return told({"records": {"store": {"each": each}}, "dead_letters": 1})

    assert store("amount > 0") == []
    assert store(["amount > 0", "id < 3"]) == [
        'store, record 2: id < 3: is not true: {"id": 3, "amount": 2.0}'
    ]
    [first, _] = store("price > 0")
    assert first.startswith("store, record 1: price > 0: the record has no field 'price'")


def test_an_expression_of_a_record_without_fields(shop):
    complaints = shop.complaints(
        feed={"store": [5]}, expect={"records": {"store": {"each": "amount > 0"}}}
    )
    assert complaints == ["store, record 1: amount > 0: the record has no fields: 5"]


def test_the_number_of_records(told):
    assert told({"records": {"store": {"count": 2}}, "dead_letters": 1}) == []
    assert told({"records": {"store": {"count": 3}}, "dead_letters": 1}) == [
        "store, count: expected 3, got 2"
    ]


def test_dead_letters(told):
    whole = {
        "node": "complete",
        "error": "no amount",
        "record": {"id": 9},
        "source": "orders",
        "ordinal": 4,
    }
    assert told({"dead_letters": [whole]}) == []
    assert told({"dead_letters": [{}]}) == []
    assert told({"dead_letters": [{"error": "RecordError"}]}) == []
    for key, value in {
        "node": "tidy",
        "error": "torn",
        "record": {"id": 8},
        "source": "x",
        "ordinal": 3,
    }.items():
        missing, unexpected = told({"dead_letters": [{key: value}]})
        assert missing.startswith("dead letter 1: expected and missing: {")
        assert unexpected == f"dead letter that nothing expects: {FAILED}"


def test_the_number_of_dead_letters(told):
    assert told({"dead_letters": 1}) == []
    assert told({"dead_letters": 0}) == [
        "dead letters: expected 0, got 1",
        f"dead letter: {FAILED}",
    ]
    assert told({"dead_letters": []}) == [f"dead letter that nothing expects: {FAILED}"]


def test_counts(told):
    counts = {"read": 4, "written": 2, "filtered": 1, "dead": 1, "tidy": {"received": 3, "sent": 2}}
    assert told({"counts": counts, "dead_letters": 1}) == []
    assert told({"counts": {"written": 3, "tidy": {"filtered": 5}}, "dead_letters": 1}) == [
        "written: expected 3, got 2",
        "tidy, filtered: expected 5, got 1",
    ]


def test_the_exit_code_and_the_status(told):
    assert told({"exit": 6}) == []
    assert told({"status": "letters"}) == []
    assert told({"exit": 0}) == ["exit: expected 0, got 6"]
    assert told({"status": "ok"}) == ["status: expected ok, got letters"]
    assert told({"error": "torn", "dead_letters": 1}) == [
        'error: expected one with "torn", got none'
    ]


def test_warnings(shop, orders):
    unused = """
    inputs: {orders: {use: "shop:orders"}}
    outputs: {store: {use: "shop:store"}, other: {use: "shop:store", path: other}}
    pipes: {orders: [orders, store]}
    """
    feed = {"orders": orders("1")}
    assert (
        shop.complaints(unused, feed=feed, expect={"warnings": ["other stands in no pipe"]}) == []
    )
    assert shop.complaints(unused, feed=feed) == []
    assert shop.complaints(unused, feed=feed, expect={"warnings": []}) == [
        'warning that nothing expects: "other stands in no pipe"'
    ]
    assert shop.complaints(feed=feed, expect={"warnings": ["x"]}) == [
        'warning: expected and missing: "x"'
    ]


def test_only_so_many_differences_are_shown(shop, orders):
    feed = [{"id": number, "amount": "1"} for number in range(100)]
    complaints = shop.complaints(feed={"orders": feed}, expect={"records": {"store": []}})
    assert len(complaints) == 21
    assert complaints[-1] == "store: … and more"
