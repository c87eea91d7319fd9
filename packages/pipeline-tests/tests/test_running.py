"""A case runs the real pipeline, and touches nothing outside."""

from __future__ import annotations

import pytest

from penstock import ConfigError, PluginError

BRANCHES = """
inputs:
  orders: {use: "shop:orders"}
  late: {use: "shop:orders"}
transformers:
  tidy: {use: "shop:tidy"}
  halves: {use: "shop:halves"}
outputs:
  store: {use: "shop:store"}
  parts: {use: "shop:store", path: parts}
pipes:
  orders: [orders, late, tidy, store]
  parts: [tidy, halves, parts]
"""


def test_what_is_fed_comes_out_where_it_should(any_shop, orders):
    result = any_shop.case(
        feed={"orders": orders("1.5", "0", "3")},
        expect={"records": {"store": [{"id": 1, "amount": 1.5}, {"id": 3, "amount": 3.0}]}},
    )
    assert result.complaints == []
    assert sorted(path.name for path in any_shop.path.glob("*[!c_]")) == [
        "orders.test.json",
        "orders.yaml",
        "shop.py",
    ], "neither output nor state is left"


def test_the_same_case_fails_when_one_record_is_another(any_shop, orders):
    complaints = any_shop.complaints(
        feed={"orders": orders("1.5", "0", "3")},
        expect={"records": {"store": [{"id": 1, "amount": 1.5}, {"id": 3, "amount": 4.0}]}},
    )
    assert complaints == ["store, record 2, amount: expected 4.0, got 3.0"]


def test_a_node_in_mid_pipe_is_fed_without_what_stands_before_it(any_shop, orders):
    """`complete` never sees the order without an amount, and the input is not read."""
    any_shop.write("orders.yaml", "")
    result = any_shop.case(
        feed={"store": [{"id": 1}]},
        expect={"records": {"store": [{"id": 1}], "tidy": []}, "counts": {"read": 1}},
    )
    assert result.complaints == []
    assert [node.name for node in result.outcome.report.nodes] == ["feed of store", "store"]


def test_a_case_may_look_at_every_node(any_shop, orders):
    complaints = any_shop.complaints(
        BRANCHES,
        feed={"orders": orders("1"), "late": orders("2")},
        expect={
            "records": {
                "tidy": {"unordered": [{"id": 1, "amount": 1.0}, {"id": 1, "amount": 2.0}]},
                "parts": {"count": 4, "contains": [{"part": 1, "amount": 1.0}, {"part": 2}]},
                "late": [{"id": 1, "amount": "2"}],
            },
            "counts": {"read": 2, "copied": 2, "added": 2, "halves": {"received": 2, "sent": 4}},
        },
    )
    assert complaints == []


def test_a_stage_in_several_pipes_is_one_name_for_several_nodes(any_shop, orders):
    shared = BRANCHES.replace("[tidy, halves, parts]", "[late, tidy, halves, parts]")
    shared = shared.replace("[orders, late, tidy, store]", "[orders, tidy, store]")
    complaints = any_shop.complaints(
        shared,
        feed={"orders": orders("1"), "late": orders("2", "3")},
        expect={
            "records": {"tidy": {"count": 3}, "tidy@parts": {"count": 2}},
            "counts": {"tidy": {"sent": 3}, "tidy@orders": {"sent": 1}},
        },
    )
    assert complaints == []


def test_a_fixture_may_be_a_file_that_an_input_reads(shop):
    shop.write("fixtures/orders.csv", "id,amount\n1,2\n")
    expect = {"records": {"store": [{"id": "1", "amount": 2.0}]}}
    assert shop.complaints(feed={"orders": "fixtures/orders.csv"}, expect=expect) == []
    fixture = {"use": "csv", "path": "fixtures/orders.csv"}
    assert shop.complaints(feed={"orders": fixture}, expect=expect) == []
    assert shop.complaints(feed={"tidy": fixture}, expect=expect) == []


def test_paths_start_at_the_file_that_the_case_stands_in(shop):
    shop.write("orders.yaml", ORDERS_IN_FOLDER)
    shop.write("tests/orders.csv", "id,amount\n1,2\n")
    shop.write(
        "tests/some.test.yaml",
        """
        pipeline: ../orders.yaml
        tests:
          one:
            feed: {orders: orders.csv}
            expect: {records: {store: [{id: "1", amount: 2.0}]}}
        """,
    )
    done = shop.penstock("test")
    assert (done.code, done.err) == (0, "")


ORDERS_IN_FOLDER = """
inputs: {orders: {use: "shop:orders"}}
transformers: {tidy: {use: "shop:tidy"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, tidy, store]}
"""


def test_a_component_is_replaced_by_its_name(shop, orders):
    shop.write("fakes.py", "def same(order):\n    return order\n")
    complaints = shop.complaints(
        feed={"orders": orders("1", "0")},
        replace={"tidy": {"use": "fakes:same"}},
        expect={"records": {"store": orders("1", "0")}},
    )
    assert complaints == []


def test_a_replaced_output_is_used_and_looked_at(shop, orders):
    result = shop.case(
        feed={"orders": orders("1")},
        replace={"store": {"use": "shop:store", "path": "elsewhere"}},
        expect={"records": {"store": [{"id": 1, "amount": 1.0}]}},
    )
    assert result.complaints == []
    assert (shop.path / "elsewhere").read_text() == "{'id': 1, 'amount': 1.0}\n"


def test_what_is_real_reads_and_writes(shop, orders):
    result = shop.case(
        feed={"orders": orders("1")},
        real=["store"],
        expect={"records": {"store": {"count": 1}}},
    )
    assert result.complaints == []
    assert (shop.path / "stored").exists()
    assert shop.complaints(real=["orders"], expect={"error": "the real orders were read"}) == []


