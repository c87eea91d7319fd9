"""A shop whose pipeline is made of functions, and ways to test it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from penstock.cli import main
from penstock_pipeline_tests.suites import Result, open_suite

SHOP = '''
"""The parts of the shop's pipeline."""

import random

from penstock import RecordError, TransientError, Transformer


def orders():
    raise RuntimeError("the real orders were read")
    yield


def complete(order):
    if "amount" not in order:
        raise RecordError("there is no amount")


def tidy(order):
    return {**order, "amount": float(order["amount"])} if order["amount"] != "0" else None


def halves(order):
    for part in (1, 2):
        yield {**order, "part": part}


def store(order, path: str = "stored"):
    with open(path, "a") as file:
        file.write(f"{order}\\n")


def chance(order):
    return {**order, "chance": random.random()}


class Stamped(Transformer):
    def transform(self, order):
        return {**order, "at": self.context.clock.now()}


class Together(Transformer):
    """Works on whole batches."""

    def process(self, batch):
        yield batch
'''

ORDERS = """
inputs:
  orders: {use: "shop:orders"}
inspectors:
  complete: {use: "shop:complete"}
transformers:
  tidy: {use: "shop:tidy"}
outputs:
  store: {use: "shop:store"}
pipes:
  orders: [orders, complete, tidy, store]
"""


@dataclass
class Done:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shop:
    """The folder of the shop."""

    path: Path
    capsys: pytest.CaptureFixture[str]
    engine: str | None = None

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def case(self, pipeline: str = ORDERS, name: str = "orders", **case: Any) -> Result:
        """Run one case."""
        if pipeline:
            self.write(f"{name}.yaml", pipeline)
        self.write(f"{name}.test.json", json.dumps({"tests": {"it": case}}))
        suite = open_suite(Path(f"{name}.test.json"), engine=self.engine)
        return suite.run(suite.stages[0])

    def complaints(self, pipeline: str = ORDERS, **case: Any) -> list[str]:
        return self.case(pipeline, **case).complaints

    def penstock(self, *arguments: str) -> Done:
        self.capsys.readouterr()
        code = main(arguments)
        return Done(code, *self.capsys.readouterr())


@pytest.fixture
def shop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shop]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PENSTOCK_DISABLE", raising=False)
    made = Shop(tmp_path, capsys)
    made.write("shop.py", SHOP)
    yield made
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(params=["inline", "threads"])
def any_shop(shop: Shop, request: pytest.FixtureRequest) -> Shop:
    """The shop on every engine of the kernel."""
    shop.engine = request.param
    return shop


@pytest.fixture
def orders() -> Callable[..., list[dict[str, Any]]]:
    """`orders("1", "2")`: orders of these amounts, numbered from 1."""

    def make(*amounts: str) -> list[dict[str, Any]]:
        return [{"id": number, "amount": amount} for number, amount in enumerate(amounts, 1)]

    return make
