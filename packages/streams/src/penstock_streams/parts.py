"""The parts of a join: inputs whose elements are read in the order of their keys.

What cannot be joined — without a key, out of order, not what its type says — is set aside here,
before the join sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from penstock import EPOCH_END, Batch, Context, Failure, Input, RecordError, RunError

from .keys import BOTTOM, Key, frozen, in_order, out_of_order, thawed

__all__ = ["Part", "Stretch"]

Mark = dict[str, Any]
"""Where a part stands, as JSON: `at`, the positions of its input; its `last` keys; a `count`."""


class Stretch:
    """Elements in order, with their keys, one list for each key of the part.

    `mark` is where the part stood before the first element that its input gave with them, and
    `first` how many elements were given since. `after` is where it stands after the last one.
    `matches` is a list for each part that the elements are joined to.
    """

    __slots__ = ("after", "elements", "first", "keys", "mark", "matches")

    def __init__(
        self,
        elements: list[Any],
        keys: list[list[Any]],
        mark: Mark,
        first: int = 0,
        after: Mark | None = None,
        matches: Sequence[list[Any]] = (),
    ) -> None:
        self.elements = elements
        self.keys = keys
        self.mark = mark
        self.first = first
        self.after = after
        self.matches = matches


class Part:
    """One input of a join.

    `keys` are computed of each element, of `decode(element)` if that is given, and must not fall.
    What is set aside goes to `set_aside` as a batch of failures; a wish that the epoch end, too.
    """

    def __init__(
        self,
        name: str,
        source: Input,
        keys: Sequence[Key],
        decode: Callable[[Any], Any] | None = None,
        *,
        disorder: str = "collect",
    ) -> None:
        self.name = name
        self.source = source
        self.keys = keys
        self.decode = decode
        self.disorder = disorder
        self.set_aside: Callable[[Batch], None]
        self.told: dict[str, int] = {}
        """By source, the last ordinal that was set aside; the parts of a join share it."""
        self.read_so_far = 0
        self.failed = 0
        self._at: dict[str, Any] = {}
        self._last: list[Any] = [BOTTOM] * len(keys)

    def open(self, context: Context) -> None:
        self.source.open(context)

    def close(self) -> None:
        self.source.close()

    def mark(self) -> Mark:
        """Where the part stands now."""
        return {
            "at": dict(self._at),
            "last": [frozen(key) for key in self._last],
            "count": [self.read_so_far, self.failed],
        }

    def resume(self, mark: Mark | None) -> None:
        if mark is None:
            self._at = {}
            self._last = [BOTTOM] * len(self.keys)
            self.read_so_far = self.failed = 0
            return
        self._at = dict(mark["at"])
        self._last = [thawed(key) for key in mark["last"]]
        self.read_so_far, self.failed = mark["count"]

    def read(self) -> Iterator[Stretch | None]:
        """What comes after the mark; None when nothing is ready."""
        batches = self.source.read(self._at)
        mark = self.mark()
        try:
            for batch in batches:
                if batch is None or batch is EPOCH_END:
                    if batch is not None:
                        self.set_aside(batch)
                    yield None
                    continue
                records, keys = self._sound(batch)
                if batch.resume is not None:
                    self._at[batch.source or self.name] = batch.resume
                before, mark = mark, self.mark()
                if records:
                    yield Stretch(records, keys, before, 0, mark)
        finally:
            close = getattr(batches, "close", None)
            if close is not None:  # an iterator need not be a generator
                close()

    def _sound(self, batch: Batch) -> tuple[list[Any], list[list[Any]]]:
        """The elements that can be joined, with their keys; the others are set aside."""
        records = batch.records if type(batch.records) is list else list(batch.records)
        self.read_so_far += len(records) + len(batch.failures)
        try:
            values = records if self.decode is None else list(map(self.decode, records))
            keys = [key.of(values) for key in self.keys]
            good = all(
                in_order(column, last)
                for key, column, last in zip(self.keys, keys, self._last)
                if key.ordered
            )
        except Exception:  # the slow way finds out which element it was
            good = False
        failures = list(batch.failures)
        if not good:
            records, keys, failed = self._one_by_one(records, batch.ordinals)
            failures += failed
        if records:
            self._last = [c[-1] if k.ordered else BOTTOM for k, c in zip(self.keys, keys)]
        if failures:
            self._give_up(batch.source or self.name, failures)
        return records, keys

    def _one_by_one(
        self, records: Sequence[Any], ordinals: Sequence[int]
    ) -> tuple[list[Any], list[list[Any]], list[Failure]]:
        kept: list[Any] = []
        columns: list[list[Any]] = [[] for _ in self.keys]
        failures: list[Failure] = []
        last = list(self._last)
        for record, ordinal in zip(records, ordinals):
            try:
                found = self._keys_of(record, last)
            except Exception as error:
                failures.append(Failure(record, ordinal, error))
                continue
            last = found
            kept.append(record)
            for column, key in zip(columns, found):
                column.append(key)
        return kept, columns, failures

    def _keys_of(self, record: Any, last: Sequence[Any]) -> list[Any]:
        value = record if self.decode is None else self.decode(record)
        found = []
        for key, before in zip(self.keys, last):
            try:
                one = key.function(value)
            except Exception as error:
                raise key.failure(value, error) from error
            wrong = out_of_order(one, before) if key.ordered else None
            if wrong is not None:
                if self.disorder == "stop":
                    raise _Disorder(f"{key!r} {wrong}")
                raise RecordError(f"{key!r} {wrong}")
            found.append(one)
        return found

    def _give_up(self, source: str, failures: list[Failure]) -> None:
        """Hand on what was set aside, but for what was handed on before the run was resumed."""
        failures.sort(key=lambda failure: failure.ordinal)
        for failure in failures:
            if isinstance(failure.error, _Disorder):
                raise RunError(
                    str(failure.error),
                    where=f"{source}:{failure.ordinal}",
                    hint="sort the input, or set such records aside with disorder: collect",
                )
        self.failed += len(failures)
        told = self.told.get(source, 0)
        fresh = [failure for failure in failures if failure.ordinal > told]
        if fresh:
            self.told[source] = fresh[-1].ordinal
            self.set_aside(Batch([], source, [], failures=fresh))


class _Disorder(RecordError):
    """An element out of order, where that is to stop the run."""
