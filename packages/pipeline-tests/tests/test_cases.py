"""What is wrong with a test file is told as a whole, each thing with its place."""

from __future__ import annotations

import pytest

from penstock import ConfigError
from penstock_pipeline_tests.suites import open_suite

GOOD = """
inputs: {orders: {use: "shop:orders"}}
transformers: {tidy: {use: "shop:tidy"}}
outputs: {store: {use: "shop:store"}}
pipes: {orders: [orders, tidy, store]}
"""


@pytest.fixture
def told(shop):
    """The problems of a test file of a good pipeline."""

    def problems(text, name="orders.test.yaml"):
        shop.write("orders.yaml", GOOD)
        with pytest.raises(ConfigError) as raised:
            open_suite(shop.write(name, text).relative_to(shop.path))
        return str(raised.value).splitlines()

    return problems


EVERYTHING = """\
tests:
  one:
    feed: {ordres: [], orders: 5, tidy: [1]}
    fial: 3
    fail: [{node: stoer, at: 0, error: odd}, {node: store, at: open}, 7]
    replace: {tidi: {use: x}, store: {use: "shop:store", paht: x}}
    real: [tidy]
    now: yesterday
    engine: 5
    expect:
      records: {sotre: {exakt: []}, store: {each: "a +", count: -1}, tidy: 5}
      dead_letters: [{nod: tidy}, {node: tydy}]
      counts: {raed: 3, written: many, store: {recieved: 3, sent: x}, stoer: {}}
      warnings: 3
      exit: many
      status: good
  two: 5
  three: {}
  four: {feed: {orders: []}, expect: {dead_letters: none}, now: [1]}
  five: {feed: {orders: []}, replace: {orders: {use: "shop:orders"}}, real: [orders]}
  six: {feed: {orders: []}, real: [orders]}
"""

PROBLEMS = """\
orders.test.yaml:3:12: tests.one.feed.ordres: no node named 'ordres'; did you mean 'orders'?
orders.test.yaml:3:24: tests.one.feed.orders: must be a list of records, a file or an input with 'use', got 5
orders.test.yaml:4:5: tests.one.fial: no such option; did you mean 'fail'?
orders.test.yaml:5:13: tests.one.fail.0.node: no node named 'stoer'; did you mean 'store'?
orders.test.yaml:5:26: tests.one.fail.0.at: must be at least 1: records count from 1, got 0
orders.test.yaml:5:33: tests.one.fail.0.error: must be 'transient', 'data' or 'fatal', got 'odd'
orders.test.yaml:5:46: tests.one.fail.1: no record is at fault at 'open': use transient or fatal
orders.test.yaml:5:71: tests.one.fail.2: must be a mapping, got 7
orders.test.yaml:6:15: tests.one.replace.tidi: no component named 'tidi'; did you mean 'tidy'?
orders.test.yaml:6:58: tests.one.replace.store.paht: no such option; did you mean 'path'?
orders.test.yaml:7:12: tests.one.real.0: no input or output named 'tidy'; there are orders, store
orders.test.yaml:8:5: tests.one.now: must be a moment such as '2026-11-20T12:00:00Z', got 'yesterday'
orders.test.yaml:9:5: tests.one.engine: must be text, got 5; write it in quotes
orders.test.yaml:11:17: tests.one.expect.records.sotre: no node named 'sotre'; did you mean 'store'?
orders.test.yaml:11:25: tests.one.expect.records.sotre.exakt: no such option; did you mean 'exact'?
orders.test.yaml:11:45: tests.one.expect.records.store.each: each: is not an expression at column 1: invalid syntax
orders.test.yaml:11:58: tests.one.expect.records.store.count: must not be negative, got -1
orders.test.yaml:11:70: tests.one.expect.records.tidy: must be a mapping, got 5
orders.test.yaml:12:23: tests.one.expect.dead_letters.0.nod: no such option; did you mean 'node'?
orders.test.yaml:12:36: tests.one.expect.dead_letters.1.node: no node named 'tydy'; did you mean 'tidy'?
orders.test.yaml:13:16: tests.one.expect.counts.raed: is not counted; did you mean 'read'?
orders.test.yaml:13:25: tests.one.expect.counts.written: must be a whole number, got 'many'
orders.test.yaml:13:48: tests.one.expect.counts.store.recieved: is not counted; did you mean 'received'?
orders.test.yaml:13:61: tests.one.expect.counts.store.sent: must be a whole number, got 'x'
orders.test.yaml:13:71: tests.one.expect.counts.stoer: no node named 'stoer'; did you mean 'store'?
orders.test.yaml:14:7: tests.one.expect.warnings: must be a list of text, got 3
orders.test.yaml:15:7: tests.one.expect.exit: must be a whole number, got 'many'
orders.test.yaml:16:7: tests.one.expect.status: must be 'ok', 'letters', 'stopped', 'interrupted' or 'failed', got 'good'
orders.test.yaml:17:3: tests.two: must be a mapping, got 5
orders.test.yaml:17:3: tests.two: feeds nothing; give records to an input, or to another node, under 'feed'
orders.test.yaml:18:3: tests.three: feeds nothing; give records to an input, or to another node, under 'feed'
orders.test.yaml:19:39: tests.four.expect.dead_letters: must be a number or a list, got 'none'
orders.test.yaml:19:60: tests.four.now: must be a moment such as '2026-11-20T12:00:00Z', got [1]
orders.test.yaml:20:40: tests.five.replace.orders: is fed and replaced; do one of the two
orders.test.yaml:20:78: tests.five.real.0: is replaced and real; do one of the two
orders.test.yaml:21:36: tests.six.real.0: is fed and real; do one of the two
"""


