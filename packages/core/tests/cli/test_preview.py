"""`penstock preview`: the records after each node, and nothing written."""

from __future__ import annotations

import json
import signal
import sys

import pytest


def lines_of(done):
    return [json.loads(line) for line in done.out.splitlines()]


def test_each_record_is_shown_after_each_node_side_by_side(cli, numbers):
    done = cli("preview", "numbers.yaml", "-n", "1")
    assert done.code == 0
    assert done.out.splitlines() == [
        "count:1",
        "count │ allowed   │ doubled │ print",
        "n: 1  │ unchanged │ n: 2    │ would be written",
    ]


def test_on_a_narrow_terminal_the_nodes_stand_below_each_other(cli, numbers, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert cli("preview", "numbers.yaml", "-n", "1").out.splitlines() == [
        "count:1",
        '  count    {"n": 1}',
        "  allowed  unchanged",
        '  doubled  {"n": 2}',
        "  print    would be written",
    ]


def test_failed_and_dropped_records_are_marked_and_go_no_further(cli, numbers):
    text = (numbers / "numbers.yaml").read_text()
    numbers.write("numbers.yaml", text.replace("functions:double", "functions:even"))
    first, second, third, _ = lines_of(cli("preview", "numbers.yaml", "--json"))
    assert first["nodes"]["doubled"] == {"outcome": "dropped", "records": []}
    assert "print" not in first["nodes"]
    assert second["nodes"]["print"]["outcome"] == "written"
    assert third["nodes"] == {
        "count": {"outcome": "passed", "records": [{"n": 3}]},
        "allowed": {"outcome": "failed", "records": [], "error": "must not be 3"},
    }
    text = cli("preview", "numbers.yaml").out
    assert "failed: must not be 3" in text
    assert "dropped" in text


def test_a_record_that_becomes_several_is_shown_as_such(cli, numbers):
    text = (numbers / "numbers.yaml").read_text()
    numbers.write("numbers.yaml", text.replace("functions:double", "functions:twice"))
    [line] = lines_of(cli("preview", "numbers.yaml", "--json", "-n", "1"))
    assert line["nodes"]["doubled"]["records"] == [{"n": 1}, {"n": 1, "again": True}]


def test_records_folded_into_others_are_merged_not_dropped(cli, functions):
    functions.write(
        "sums.py",
        """
        from penstock import Batch, Transformer, component

        @component
        class Sum(Transformer):
            total = 0

            def process(self, batch):
                self.total += sum(record["n"] for record in batch.records)
                yield Batch([], batch.source, [], consumed=len(batch), dropped=0)

            def finish(self):
                yield Batch([self.total], "count", [1], consumed=0)
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        transformers: {sum: {use: "sums:Sum"}}
        pipes: {main: [count, sum]}
        """,
    )
    first, second, _ = lines_of(cli("preview", "a.yaml", "--json"))
    assert first["nodes"]["sum"] == {"outcome": "passed", "records": [6]}
    assert second["nodes"]["sum"] == {"outcome": "merged", "records": []}


def test_a_change_made_in_place_later_does_not_show_earlier(cli, functions):
    functions.write("inplace.py", "def change(record):\n    record['n'] = 'x'\n    return record\n")
    functions.write(
        "a.yaml",
        """
        inputs: {count: {use: "functions:count"}}
        transformers: {changed: {use: "inplace:change"}}
        pipes: {main: [count, changed]}
        """,
    )
    [line] = lines_of(cli("preview", "a.yaml", "--json", "-n", "1"))
    assert line["nodes"]["count"]["records"] == [{"n": 1}]
    assert line["nodes"]["changed"]["records"] == [{"n": "x"}]


def test_values_that_json_lacks_are_told_apart_from_text(cli, functions, monkeypatch):
    functions.write(
        "exact.py",
        """
        from dataclasses import dataclass
        from datetime import date
        from decimal import Decimal

        @dataclass
        class Day:
            day: date

        def texts():
            yield {"amount": "10"}

        def exact(record):
            return {"amount": Decimal(record["amount"]), "nested": [date(2024, 2, 29), {"a": None}]}

        def typed(record):
            return Day(record["nested"][0])
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {texts: {use: "exact:texts"}}
        transformers: {exact: {use: "exact:exact"}, typed: {use: "exact:typed"}}
        pipes: {main: [texts, exact, typed]}
        """,
    )
    monkeypatch.setenv("COLUMNS", "200")
    assert cli("preview", "a.yaml").out.splitlines()[2:] == [
        'amount: "10" │ amount: 10                        │ Day(day=datetime.date(2024, 2, 29)) │ '
        "would be written",
        '             │ nested: [2024-02-29, {"a": null}] │                                     │',
    ]
    monkeypatch.setenv("COLUMNS", "60")
    assert '  exact  {"amount": 10, "nested": [2024-02-29, {"a": null}]}' in (
        cli("preview", "a.yaml").out
    )
    [line] = lines_of(cli("preview", "a.yaml", "--json"))
    assert line["nodes"]["exact"]["records"] == [
        {"amount": "10", "nested": ["2024-02-29", {"a": None}]}
    ]
    assert line["nodes"]["typed"]["records"] == ["Day(day=datetime.date(2024, 2, 29))"]


def test_nothing_is_written_opened_confirmed_or_kept(cli, functions):
    functions.write(
        "watched.py",
        """
        from penstock import Output, RecordInput, component

        @component
        class Watched(RecordInput):
            def records(self, skip):
                yield from [1, 2, 3]

            def commit(self, positions):
                raise AssertionError("confirmed")

        @component
        class Never(Output):
            def open(self, context):
                raise AssertionError("opened")

            def write(self, batch):
                raise AssertionError("written")
        """,
    )
    functions.write(
        "a.yaml",
        """
        inputs: {watched: {use: "watched:Watched"}}
        outputs: {never: {use: "watched:Never"}}
        pipes: {main: [watched, never]}
        """,
    )
    done = cli("preview", "a.yaml")
    assert (done.code, done.err) == (0, "")
    assert "would be written" in done.out
    assert not (functions / ".penstock").exists()


def test_every_input_gives_its_first_records(cli, functions):
    functions.write(
        "a.yaml",
        """
        inputs:
          left: {use: "functions:count", upto: 1000}
          right: {use: "functions:count", upto: 1000}
        pipes:
          main: [left, {mix: right}]
        """,
    )
    keys = [
        (line["source"], line["ordinal"])
        for line in lines_of(cli("preview", "a.yaml", "-n", "2", "--json"))
    ]
    assert sorted(keys) == [("left", 1), ("left", 2), ("right", 1), ("right", 2)]


def test_records_that_the_input_cannot_read_count_as_read(cli, functions):
    functions.write(
        "rows.py",
        """
        from penstock import Batch, Failure, Input, component

        @component
        class Rows(Input):
            def read(self, positions):
                failures = [Failure("b,", 2, ValueError("short"))]
                yield Batch(["a", "c", "d"], "", [1, 3, 4], 4, failures=failures)
        """,
    )
    functions.write("a.yaml", 'inputs: {rows: {use: "rows:Rows"}}\npipes: {main: [rows]}\n')
    lines = lines_of(cli("preview", "a.yaml", "-n", "3", "--json"))
    assert sorted(line["ordinal"] for line in lines) == [1, 2, 3]
    assert "failed: ValueError: short" in cli("preview", "a.yaml", "-n", "3").out


def test_one_node_with_what_enters_it(cli, numbers):
    [line] = lines_of(cli("preview", "numbers.yaml", "-n", "1", "--node", "allowed", "--json"))
    assert list(line["nodes"]) == ["count", "allowed"]
    done = cli("preview", "numbers.yaml", "--node", "alowed")
    assert done.code == 2
    assert done.err == "penstock preview: no node named 'alowed'; did you mean 'allowed'?\n"
    assert "there are count, allowed," in cli("preview", "numbers.yaml", "--node", "zzz").err


@pytest.mark.parametrize("count", ["0", "-1", "x"])
def test_the_number_of_records_must_be_one(cli, numbers, count):
    done = cli("preview", "numbers.yaml", f"-n={count}")
    assert done.code == 2
    assert f"must be a whole number from 1, got {count!r}" in done.err


def test_a_failing_node_shows_what_there_is_and_ends_with_1(cli, numbers):
    text = (numbers / "numbers.yaml").read_text()
    numbers.write("numbers.yaml", text.replace("not_three", 'not_three", on_error: "stop'))
    done = cli("preview", "numbers.yaml")
    assert done.code == 1
    assert "count:3" in done.out
    assert done.err == "allowed at count:3: must not be 3; on_error is 'stop'\n"


def test_no_records(cli, numbers):
    assert cli("preview", "numbers.yaml", "--set", "count.upto=0").out == "no records\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_shows_what_has_come(folder):
    folder.write(
        "live.py",
        """
        from penstock import Batch, Input, component

        @component
        class Live(Input):
            def read(self, positions):
                yield Batch(["first"], "", [1], 1)
                print("waiting", flush=True)
                while True:
                    yield None
        """,
    )
    folder.write("a.yaml", 'inputs: {live: {use: "live:Live"}}\npipes: {main: [live]}\n')
    process = folder.begin("preview", "a.yaml", "--json")
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out = process.stdout.read()
    for stream in (process.stdout, process.stderr):
        stream.close()
    assert process.wait(30) == 130
    assert json.loads(out)["nodes"]["live"]["records"] == ["first"]
