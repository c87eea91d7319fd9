"""What is declared in a file and what is made in Python give the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock import ConfigError, load_pipeline, run
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
        (5, "orders: must be a mapping with 'use', got 5"),
        ({"use": "jsom"}, "orders: no input named 'jsom'"),
        ({"use": "reading:rows", "pth": "x"}, "orders: pth: no such option; did you mean 'path'?"),
        (
            {"use": "stream", "broker": "bus", "stream": "o"},
            "orders: broker: must be a mapping with 'use', got 'bus'; declare it here, not by name",
        ),
        (
            {"use": "stream", "broker": {"use": "file", "path": "b"}, "stram": "o"},
            "orders: stram: no such option; did you mean 'stream'?",
        ),
    ],
)
def test_a_part_that_is_wrong_is_named_with_its_place(folder, part, message):
    file = json.loads(json.dumps(FILE))
    file["inputs"]["paid"]["inputs"]["orders"] = part
    (folder / "wrong.json").write_text(json.dumps(file))
    with pytest.raises(ConfigError) as caught:
        load_pipeline(folder / "wrong.json")
    assert f"inputs.paid.inputs: {message}" in str(caught.value)


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
