"""What is declared in a file and what is made in Python give the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock import ConfigError, Input, PluginError, component, load_pipeline, option, run
from penstock.options import secrets_of
from penstock.testing import ListInput, ListOutput
from penstock_streams import JoinInput, On, Window, With, field, pipe
from penstock_streams import join as joined

ORDERS = [{"id": n, "t": n * 7 % 100 + n} for n in range(0, 60, 2)]
PAYMENTS = [{"order": n // 2, "amount": n} for n in range(0, 90, 3)]

FILE: dict[str, Any] = {
    "inputs": {
        "paid": {
            "use": "join",
            "inputs": {
                "orders": {"use": "reading:rows", "path": "orders.json"},
                "payments": {"use": "reading:rows", "path": "payments.json"},
                "before": {"use": "reading:rows", "path": "payments.json"},
            },
            "on": {
                "payments": {"left": "id + 2", "right": "order", "kind": "left"},
                "before": {"left": "id", "right": "order", "match": "asof", "tolerance": 5},
            },
        }
    },
    "transformers": {
        "window": {
            "use": "window",
            "kind": "hopping",
            "time": "id * 2",
            "size": "20s",
            "every": 10,
            "aggregate": {"n": "count()", "most": "max(before_amount)"},
        }
    },
    "outputs": {"out": {"use": "reading:Out"}},
    "pipes": {"main": ["paid", "window", "out"]},
}

READING = """
import json
from penstock import Output

def rows(path):
    with open(path) as file:
        yield from json.load(file)

class Out(Output):
    written = []

    def write(self, batch):
        self.written.extend(batch.records)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.json").write_text(json.dumps(ORDERS))
    (tmp_path / "payments.json").write_text(json.dumps(PAYMENTS))
    (tmp_path / "reading.py").write_text(READING)
    (tmp_path / "pipeline.json").write_text(json.dumps(FILE))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_file_and_python_give_the_same(folder):
    import sys

    sys.modules.pop("reading", None)
    pipeline = load_pipeline(folder / "pipeline.json")
    assert run(folder / "pipeline.json").ok
    out = ListOutput()
    join = JoinInput(
        inputs={
            "orders": ListInput(values=ORDERS),
            "payments": ListInput(values=PAYMENTS),
            "before": ListInput(values=PAYMENTS),
        },
        on={
            "payments": On(left=field("id") + 2, right="order", kind="left"),
            "before": On(left="id", right="order", match="asof", tolerance=5),
        },
    )
    window = Window(
        kind="hopping",
        time=field("id") * 2,
        size=20,
        every=10,
        aggregate={"n": "count()", "most": ("max", field("before_amount"))},
    )
    run(join, window, out)
    written = sys.modules["reading"].Out.written
    assert written == out.values
    assert len(written) > 5
    assert pipeline.warnings == []


TWICE = field("id") * 2


