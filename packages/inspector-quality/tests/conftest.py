"""Inspectors are driven here as a run drives them: what passes, what fails, what is reported."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from penstock import Batch, ConfigError, Context, Inspector
from penstock.testing import FakeClock


class Inspected:
    """An inspector that is shown batches of records of one source, and must not change them."""

    def __init__(self, inspector: Inspector, state: Any = None, now: float = 1_000_000.0) -> None:
        self.inspector = inspector
        self.observed: dict[str, Any] = {}
        self.passed: list[tuple[int, Any]] = []
        self.failed: list[tuple[int, str]] = []
        context = Context("checked", clock=FakeClock(now), observations=self.observed)
        inspector.open(context)
        if state is not None:
            inspector.restore(json.loads(json.dumps(state)))

    def push(self, *batches: Batch) -> Inspected:
        for batch in batches:
            before = copy.deepcopy(list(batch.records))
            self._take(self.inspector.process(batch), len(batch.records))
            assert list(batch.records) == before, "an inspector only looks"
        return self

    def finish(self) -> Inspected:
        self._take(self.inspector.finish(), 0)
        json.dumps(self.observed, allow_nan=False)
        return self

    def _take(self, out: Iterable[Batch], received: int) -> None:
        answered = 0
        for batch in out:
            assert batch.dropped == 0
            answered += batch.consumed
            self.passed += zip(batch.ordinals, batch.records, strict=True)
            self.failed += [(one.ordinal, str(one.error)) for one in batch.failures]
        assert answered == received, "every record is answered for at once"

    @property
    def sentences(self) -> list[str]:
        return [sentence for _, sentence in self.failed]


def _batches(records: Sequence[Any], size: int = 2, source: str = "in") -> list[Batch]:
    ordinals = range(1, len(records) + 1)
    return [
        Batch(list(records[first : first + size]), source, ordinals[first : first + size])
        for first in range(0, len(records), size)
    ]


@pytest.fixture
def batches() -> Callable[..., list[Batch]]:
    return _batches


@pytest.fixture
def inspecting() -> type[Inspected]:
    return Inspected


@pytest.fixture
def inspect() -> Callable[..., Inspected]:
    """Shows all records to an inspector."""

    def inspect(inspector: Inspector, records: Sequence[Any], size: int = 2) -> Inspected:
        inspected = Inspected(inspector).push(*_batches(records, size)).finish()
        inspector.close()
        return inspected

    return inspect


@pytest.fixture
def survives() -> Callable[..., None]:
    """Snapshot, JSON, restore after every batch: nothing changes but which object does the work."""

    def survives(make: Callable[[], Inspector], records: Sequence[Any], size: int = 1) -> None:
        batches = _batches(records, size)
        whole = Inspected(make()).push(*batches).finish()
        for stop in range(len(batches) + 1):
            first = Inspected(make()).push(*batches[:stop])
            second = Inspected(make(), first.inspector.snapshot()).push(*batches[stop:]).finish()
            assert first.passed + second.passed == whole.passed
            assert first.failed + second.failed == whole.failed
            assert second.observed == whole.observed

    return survives


@pytest.fixture
def refused() -> Callable[..., str]:
    """The sentence with which a component refuses options."""

    def refuse(cls: type, options: dict[str, Any]) -> str:
        with pytest.raises(ConfigError) as caught:
            cls(**options)
        return str(caught.value)

    return refuse