def test_what_is_captured_or_fed_need_neither_be_installed_nor_have_its_variables(shop, orders):
    pipeline = """
    inputs: {orders: {use: warehouse, password: "${NOT_SET_HERE}"}}
    brokers: {bus: {use: kafka, bootstrap: "${NOT_SET_HERE}"}}
    transformers: {tidy: {use: "shop:tidy"}}
    outputs: {store: {use: stream, broker: bus, stream: "${NOT_SET_HERE}"}}
    pipes: {orders: [orders, tidy, store]}
    engine: {use: cluster, url: "${NOT_SET_HERE}"}
    """
    case = {"feed": {"orders": orders("1")}, "expect": {"records": {"store": {"count": 1}}}}
    assert shop.complaints(pipeline, **case) == []
    with pytest.raises(ConfigError, match="NOT_SET_HERE"):
        shop.complaints(pipeline, **case, real=["store"])
    set_ = pipeline.replace("${NOT_SET_HERE}", "set")
    with pytest.raises(PluginError, match="no input named 'warehouse'"):
        shop.complaints(set_, real=["orders"])


@pytest.mark.timeout(20)
def test_of_a_log_that_never_ends_what_it_has_now_is_read(any_shop):
    any_shop.write("logs.py", LOG)
    pipeline = ORDERS_IN_FOLDER.replace("shop:orders", "logs:Log")
    case = {"real": ["orders"], "expect": {"records": {"store": {"count": 2}}}}
    assert any_shop.complaints(pipeline, **case) == []


LOG = """
from penstock import Batch, Input

class Log(Input):
    finite = False

    def read(self, positions):
        yield Batch([{"amount": "1"}, {"amount": "2"}], "", None, 2)
        while True:
            yield None
"""


def test_variables_come_from_the_case(shop, orders):
    pipeline = """
    inputs: {orders: {use: "shop:orders"}}
    transformers: {tidy: {use: "shop:${HOW}"}}
    outputs: {store: {use: "shop:store"}}
    pipes: {orders: [orders, tidy, store]}
    """
    case = {"feed": {"orders": orders("1")}, "expect": {"records": {"store": {"count": 2}}}}
    assert shop.complaints(pipeline, **case, environment={"HOW": "halves"}) == []
    with pytest.raises(ConfigError, match="variable 'HOW' is not set"):
        shop.complaints(pipeline, **case)


@pytest.mark.parametrize(
    "now", ["2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00", "2026-11-20T12:00:00", 1795176000]
)
def test_the_clock_stands_still(any_shop, now):
    stamped = ORDERS_IN_FOLDER.replace("shop:tidy", "shop:Stamped")
    complaints = any_shop.complaints(
        stamped,
        feed={"orders": [{}, {}]},
        now=now,
        expect={"records": {"store": [{"at": 1795176000.0}, {"at": 1795176000.0}]}},
    )
    assert complaints == []


def test_a_date_of_a_yaml_file_is_its_midnight(shop):
    shop.write("orders.yaml", ORDERS_IN_FOLDER.replace("shop:tidy", "shop:Stamped"))
    shop.write(
        "orders.test.yaml",
        """
        tests:
          one:
            now: 2026-11-20
            feed: {orders: [{}]}
            expect: {records: {store: [{at: 1795132800.0}]}}
        """,
    )
    assert shop.penstock("test").code == 0


def test_values_that_a_file_lacks_are_tagged(shop):
    tagged = {
        "price": {"$decimal": "1.50"},
        "day": {"$date": "2026-11-20"},
        "deep": [{"$bytes": "00"}],
    }
    complaints = shop.complaints(
        feed={"store": [tagged]},
        expect={
            "records": {
                "store": [{"price": "1.50", "day": "2026-11-20", "deep": [{"$bytes": "00"}]}]
            }
        },
    )
    assert complaints == []


def test_a_pipe_that_ends_without_an_output_prints_nothing(shop, orders):
    printing = ORDERS_IN_FOLDER.replace("tidy, store]", "tidy]")
    shop.capsys.readouterr()
    result = shop.case(
        printing, feed={"orders": orders("1")}, expect={"records": {"print": {"count": 1}}}
    )
    assert result.complaints == []
    assert shop.capsys.readouterr().out == ""


def test_nothing_is_carried_from_one_case_to_the_next(shop, orders):
    shop.write("orders.yaml", ORDERS_IN_FOLDER)
    shop.write(
        "orders.test.yaml",
        """
        tests:
          one: {feed: {orders: [{id: 1, amount: "1"}]}, expect: {records: {store: {count: 1}, tidy: {count: 1}}}}
          two: {feed: {orders: [{id: 1, amount: "1"}]}, expect: {records: {store: {count: 1}, tidy: {count: 1}}}}
        """,
    )
    assert shop.penstock("test").code == 0


def test_plugins_beside_the_pipeline_take_part(shop):
    shop.write("plugins.py", PLUGIN)
    shop.write("orders.yaml", ORDERS_IN_FOLDER.replace('"shop:tidy"', "louder"))
    (shop.path / "plugins.py").chmod(0o600)
    complaints = shop.complaints(
        "", feed={"orders": [{"id": 1}]}, expect={"records": {"store": [{"id": 1, "loud": True}]}}
    )
    assert complaints == []


PLUGIN = """
from penstock import Transformer, hookimpl

class Louder(Transformer):
    def transform(self, record):
        return {**record, "loud": True}

@hookimpl
def penstock_transformers():
    return {"louder": Louder}
"""