@pytest.mark.parametrize(
    ("declared", "made"),
    [
        ({"time": "id * 2", "size": "20s"}, {"time": TWICE, "size": 20}),
        (
            {"kind": "hopping", "time": "id * 2", "size": "20s", "every": 10},
            {"kind": "hopping", "time": TWICE, "size": 20, "every": 10},
        ),
        (
            {"kind": "sliding", "time": "id", "size": "4s"},
            {"kind": "sliding", "time": "id", "size": 4},
        ),
        (
            {"kind": "session", "time": "t", "gap": "3s", "lateness": "1m"},
            {"kind": "session", "time": "t", "gap": 3, "lateness": 60},
        ),
        ({"kind": "count", "size": 4}, {"kind": "count", "size": 4}),
        ({"kind": "change", "key": "id // 10"}, {"kind": "change", "key": field("id") // 10}),
        (
            {"time": "t", "size": "10s", "give": "late"},
            {"time": field("t"), "size": 10, "give": "late"},
        ),
    ],
    ids=["tumbling", "hopping", "sliding", "session", "count", "change", "late"],
)
def test_every_kind_of_window_is_the_same_in_a_file_and_in_python(folder, declared, made):
    import sys

    aggregate = {"n": "count()", "total": "sum(id)"}
    file = json.loads(json.dumps(FILE))
    file["inputs"] = {"orders": {"use": "reading:rows", "path": "orders.json"}}
    window = {"use": "window", "kind": "tumbling", **declared, "aggregate": aggregate}
    file["transformers"]["window"] = window
    file["pipes"] = {"main": ["orders", "window", "out"]}
    (folder / "windows.json").write_text(json.dumps(file))
    sys.modules.pop("reading", None)
    assert run(folder / "windows.json").ok
    out = ListOutput()
    options = {"kind": "tumbling", **made, "aggregate": {"n": "count()", "total": ("sum", "id")}}
    assert run(ListInput(values=ORDERS), Window(**options), out).ok
    assert sys.modules["reading"].Out.written == out.values
    assert len(out.values) > 2


def test_an_outer_join_is_the_same_in_a_file_and_in_python(folder):
    import sys

    file = json.loads(json.dumps(FILE))
    join = file["inputs"]["paid"]
    join["shape"] = "nested"
    del join["inputs"]["before"], join["on"]["before"]
    join["on"]["payments"] = {"left": "id", "right": "order * 3", "kind": "outer"}
    file["pipes"] = {"main": ["paid", "out"]}
    (folder / "outer.json").write_text(json.dumps(file))
    sys.modules.pop("reading", None)
    assert run(folder / "outer.json").ok
    out = ListOutput()
    outer = JoinInput(
        inputs={"orders": ListInput(values=ORDERS), "payments": ListInput(values=PAYMENTS)},
        on={"payments": On(left="id", right=field("order") * 3, kind="outer")},
        shape="nested",
    )
    assert run(outer, out).ok
    assert sys.modules["reading"].Out.written == out.values
    assert [one for one in out.values if one["orders"] is None]
    assert [one for one in out.values if not one["payments"]]


def test_parts_are_streams_of_a_broker_as_well(folder):
    bus = {"use": "file", "path": "bus"}
    (folder / "collect.json").write_text(
        json.dumps(
            {
                "brokers": {"bus": bus},
                "inputs": {"o": {"use": "reading:rows", "path": "orders.json"}},
                "outputs": {
                    "s": {"use": "stream", "broker": "bus", "stream": "o", "end_of_stream": True}
                },
                "pipes": {"p": ["o", "s"]},
            }
        )
    )
    assert run(folder / "collect.json").ok
    stream = {"use": "stream", "broker": bus, "stream": "o"}
    (folder / "join.json").write_text(
        json.dumps(
            {
                "inputs": {
                    "j": {
                        "use": "join",
                        "inputs": {"now": stream, "later": stream},
                        "on": {"later": {"left": "id + 10", "right": "id"}},
                    }
                },
                "outputs": {"out": {"use": "reading:Out"}},
                "pipes": {"p": ["j", "out"]},
            }
        )
    )
    report = run(folder / "join.json")
    assert report.balance.written == 25
    assert run(folder / "join.json").balance.written == 0  # a log goes on where it was


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (5, ": must be a mapping with 'use', got 5"),
        ({"use": "jsom"}, ".use: no input named 'jsom'"),
        ({"use": "reading:rows", "pth": "x"}, ".pth: no such option; did you mean 'path'?"),
        (
            {"use": "stream", "broker": "bus", "stream": "o"},
            ".broker: no broker named 'bus'; declare it under brokers",
        ),
        (
            {"use": "stream", "broker": {"path": "b"}, "stream": "o"},
            ".broker: has no 'use'; say what it is, as in `use: csv`",
        ),
        (
            {"use": "stream", "broker": {"use": "file", "path": "b"}, "stream": "o", "strt": 1},
            ".strt: no such option; did you mean 'start'?",
        ),
        (
            {"use": "reading:rows", "path": "orders.json", "on_error": "skip"},
            ": 'orders' has 'on_error' of its own, which a part of another input cannot have; leave "
            "it out, or give it to the input that this is a part of",
        ),
    ],
)
def test_a_part_that_is_wrong_is_named_with_its_place(folder, part, message):
    file = json.loads(json.dumps(FILE))
    file["inputs"]["paid"]["inputs"]["orders"] = part
    (folder / "wrong.json").write_text(json.dumps(file))
    with pytest.raises((ConfigError, PluginError)) as caught:
        load_pipeline(folder / "wrong.json")
    lines = str(caught.value).splitlines()
    assert any(f"inputs.paid.inputs.orders{message}" in line for line in lines)
    assert all("inputs.paid.inputs.orders" in line for line in lines)


def by_name() -> dict[str, Any]:
    """The same file, with the parts of the join declared under `inputs`."""
    file: dict[str, Any] = json.loads(json.dumps(FILE))
    parts = file["inputs"]["paid"]["inputs"]
    file["inputs"] |= {"orders": parts["orders"], "payments": parts["payments"]}
    file["inputs"]["paid"]["inputs"] = {
        "orders": "orders",
        "payments": "payments",
        "before": "payments",
    }
    return file


