"""Stages are driven here as a run drives them, and what they answer is added up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from penstock import Batch, ConfigError, Context, Stage
from penstock.testing import FakeClock


class Driven:
    """A stage between batches in and batches out."""

    def __init__(self, stage: Stage, state: Any = None) -> None:
        self.stage = stage
        self.clock = FakeClock()
        self.batches: list[Batch] = []
        self.received = 0
        stage.open(Context("stage", clock=self.clock))
        if state is not None:
            stage.restore(json.loads(json.dumps(state)))

    def push(self, *batches: Batch) -> Driven:
        for batch in batches:
            self.received += len(batch.records)
            self.batches += self.stage.process(batch)
        return self

    def idle(self, seconds: float) -> Driven:
        self.clock.sleep(seconds)
        self.batches += self.stage.idle(self.clock.now())
        return self

    def finish(self) -> Driven:
        self.batches += self.stage.finish()
        return self

    @property
    def records(self) -> list[Any]:
        return [record for batch in self.batches for record in batch.records]

    @property
    def rows(self) -> list[tuple[str, int, Any]]:
        """Every record with its source and ordinal."""
        return [
            (batch.source, ordinal, record)
            for batch in self.batches
            for ordinal, record in zip(batch.ordinals, batch.records, strict=True)
        ]

    @property
    def failures(self) -> list[tuple[int, str]]:
        return [(one.ordinal, str(one.error)) for batch in self.batches for one in batch.failures]

    @property
    def answered(self) -> int:
        return sum(batch.consumed for batch in self.batches)

    @property
    def dropped(self) -> int:
        return sum(batch.dropped for batch in self.batches)


def _batches(records: Sequence[Any], size: int = 3, source: str = "in") -> list[Batch]:
    return [
        Batch(
            list(records[first : first + size]),
            source,
            range(first + 1, first + 1 + size)[: len(records) - first],
        )
        for first in range(0, len(records), size)
    ]


def _run(stage: Stage, records: Sequence[Any], size: int = 3) -> Driven:
    driven = Driven(stage).push(*_batches(records, size)).finish()
    assert driven.answered == driven.received, "every record is answered for"
    stage.close()
    return driven


def _survives(make: Callable[[], Stage], batches: Sequence[Batch]) -> None:
    """Snapshot, JSON, restore after every batch: nothing changes but which object does the work."""
    whole = Driven(make()).push(*batches).finish()
    assert whole.answered == whole.received
    for stop in range(len(batches) + 1):
        first = Driven(make()).push(*batches[:stop])
        state = first.stage.snapshot()
        if state is None:
            assert first.answered == first.received, "a stage without a state holds nothing"
        second = Driven(make(), state).push(*batches[stop:]).finish()
        assert first.rows + second.rows == whole.rows
        assert first.failures + second.failures == whole.failures
        assert first.answered + second.answered == whole.received
        second.stage.close()
        first.stage.close()
    whole.stage.close()


@pytest.fixture
def batches() -> Callable[..., list[Batch]]:
    return _batches


@pytest.fixture
def drive() -> type[Driven]:
    return Driven


@pytest.fixture
def run() -> Callable[..., Driven]:
    return _run


@pytest.fixture
def survives() -> Callable[..., None]:
    return _survives


@pytest.fixture
def refused() -> Callable[..., str]:
    """The sentence with which a component refuses options."""

    def refuse(cls: type, options: dict[str, Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            cls(**options)
        return str(caught.value)

    return refuse


@pytest.fixture
def values() -> list[dict[str, Any]]:
    """Records with values that JSON has no form for."""
    return [
        {"n": 1, "d": Decimal("1.10"), "t": datetime(2024, 1, 2, 3, 4, 5, 6, timezone.utc)},
        {"n": 2, "d": Decimal("-0"), "t": None},
        {"n": 3, "d": Decimal("1E+40"), "day": date(2024, 2, 29), "b": b"\x00\xff"},
        {"n": 4, "nested": {"list": [1, (2, "x")], 5: "five"}, "f": 0.1},
        {"n": 5, "text": "ünïcode \ud800", "big": 2**70, "true": True},
    ]