def test_every_problem_is_told_at_once(told):
    assert told(EVERYTHING) == PROBLEMS.splitlines()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "tests: 5",
            "1:1: tests: must be a mapping of cases by name, got 5; give each case a name",
        ),
        (
            "tests: [{}]",
            "1:1: tests: must be a mapping of cases by name, got [{}]; give each case a name",
        ),
        (
            "description: x",
            "1:1: tests: must be a mapping of cases by name, got None; give each case a name",
        ),
        ("tests: {}\ntest: {}", "2:1: test: no such key; did you mean 'tests'?"),
        ("tests: {}\nx: 1", "2:1: x: no such key; there are pipeline, description, tests"),
        ("tests: {}\npipeline: 5", "2:1: pipeline: must be a path, got 5"),
        (
            "tests: {}\npipeline: order.yaml",
            "2:1: pipeline: no such file: 'order.yaml'; did you mean 'orders.yaml'?",
        ),
        ("tests: {}\npipeline: no/where.yaml", "2:1: pipeline: no such file: 'no/where.yaml'"),
        (
            "tests: {}\npipeline: '${NOT_SET_HERE}'",
            "2:1: pipeline: variable 'NOT_SET_HERE' is not set",
        ),
    ],
)
def test_the_file_around_the_cases(told, text, problem):
    assert told(text)[0].startswith(f"orders.test.yaml:{problem}")


def test_a_file_without_a_pipeline(told):
    assert told("tests: {}", "other.test.yaml") == [
        "other.test.yaml:1:1: pipeline: names no pipeline, and there is no other.yaml beside it; "
        "say which, as in `pipeline: orders.yaml`"
    ]


def test_what_begins_with_an_underscore_is_left_alone(shop):
    shop.write("orders.yaml", GOOD)
    text = "_shared: &one [1]\ntests:\n  _none: 5\n  one: {feed: {store: *one}}\n"
    suite = open_suite(shop.write("orders.test.yaml", text))
    assert [case.name for case in suite.cases] == ["one"]


def test_a_mistake_of_the_pipeline_is_told_once_and_at_its_place(shop):
    shop.write("orders.yaml", GOOD.replace("shop:tidy", "shop:tidi"))
    path = shop.write(
        "orders.test.yaml", "tests: {a: {feed: {orders: []}}, b: {feed: {orders: []}}}"
    )
    done = shop.penstock("test", str(path.name))
    assert done.code == 4
    [line] = done.err.splitlines()
    assert line.startswith(
        "orders.yaml:3:23: transformers.tidy.use: shop:tidi: 'shop' has no 'tidi'"
    )


@pytest.mark.parametrize("engine", ["thread", "cluster"])
def test_an_engine_that_is_not_there(shop, engine):
    shop.write("orders.yaml", GOOD)
    shop.write("orders.test.yaml", f"tests: {{a: {{feed: {{orders: []}}, engine: {engine}}}}}")
    done = shop.penstock("test")
    assert done.code == 4
    assert done.err.startswith(
        f"orders.test.yaml:1:33: tests.a.engine.use: no engine named {engine!r}"
    )


def test_yaml_toml_and_json_say_the_same(shop):
    shop.write("orders.yaml", GOOD)
    shop.write("a.test.yaml", "pipeline: orders.yaml\ntests: {a: {feed: {store: [{n: 1}]}}}\n")
    shop.write("b.test.toml", 'pipeline = "orders.yaml"\n[tests.a.feed]\nstore = [{n = 1}]\n')
    shop.write(
        "c.test.json",
        '{"pipeline": "orders.yaml", "tests": {"a": {"feed": {"store": [{"n": 1}]}}}}',
    )
    shop.write(
        "own.toml",
        """
        inputs.orders = "shop:orders"
        outputs.store = "shop:store"
        pipes.orders = ["orders", "store"]
        [tests.a]
        feed.orders = [{n = 1}]
        expect.records.store = [{n = 1}]
        """,
    )
    shop.write(
        "own.json",
        """
        {"inputs": {"orders": "shop:orders"}, "outputs": {"store": "shop:store"},
         "pipes": {"orders": ["orders", "store"]},
         "tests": {"a": {"feed": {"orders": [{"n": 1}]}, "expect": {"records": {"store": [{"n": 1}]}}}}}
        """,
    )
    done = shop.penstock("test")
    assert (done.code, done.err) == (0, "")
    assert "5 tests: 5 passed" in done.out


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("{node: store, times: 0}", "times: must be at least 1, got 0"),
        (
            "{node: store, at: soon}",
            "at: must be the number of a record, 'open' or 'finish', got 'soon'",
        ),
        ("{at: 1}", "node: is required; give where it strikes"),
        ("{node: stoer}", "node: no node named 'stoer'; did you mean 'store'?"),
    ],
)
def test_a_fault_that_means_nothing(told, fault, problem):
    [line] = told(f"tests: {{a: {{feed: {{orders: []}}, fail: {fault}}}}}")
    assert line.endswith(f": tests.a.fail.{problem}")


def test_a_mistake_in_the_pipes_is_that_of_the_pipeline(shop):
    around = GOOD.replace("[orders, tidy, store]", "[orders, tidy, tidy, store]")
    shop.write("orders.yaml", around)
    shop.write("orders.test.yaml", "tests: {a: {feed: {orders: []}}}")
    done = shop.penstock("test")
    assert done.code == 3
    assert done.err.startswith("orders.yaml:5:")
    assert "tests.a" not in done.err