def test_parts_by_name_give_the_same_as_parts_in_place(folder):
    import sys

    given = []
    for name, file in {"in_place": FILE, "by_name": by_name()}.items():
        (folder / f"{name}.json").write_text(json.dumps(file))
        sys.modules.pop("reading", None)
        pipeline = load_pipeline(folder / f"{name}.json")
        assert pipeline.warnings == []
        assert pipeline.run().ok
        given.append(sys.modules["reading"].Out.written)
        again = load_pipeline(folder / f"{name}.json")
        assert again.made["paid"].config_hash == pipeline.made["paid"].config_hash
    assert given[0] == given[1]
    assert len(given[0]) > 5


def test_a_part_is_a_join_by_name_and_an_input_in_a_pipe_as_well(folder):
    import sys

    file = by_name()
    twice = {
        "use": "join",
        "inputs": {"paid": "paid", "orders": "orders"},
        "on": {"orders": {"left": "id", "right": "id"}},
    }
    file["inputs"] = {"twice": twice, **file["inputs"]}
    file["pipes"] = {"main": ["twice", "out"], "plain": ["orders", "out"]}
    del file["transformers"]
    (folder / "deep.json").write_text(json.dumps(file))
    sys.modules.pop("reading", None)
    pipeline = load_pipeline(folder / "deep.json")
    assert pipeline.warnings == []
    assert pipeline.run().ok
    written = sys.modules["reading"].Out.written
    assert len([one for one in written if "order" in one]) == 25
    assert [one for one in written if "order" not in one] == ORDERS
    first = pipeline.made["twice"].component()
    assert first.inputs["paid"] is not pipeline.made["twice"].component().inputs["paid"]


