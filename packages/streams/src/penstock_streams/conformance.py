"""The rules that `penstock certify` holds this package to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from penstock import Input, Stage
from penstock_streams.calls import Call
from penstock_streams.joins import JoinInput, On
from penstock_streams.window import Window
from penstock_testkit import InputSuite, ListInput, StageSuite


def orders(count: int) -> list[dict[str, Any]]:
    return [{"id": n, "name": f"name {n}"} for n in range(1, count + 1)]


def payments(count: int) -> list[dict[str, Any]]:
    """One for the first order, two for the second, none for the third, and so on."""
    return [{"order_id": n, "amount": m} for n in range(1, count + 1) for m in range(1, n % 3 + 1)]


def joined(count: int, shape: Literal["rows", "nested"]) -> JoinInput:
    """Each order with its payments, or without any."""
    size = max(3, count // 20)
    return JoinInput(
        inputs={
            "orders": ListInput(values=orders(count), batch_size=size),
            "payments": ListInput(values=payments(count), batch_size=size + 1),
        },
        on={"payments": On(left="id", right="order_id", kind="left")},
        shape=shape,
    )


class TestNested(InputSuite):
    @pytest.fixture
    def source(self) -> Callable[[int], tuple[Input, list[Any]]]:
        def source(count: int) -> tuple[Input, list[Any]]:
            found = [
                {
                    "orders": order,
                    "payments": [
                        {"order_id": order["id"], "amount": m}
                        for m in range(1, order["id"] % 3 + 1)
                    ],
                }
                for order in orders(count)
            ]
            return joined(count, "nested"), found

        return source


class TestRows(InputSuite):
    @pytest.fixture
    def source(self) -> Callable[[int], tuple[Input, list[Any]]]:
        def source(count: int) -> tuple[Input, list[Any]]:
            made = joined(count, "rows")
            found = []
            for order in orders(count):
                amounts = range(1, order["id"] % 3 + 1)
                found += [{**order, "order_id": order["id"], "amount": m} for m in amounts]
                found += [] if amounts else [order]
            return made, found

        return source


@dataclass
class Order:
    id: int
    name: str
    amount: float


@dataclass
class Priced:
    id: int
    price: float


def priced(order: Order) -> Priced | None:
    return Priced(order.id, order.amount * 2) if order.id % 4 else None


class TestCall(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Call(function=priced)


class TestTumbling(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="tumbling", time="id", size=4, by=["name"])


class TestHopping(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="hopping", time="id", size=4, every=2, aggregate={"n": "count()"})


class TestSliding(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="sliding", time="id", size=4, aggregate={"n": "count()"})


class TestSession(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="session", time="id", gap=3, by="name", idle_after=60)


class TestCount(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="count", size=4, aggregate={"total": "sum(amount)"})


class TestChange(StageSuite):
    @pytest.fixture
    def stage(self) -> Stage:
        return Window(kind="change", key="id // 3")
