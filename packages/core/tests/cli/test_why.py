"""`penstock why`: one record followed through a pipeline."""

from __future__ import annotations

import pytest


@pytest.fixture
def orders(functions):
    """Five orders: one fails, one is dropped, one becomes two, one changes."""
    functions.write(
        "steps.py",
        """
        from penstock import RecordError

        def orders():
            for number in range(1, 6):
                yield {"id": f"A{number}", "n": number}

        def tidy(record):
            if record["n"] == 2:
                raise RecordError("n must not be 2")
            return {**record, "n": record["n"] * 10, "new": True} if record["n"] > 3 else record

        def big(record):
            return record if record["n"] != 3 else None

        def split(record):
            yield record
            if record["n"] == 50:
                yield {"id": "A5b", "n": 51}

        def keep(record):
            pass
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {orders: {use: "steps:orders"}}
        transformers:
          tidy: {use: "steps:tidy"}
          big: {use: "steps:big"}
          split: {use: "steps:split"}
        outputs: {kept: {use: "steps:keep"}}
        pipes: {main: [orders, tidy, big, split, kept]}
        """,
    )
    return functions


def test_a_record_that_would_be_written(cli, orders):
    done = cli("why", "a.yaml", "--record", "orders:4")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "orders:4",
        '  orders  {"id": "A4", "n": 4}',
        "  tidy    n: 4 → 40, + new: true",
        "  big     unchanged",
        "  split   unchanged",
        "  kept    would be written",
        "",
        "no run has kept anything yet",
    ]
    assert not (orders / ".penstock").exists()


def test_a_record_that_was_written(cli, orders):
    cli("run", "a.yaml", "-q")
    lines = cli("why", "a.yaml", "--record", "orders:1").out.splitlines()
    assert lines[-2:] == ["  kept    was written", ""]


def test_a_record_that_was_dropped(cli, orders):
    lines = cli("why", "a.yaml", "--record", "orders:3").out.splitlines()
    assert lines[3] == "  big     dropped"
    assert not any("kept" in line for line in lines[4:-1])


def test_a_record_that_failed(cli, orders):
    cli("run", "a.yaml", "-q")
    done = cli("why", "a.yaml", "--record", "orders:2@tidy")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[2] == "  tidy    failed: n must not be 2"
    assert lines[4].startswith("set aside at tidy on 20")
    assert lines[4].endswith(": n must not be 2")


def test_a_record_that_stops_the_run(cli, orders):
    text = (orders / "a.yaml").read_text()
    orders.write("a.yaml", text.replace('steps:tidy"', 'steps:tidy", on_error: stop'))
    done = cli("why", "a.yaml", "--record", "orders:2")
    assert (done.code, done.err) == (1, "tidy at orders:2: n must not be 2; on_error is 'stop'\n")


def test_a_record_that_becomes_several(cli, orders):
    lines = cli("why", "a.yaml", "--record", "orders:5").out.splitlines()
    assert lines[4:6] == [
        '  split   {"id": "A5", "n": 50, "new": true}',
        '          {"id": "A5b", "n": 51}',
    ]


def test_the_record_behind_one_that_is_written(cli, orders):
    assert cli("why", "a.yaml", "--output", "id=A5b").out.startswith("orders:5\n")
    assert cli("why", "a.yaml", "--output", "n=40").out.startswith("orders:4\n")


def test_no_such_record(cli, orders):
    done = cli("why", "a.yaml", "--record", "orders:6")
    assert (done.code, done.out) == (2, "")
    assert done.err == "orders: no record orders:6; the last one is orders:5\n"
    done = cli("why", "a.yaml", "--record", "order:6")
    assert (done.code, done.err) == (2, "record: no input named 'order'; there are orders\n")
    done = cli("why", "a.yaml", "--output", "id=A3")
    assert (done.code, done.err) == (
        2,
        "penstock why: no record with id=A3 comes to an output; `penstock preview` shows what "
        "does\n",
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--record", "orders"], "must be as orders:17, got 'orders'"),
        (["--record", "orders:0"], "must be as orders:17, got 'orders:0'"),
        (["--output", "id"], "must be as id=4711, got 'id'"),
        ([], "one of the arguments --record --output is required"),
    ],
)
def test_which_record_must_be_said_well(cli, orders, arguments, says):
    done = cli("why", "a.yaml", *arguments)
    assert done.code == 2
    assert says in done.err