def test_what_no_pipe_leads_to_is_still_said(folder):
    file = by_name()
    file["inputs"]["other"] = file["inputs"]["paid"]
    file["inputs"]["left"] = file["inputs"]["orders"]
    (folder / "more.json").write_text(json.dumps(file))
    warnings = load_pipeline(folder / "more.json").warnings
    assert warnings == ["other stands in no pipe", "left stands in no pipe"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("ordrs", "no input named 'ordrs'; did you mean 'orders'?"),
        (
            "nothing_like_it",
            "no input named 'nothing_like_it'; declare it under inputs, or in its ",
        ),
        ("window", "must be an input, 'window' is a transformer; name one that is declared under"),
        ("out", "must be an input, 'out' is an output; name one that is declared under inputs"),
        ("paid", "goes round in a circle: paid -> paid; an input cannot be made of itself"),
        ("second", "goes round in a circle: paid -> second -> paid; an input cannot be made of it"),
        (
            "eager",
            "'eager' has 'retry' of its own, which a part of another input cannot have; leave",
        ),
    ],
)
def test_a_name_that_is_no_part_is_refused_where_it_stands(folder, part, message):
    file = by_name()
    file["inputs"]["paid"]["inputs"]["orders"] = part
    rows = file["inputs"]["orders"]
    file["inputs"]["second"] = {
        "use": "join",
        "inputs": {"orders": "orders", "paid": "paid"},
        "on": {"paid": {"left": "id", "right": "id"}},
    }
    file["inputs"]["eager"] = {**rows, "retry": 3}
    if part != "second":
        del file["inputs"]["second"]
    text = json.dumps(file, indent=1)
    (folder / "wrong.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_pipeline(folder / "wrong.json")
    place = "second.inputs.paid" if part == "second" else "paid.inputs.orders"
    number = text.splitlines().index(f'    "orders": "{part}",') + 1
    found = str(caught.value)
    assert f"inputs.{place}: {message}" in found
    assert part == "second" or f"wrong.json:{number}:5: inputs.{place}" in found
    assert len(found.splitlines()) == 1


def test_an_output_may_not_overwrite_what_a_part_reads(folder):
    (folder / "orders.csv").write_text("id\n1\n")
    part = {"use": "csv", "path": "orders.csv"}
    file = {
        "inputs": {
            "two": {
                "use": "join",
                "inputs": {"a": part, "b": "b"},
                "on": {"b": {"left": "id", "right": "id"}},
            },
            "b": part,
        },
        "outputs": {"out": {"use": "json", "path": "orders.csv"}},
        "pipes": {"main": ["two", "out"]},
    }
    (folder / "over.json").write_text(json.dumps(file))
    with pytest.raises(ConfigError, match="is also read by input"):
        load_pipeline(folder / "over.json")


def test_graph_requires_and_schema_see_the_parts(folder, capsys):
    from penstock.cli import main

    file = by_name()
    parts = file["inputs"]["paid"]["inputs"]
    parts["before"] = {"use": "stream", "broker": {"use": "file", "path": "bus"}, "stream": "o"}
    file["inputs"]["payments"] = {"use": "csv", "path": "payments.csv"}
    (folder / "seen.json").write_text(json.dumps(file))
    assert main(["graph", str(folder / "seen.json")]) == 0
    drawn = capsys.readouterr().out
    assert drawn.startswith("paid: input join (of orders, payments, before: stream)")
    assert main(["graph", str(folder / "seen.json"), "--json"]) == 0
    node = json.loads(capsys.readouterr().out)["nodes"][0]
    assert node["parts"] == {"orders": "orders", "payments": "payments", "before": "stream"}
    assert main(["requires", str(folder / "seen.json")]) == 0
    needed = capsys.readouterr().out
    assert "penstock-broker-file" in needed
    assert "penstock-input-csv" in needed
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    option = schema["definitions"]["input.join"]["properties"]["inputs"]
    assert {"$ref": "#/definitions/input"} in option["additionalProperties"]["anyOf"]
    import jsonschema

    jsonschema.validate(file, schema)


def test_requires_sees_parts_by_kind_and_no_names(folder, capsys):
    from penstock.cli import main

    file = by_name()
    file["inputs"]["paid"]["inputs"] = {"orders": "csv", "payments": "payments"}
    del file["inputs"]["paid"]["on"]["before"]
    (folder / "kinds.json").write_text(json.dumps(file))
    assert main(["requires", str(folder / "kinds.json")]) == 0
    assert "penstock-input-csv" in capsys.readouterr().out


def test_the_password_of_a_part_is_a_secret_of_the_join():
    class Plain(ListInput):
        pass

    @component
    class Guarded(Input):
        """Keeps a password."""

        password: str = option(help="Not to be shown.", secret=True)

        def read(self, positions):
            return iter(())

    made = JoinInput(
        inputs={"a": Guarded(password="of a part"), "b": Plain()},
        on={"b": On(left="id", right="id")},
    )
    assert secrets_of(made) == {"of a part"}


def test_a_plugin_beside_the_file_gives_parts_too(folder):
    (folder / "plugins.py").write_text(
        "from penstock import hookimpl\n\n\n@hookimpl\ndef penstock_inputs():\n"
        "    return {'numbers': 'numbering:Numbers'}\n"
    )
    (folder / "numbering.py").write_text(
        "from penstock import RecordInput\n\n\nclass Numbers(RecordInput):\n"
        "    def records(self, skip):\n        yield from [{'id': n} for n in range(skip, 9)]\n"
    )
    file = json.loads(json.dumps(FILE))
    file["inputs"]["paid"]["inputs"]["orders"] = "numbers"
    (folder / "beside.json").write_text(json.dumps(file))
    load_pipeline(folder / "beside.json")


def test_without_a_file_the_parts_are_inputs():
    with pytest.raises(ConfigError) as caught:
        JoinInput(inputs={"a": {"use": "csv"}, "b": ListInput()}, on={})
    assert str(caught.value).startswith("JoinInput.inputs: a is no input, got {'use': 'csv'}")


def test_a_function_in_a_file_is_the_same_as_in_python(folder):
    import sys

    (folder / "adding.py").write_text(
        "from collections.abc import Mapping\n"
        "from dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Order:\n    id: int\n\n\n"
        "@dataclass\nclass Payment:\n    order: int\n    amount: int\n\n\n"
        "def paid(order: Order, payments: Mapping[Order, list[Payment]]) -> dict[str, int]:\n"
        "    return {'id': order.id, 'paid': sum(one.amount for one in payments[order])}\n"
    )
    file = json.loads(json.dumps(FILE))
    join = file["inputs"]["paid"]
    join["shape"] = "nested"
    del join["inputs"]["before"], join["on"]["before"]
    call = {"use": "call", "function": "adding:paid", "names": {"order": "orders"}}
    file["transformers"] = {"window": call}
    (folder / "called.json").write_text(json.dumps(file))
    sys.modules.pop("reading", None)
    first, again = (load_pipeline(folder / "called.json") for _ in range(2))
    for name in ("paid", "window"):
        assert first.made[name].config_hash == again.made[name].config_hash
    assert first.run().ok
    written = sys.modules["reading"].Out.written

    adding = sys.modules["adding"]
    out = ListOutput()
    inputs = {
        adding.Order: ListInput(values=ORDERS),
        adding.Payment: ListInput(values=PAYMENTS),
    }
    with_payment = With(adding.Payment, left=field("id") + 2, right="order", kind="left")
    run([*pipe(adding.paid, inputs, join=joined(adding.Order, with_payment)), out])
    assert out.values == written
    assert sum(one["paid"] for one in written) > 0
