"""All records in order, however many there are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar, Literal

from penstock import Batch, ByteSize, Context, Transformer, component, option

from .holding import Held, failed, freeze, give_up, thaw
from .kinds import Kind
from .picking import names, one_or_more_names, pick, reader, without
from .runs import Runs

__all__ = ["Sort"]

_INLINE = 1000
"""Up to so many records stand in a checkpoint themselves; more are written to a file for it."""

_WEIGHED = 16
"""One of so many records is weighed; they are much alike, and weighing costs as much as sorting."""


def _fields(value: str | list[str]) -> None:
    one_or_more_names([name.removeprefix("-") for name in names(value)])


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


@component
class Sort(Transformer):
    """Hold all records until the stream has ended and pass them on in order.

    Records with equal values keep the order in which they came. What does not fit into `memory`
    is sorted in files.
    """

    mutates: ClassVar[bool] = False

    by: str | list[str] = option(
        help="The field or fields to sort by; a minus before a name sorts it downwards.",
        check=_fields,
        example=["country", "-amount"],
    )
    nulls: Literal["last", "first"] = option(
        default="last", help="Where records without a value go, in either direction."
    )
    memory: ByteSize = option(
        default=64 * 1024**2,
        help="About how much to hold before it is sorted into a file.",
        check=_positive,
        example="256MiB",
    )
    folder: Path | None = option(
        default=None, help="Where the files go; the system's folder for temporary files if empty."
    )

    def open(self, context: Context) -> None:
        super().open(context)
        by = [(name.removeprefix("-"), name.startswith("-")) for name in names(self.by)]
        self._by = by
        self._read = reader([name for name, _ in by])
        self._kinds = [Kind(name, "sorted") for name, _ in by]
        self._held: list[Held] = []
        self._weight = 0
        self._runs = Runs(self.folder, context.name)
        self._resumable = False

    def close(self) -> None:
        runs: Runs | None = self.__dict__.get("_runs")  # none when it was never opened
        if runs is not None and not self._resumable:
            runs.discard()

    def process(self, batch: Batch) -> Iterable[Batch]:
        picked = pick(self._read, batch)
        columns = [picked.values] if len(self._by) == 1 else list(zip(*picked.values))
        wrong: dict[int, Exception] = {}
        for kind, column in zip(self._kinds, columns):
            wrong.update(kind.wrong(column))
        picked = without(picked, wrong)
        self._held.extend(map(Held, repeat(batch.source), picked.ordinals, picked.records))
        self._weight += sum(map(_weight, picked.records[::_WEIGHED])) * _WEIGHED
        if self._weight > self.memory:
            self._spill()
        yield from failed(batch.source, picked.failures)

    def finish(self) -> Iterable[Batch]:
        if self._runs:
            if self._held:
                self._spill()
            yield from give_up(self._runs.merged(_merge_key(self._by, self.nulls == "last")))
        else:
            held, self._held = self._in_order(), []
            yield from give_up(held)
        self._runs.forget()
        self._resumable = False

    def _spill(self) -> None:
        self._runs.add(self._in_order())
        self._held = []
        self._weight = 0

    def _in_order(self) -> list[Held]:
        """Sort by the last field first: a later pass keeps the order of an earlier among equals."""
        held = self._held
        for name, down in reversed(self._by):
            given = [entry for entry in held if entry[2][name] is not None]
            null = [entry for entry in held if entry[2][name] is None]
            given.sort(key=lambda entry, name=name: entry[2][name], reverse=down)  # type: ignore[misc]
            held = given + null if self.nulls == "last" else null + given
        return held

    def snapshot(self) -> Any:
        if not self._held and not self._runs:
            return None
        where = self.context.name
        kinds = [kind.kind for kind in self._kinds]
        if not self._runs and len(self._held) <= _INLINE:
            return {"kinds": kinds, "held": freeze([list(one) for one in self._held], where)}
        if self._held:
            self._spill()
        self._resumable = True
        return {"kinds": kinds, **self._runs.state()}

    def restore(self, state: Any) -> None:
        for kind, known in zip(self._kinds, state["kinds"], strict=True):
            kind.kind = known
        if "held" in state:
            self._held = [Held(*entry) for entry in thaw(state["held"])]
        else:
            self._runs.restore(state)
            self._resumable = True


class _Down:
    """A value that is smaller where the value in it is greater."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Down) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def _merge_key(by: Sequence[tuple[str, bool]], nulls_last: bool) -> Callable[[Held], Any]:
    def key(entry: Held) -> list[Any]:
        parts: list[Any] = []
        for name, down in by:
            value = entry[2][name]
            parts.append((value is None) is nulls_last)  # two nulls are the same object: no `<`
            parts.append(_Down(value) if down and value is not None else value)
        return parts

    return key


def _weight(value: Any) -> int:
    """About how many bytes a value takes."""
    size = sys.getsizeof(value)
    if isinstance(value, Mapping):
        return size + sum(map(_weight, value.values()))
    if isinstance(value, (list, tuple)):
        return size + sum(map(_weight, value))
    return size