def test_json(cli, orders):
    cli("run", "a.yaml", "-q")
    done = cli("why", "a.yaml", "--record", "orders:2", "--json")
    assert done.code == 0
    assert done.json["run_id"]
    assert {**done.json, "run_id": ""} == {
        "source": "orders",
        "ordinal": 2,
        "nodes": {
            "orders": {"outcome": "passed", "records": [{"id": "A2", "n": 2}]},
            "tidy": {"outcome": "failed", "records": [], "error": "n must not be 2"},
        },
        "replayed": "this record alone",
        "read": True,
        "run_id": "",
        "pipeline_changed": False,
        "letters": [{"id": "orders:2@tidy", "message": "n must not be 2", "attempts": 1}],
    }


def test_what_runs_know_of_it(cli, orders):
    cli("run", "a.yaml", "-q", "--max-records", "2")
    out = cli("why", "a.yaml", "--record", "orders:5").out
    assert "has not come as far" in out.splitlines()[-1]
    cli("run", "a.yaml", "-q")
    text = (orders / "a.yaml").read_text()
    orders.write("a.yaml", text.replace("steps:big", "functions:even"))
    out = cli("why", "a.yaml", "--record", "orders:5").out
    assert out.splitlines()[-1].startswith("the pipeline has changed since run ")
    assert "would be written" in out


def test_only_the_record_itself_is_replayed_unless_a_stage_keeps_something(cli, orders):
    orders.write(
        "first.py",
        """
        from penstock import Transformer, component

        @component
        class First(Transformer):
            def open(self, context):
                self.seen = set()

            def transform(self, record):
                with open("seen.txt", "a") as file:
                    file.write(record["id"] + " ")
                known = record["id"][:1] in self.seen
                self.seen.add(record["id"][:1])
                return None if known else record

            def snapshot(self):
                return sorted(self.seen)

            def restore(self, state):
                self.seen = set(state)
        """,
    )
    text = (orders / "a.yaml").read_text()
    orders.write("a.yaml", text.replace("steps:split", "first:First"))
    lines = cli("why", "a.yaml", "--record", "orders:4").out.splitlines()
    assert (orders / "seen.txt").read_text() == "A1 A4 "  # 2 failed, 3 was dropped, 5 comes later
    assert lines[4] == "  split   dropped"
    assert lines[-1] == (
        "split keeps something between records, so everything up to this one was replayed"
    )
    orders.write("a.yaml", text)
    steps = (orders / "steps.py").read_text()
    log = 'def big(record):\n    open("seen.txt", "a").write("big ")'
    orders.write("steps.py", steps.replace("def big(record):", log))
    assert orders.penstock("why", "a.yaml", "--record", "orders:4", PYTHONWARNINGS="").code == 0
    assert (orders / "seen.txt").read_text() == "A1 A4 big "


def test_a_record_made_of_several_has_none_behind_it(cli, orders):
    orders.write(
        "sums.py",
        """
        from penstock import Batch, Stage, component

        @component
        class Sum(Stage):
            total = 0

            def process(self, batch):
                self.total += sum(record["n"] for record in batch.records)
                yield Batch([], batch.source, [], consumed=len(batch), dropped=0)

            def finish(self):
                yield Batch([{"total": self.total}], "sum", [1], consumed=0)
        """,
    )
    text = (orders / "a.yaml").read_text()
    orders.write("a.yaml", text.replace("steps:split", "sums:Sum"))
    done = cli("why", "a.yaml", "--output", "total=91")
    assert (done.code, done.err) == (
        2,
        "penstock why: sum made the record with total=91 out of several; name one of them with "
        "--record\n",
    )
    lines = cli("why", "a.yaml", "--record", "orders:4").out.splitlines()
    assert lines[4] == "  split   merged into another record"


def test_a_log_is_replayed_as_far_as_it_goes_now(cli, orders):
    orders.write(
        "live.py",
        """
        from penstock import Batch, Input, component

        @component
        class Live(Input):
            finite = False

            def read(self, positions):
                yield None if positions else Batch([{"id": "L1", "n": 4}], "live/0", [1], 1)
                yield Batch([{"id": "L2", "n": 4}], "live/1", [1], 1)
                while True:
                    yield None
        """,
    )
    text = (orders / "a.yaml").read_text()
    orders.write(
        "a.yaml",
        text.replace('orders: {use: "steps:orders"}', 'live: {use: "live:Live"}').replace(
            "[orders,", "[live,"
        ),
    )
    lines = cli("why", "a.yaml", "--record", "live/1:1").out.splitlines()
    assert lines[1] == '  live   {"id": "L2", "n": 4}'
    done = cli("why", "a.yaml", "--record", "live/1:2")
    assert (done.code, done.err) == (2, "live: no record live/1:2; the last one is live/1:1\n")
    assert cli("why", "a.yaml", "--output", "id=L2").out.startswith("live/1:1\n")
    assert cli("why", "a.yaml", "--output", "id=L3").code == 2
