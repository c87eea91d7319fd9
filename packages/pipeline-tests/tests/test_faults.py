"""A fault strikes as something real would."""

from __future__ import annotations

import pytest

TOGETHER = """
inputs: {orders: {use: "shop:orders"}}
transformers: {tidy: {use: "shop:Together"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, tidy, store]}
"""

SECOND = {"node": "orders", "at": 2}


@pytest.mark.parametrize("node", ["orders", "complete", "tidy", "store"])
def test_a_record_at_fault_is_set_aside_and_the_others_go_on(any_shop, orders, node):
    complaints = any_shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={"node": node, "at": 2, "message": "it is torn"},
        expect={
            "records": {"store": [{"id": 1, "amount": 1.0}, {"id": 3, "amount": 3.0}]},
            "dead_letters": [
                {"node": node, "error": "it is torn", "ordinal": 2, "source": "orders"}
            ],
            "exit": 6,
        },
    )
    assert complaints == []


def test_of_a_stage_that_works_on_batches_too(any_shop, orders):
    complaints = any_shop.complaints(
        TOGETHER,
        feed={"orders": orders("1", "2", "3")},
        fail={"node": "tidy", "at": 2},
        expect={"records": {"store": {"count": 2}}, "dead_letters": [{"record": {"id": 2}}]},
    )
    assert complaints == []


def test_on_error_decides_what_becomes_of_it(shop, orders):
    skipping = TOGETHER.replace('"shop:Together"', '"shop:Together", on_error: skip')
    case = {"feed": {"orders": orders("1", "2")}, "fail": {"node": "tidy", "at": 2}}
    assert shop.complaints(skipping, **case, expect={"counts": {"skipped": 1, "dead": 0}}) == []
    stopping = skipping.replace("skip", "stop")
    assert shop.complaints(stopping, **case, expect={"status": "failed"}) == []
    assert shop.complaints(stopping, **case)[0].startswith("the run failed: tidy at orders:2")


@pytest.mark.parametrize("node", ["complete", "tidy", "store"])
def test_what_is_over_soon_is_got_past_by_trying_again(any_shop, orders, node):
    complaints = any_shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={"node": node, "at": 2, "error": "transient", "times": 3},
        expect={
            "records": {"store": {"count": 3}},
            "counts": {"read": 3, "written": 3},
            "warnings": [],
        },
    )
    assert complaints == []


@pytest.mark.parametrize("node", ["complete", "tidy"])
def test_a_record_that_fails_too_often_is_set_aside(shop, orders, node):
    complaints = shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={"node": node, "at": 2, "error": "transient", "times": 5},
        expect={"records": {"store": {"count": 2}}, "dead_letters": [{"node": node}]},
    )
    assert complaints == []


def test_a_run_starts_again_where_trying_again_did_not_help(any_shop, orders):
    """As `penstock run` does; what was not committed is taken back and not written twice."""
    complaints = any_shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={"node": "store", "at": 2, "error": "transient", "times": 7},
        expect={
            "records": {"store": {"count": 3}, "tidy": {"count": 3}},
            "warnings": ["started again after"],
            "status": "ok",
        },
    )
    assert complaints == []


def test_an_input_that_is_away_for_a_moment_is_read_again(any_shop, orders):
    complaints = any_shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={**SECOND, "error": "transient"},
        expect={"records": {"store": {"count": 3}}, "warnings": ["started again after"]},
    )
    assert complaints == []


def test_a_run_that_never_gets_past_it_fails(shop, orders):
    complaints = shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail={**SECOND, "error": "transient", "times": 100},
        expect={"status": "failed", "exit": 1, "error": "injected by the test"},
    )
    assert complaints == []


@pytest.mark.parametrize("node", ["orders", "complete", "tidy", "store"])
def test_what_is_fatal_ends_the_run(any_shop, orders, node):
    case = {
        "feed": {"orders": orders("1", "2", "3")},
        "fail": {"node": node, "at": 2, "error": "fatal", "message": "the disk is gone"},
    }
    expect = {"status": "failed", "error": "the disk is gone", "exit": 1}
    assert any_shop.complaints(**case, expect=expect) == []
    assert any_shop.complaints(**case) == [f"the run failed: {node}: the disk is gone"]


@pytest.mark.parametrize("at", ["open", "finish"])
@pytest.mark.parametrize("node", ["tidy", "store"])
def test_it_may_strike_before_or_after_all_records(shop, orders, at, node):
    case = {"feed": {"orders": orders("1")}, "expect": {"status": "failed"}}
    assert shop.complaints(**case, fail={"node": node, "at": at, "error": "fatal"}) == []
    assert shop.complaints(**case) == ["status: expected failed, got ok"]


def test_a_generator_is_struck_too(shop, orders):
    halves = TOGETHER.replace("Together", "halves")
    complaints = shop.complaints(
        halves,
        feed={"orders": orders("1", "2")},
        fail={"node": "tidy", "at": 2},
        expect={"records": {"store": {"count": 2}}, "dead_letters": 1},
    )
    assert complaints == []


def test_several_faults_strike_one_after_the_other(shop, orders):
    complaints = shop.complaints(
        feed={"orders": orders("1", "2", "3")},
        fail=[{"node": "complete", "at": 1}, {"node": "store", "at": 2}],
        expect={
            "dead_letters": [{"node": "complete", "ordinal": 1}, {"node": "store", "ordinal": 3}]
        },
    )
    assert complaints == []


@pytest.mark.parametrize("error", ["data", "transient", "fatal"])
def test_a_fault_that_never_strikes_is_a_mistake_of_the_case(shop, orders, error):
    case = {"feed": {"orders": orders("1", "2")}}
    fault = {"node": "store", "at": 3, "error": error}
    assert shop.complaints(**case, fail=fault) == ["fault at store, record 3: it never struck"]
    fault = {"node": "complete", "at": "open", "error": "fatal"}
    assert shop.complaints(feed={"store": [1]}, fail=fault) == [
        "fault at complete, open: it never struck"
    ]
