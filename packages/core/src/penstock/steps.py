"""From a component to the function that the run calls with each batch.

The duties of a run that concern single records live here: retries, and the protection of records
from inspectors and from each other's branches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from inspect import isgeneratorfunction
from types import NoneType
from typing import TYPE_CHECKING, Any

from .batch import Batch, Recover, Rows, each, expand, inspect_each
from .components import Inspector, Stage, Transformer
from .errors import RunError, TransientError

if TYPE_CHECKING:
    from .schedule import Clock
    from .spec import Settings

__all__ = ["TRANSIENT_TRIES", "Step", "pause", "retrying", "separate", "step_of"]

Step = Callable[[Batch], Iterable[Batch]]

TRANSIENT_TRIES = 5
"""How often what raises TransientError is tried, the first time included."""

_IMMUTABLE = frozenset({str, int, float, bool, NoneType, bytes, complex, frozenset})
_LONGEST_PAUSE = 60.0


def step_of(component: Stage, recover: Recover | None) -> Step:
    """The function that puts a batch through `component`."""
    cls = type(component)
    if isinstance(component, Inspector):
        if cls.process is Inspector.process:
            return partial(_inspect, component, recover)
        return partial(_watched, component)
    if isinstance(component, Transformer) and cls.process is Transformer.process:
        return _transforming(component.transform, recover)
    return component.process


def _transforming(transform: Callable[[Any], Any], recover: Recover | None) -> Step:
    if isgeneratorfunction(transform):
        return lambda batch: (expand(transform, batch, recover),)
    return lambda batch: (each(transform, batch, None, recover),)


def _inspect(component: Inspector, recover: Recover | None, batch: Batch) -> Iterable[Batch]:
    """Show the inspector copies: what it does to them has no effect on the data.

    A shallow copy of a dict costs 60 ns. What lies deeper is shared, so the first record of every
    batch is compared with a deep copy made before: an inspector that changes nested data is found.
    """
    records = batch.records
    if type(records) is Rows:
        shown: list[Any] = Rows(records.columns, records.rows).dicts()
    elif set(map(type, records)) == {dict}:
        shown = list(map(dict, records))
    else:
        shown = separate(records)
    before = _sample(records)
    inspected = inspect_each(component.inspect, batch, shown, recover)
    _unchanged(component, before, records)
    return (inspected,)


def _watched(component: Inspector, batch: Batch) -> Iterator[Batch]:
    """Let an inspector that works on whole batches do so, and prove on a sample that it only
    looked."""
    records = batch.records
    before = _sample(records)
    for passed in component.process(batch):
        if len(passed.records) > len(records):
            raise RunError(
                "an inspector cannot add records", hint="make it a transformer, which may"
            )
        yield passed
    _unchanged(component, before, records)


def _sample(records: Sequence[Any]) -> Any:
    if not len(records):
        return None
    first = records[0]
    if type(first) is dict and _IMMUTABLE.issuperset(map(type, first.values())):
        return dict(first)
    return copy.deepcopy(first)


def _unchanged(component: Inspector, before: Any, records: Sequence[Any]) -> None:
    if len(records) and records[0] != before and before == before:
        raise RunError(
            f"{type(component).__name__} changed a record: an inspector may only look",
            hint="make it a transformer",
        )


def separate(records: Sequence[Any]) -> list[Any]:
    """Copies of `records` that share nothing that can be changed."""
    if type(records) is Rows:
        return Rows(records.columns, list(map(list, records.rows))).dicts()
    kinds = set(map(type, records))
    if kinds <= _IMMUTABLE:
        return list(records)
    if kinds == {dict}:
        inner: set[type] = set()
        for record in records:
            inner.update(map(type, record.values()))
        if inner <= _IMMUTABLE:
            return list(map(dict, records))
    return copy.deepcopy(list(records))


def pause(attempt: int, delay: float, chance: Callable[[], float]) -> float:
    """Seconds to wait after failed try number `attempt`: exponential, with full jitter, capped."""
    longest: float = min(_LONGEST_PAUSE, delay * 2.0 ** (attempt - 1))
    return longest * (0.5 + chance() / 2)


def retrying(
    function: Callable[[Any], Any],
    settings: Settings,
    clock: Clock,
    chance: Callable[[], float],
) -> Recover:
    """What `each` calls when a record failed: try again as often as the settings and the kind of
    error allow, then raise the last error, which carries the number of `attempts`."""

    def recover(item: Any, error: Exception) -> Any:
        attempts = 1
        while attempts < allowed_tries(settings, error):
            clock.sleep(pause(attempts, settings.retry_delay, chance))
            attempts += 1
            try:
                return function(item)
            except Exception as again:
                error = again
        if attempts > 1:
            error.attempts = attempts  # type: ignore[attr-defined]
        raise error

    return recover


def allowed_tries(settings: Settings, error: BaseException) -> int:
    """How often something that raises `error` may be tried in all."""
    least = TRANSIENT_TRIES if isinstance(error, TransientError) else 1
    return max(least, settings.retry + 1)
