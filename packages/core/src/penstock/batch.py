"""What flows through a pipeline: a batch of records, and the tight loops over one.

A record is a plain Python value. Where it came from, what failed and what was dropped is kept
once per batch, so that a record costs only the work done on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from sys import getsizeof
from typing import Any, NamedTuple, overload

from .errors import Skip

__all__ = [
    "EPOCH_END",
    "Batch",
    "Failure",
    "Moves",
    "Noted",
    "Rows",
    "each",
    "expand",
    "inspect_each",
    "moved",
]


class Failure(NamedTuple):
    """A record that could not be processed: as it came in, its ordinal, and the exception."""

    record: Any
    ordinal: int
    error: BaseException


class Batch:
    """Records that travel together.

    `source` is the input's name with its partition ("orders", "clicks/3"); the run fills in the
    input's name where an input leaves it empty. `ordinals[i]` is the number, from 1, of the source
    record behind `records[i]`: a range until something filters or expands. `resume` is the JSON
    position after this batch and stands only on batches fresh from an input.

    A component that sets records aside lists them in `failures`. `consumed` says how many incoming
    records this batch answers for and `dropped` how many of those it answers with nothing; left
    out, the batch answers for as many records as it holds and fails. The run adds these up and
    stops a pipeline whose sums do not meet.
    """

    __slots__ = ("consumed", "dropped", "failures", "ordinals", "records", "resume", "source")

    def __init__(
        self,
        records: Sequence[Any],
        source: str = "",
        ordinals: Sequence[int] | None = None,
        resume: Any = None,
        failures: Sequence[Failure] = (),
        consumed: int | None = None,
        dropped: int | None = None,
    ) -> None:
        self.records = records
        self.source = source
        self.ordinals = range(1, len(records) + 1) if ordinals is None else ordinals
        self.resume = resume
        self.failures = failures
        if consumed is None or dropped is None:
            answered = len(records) + len(failures)
            consumed = answered if consumed is None else consumed
            dropped = max(0, consumed - answered) if dropped is None else dropped
        self.consumed = consumed
        self.dropped = dropped

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        first = f" from {self.ordinals[0]}" if len(self.ordinals) else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"<Batch {self.source!r}: {len(self.records)} records{first}{failed}>"

    def keep(self, flags: Sequence[Any]) -> Batch:
        """The records whose flag is true; the others count as dropped."""
        records = list(compress(self.records, flags))
        ordinals = list(compress(self.ordinals, flags))
        return Batch(records, self.source, ordinals, consumed=len(self.records))


EPOCH_END = Batch((), consumed=0, dropped=0)
"""What an input yields to have a checkpoint made of what it gave so far, as when part of what it
reads is about to be taken away. Its `commit` is called when that is done; an engine that reads
ahead may ask for the next batch before."""


class Noted(NamedTuple):
    """What a group knows of a partition that comes to a member: the pipelines that may have
    committed something of it, the last one first; and how far it came when it was last told, and by
    which of them. None: it never was."""

    holders: Sequence[str] = ()
    position: Any = None
    by: str | None = None


class Moves(Batch):
    """What an input yields, with `context.moves`, when its partitions change hands: as `EPOCH_END`,
    and the states of stages go with them. `Input.moved` is called when that is done.

    `leaving` are the sources that others get afterwards, `coming` those that are ours now, and
    `settled` those that others have gone on with, of which nothing needs to be kept here.
    """

    __slots__ = ("coming", "leaving", "settled")

    def __init__(
        self,
        leaving: Collection[str] = (),
        coming: Mapping[str, Noted] | None = None,
        settled: Collection[str] = (),
    ) -> None:
        super().__init__((), consumed=0, dropped=0)
        self.leaving = leaving
        self.coming = coming or {}
        self.settled = settled


def moved(batch: Batch, by: int) -> Batch:
    """The batch with ordinals that go on where those of earlier runs ended."""
    ordinals = [ordinal + by for ordinal in batch.ordinals]
    failures = [Failure(one.record, one.ordinal + by, one.error) for one in batch.failures]
    return Batch(batch.records, batch.source, ordinals, batch.resume, failures)


class Rows(Sequence[Any]):
    """Rows of a table that become dicts when someone looks at them.

    An input that reads tables hands out `Batch(Rows(columns, rows), …)`: a stage that understands
    columns works on `rows` directly, every other component sees a sequence of dicts. Every row has
    exactly as many values as there are columns, and `rows` is a list.
    """

    __slots__ = ("_dicts", "columns", "rows")

    def __init__(self, columns: tuple[str, ...], rows: list[Sequence[Any]]) -> None:
        self.columns = columns
        self.rows = rows
        self._dicts: list[dict[str, Any]] | None = None

    def dicts(self) -> list[dict[str, Any]]:
        """Every row as a dict; made once, so a change to one of them stays."""
        if self._dicts is None:
            self._dicts = list(map(_row_to_dict(self.columns), self.rows))
        return self._dicts

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.dicts())

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.dicts()[index]

    def __eq__(self, other: object) -> bool:
        return self.dicts() == (other.dicts() if isinstance(other, Rows) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Rows: {len(self.rows)} of {', '.join(self.columns)}>"


@lru_cache(maxsize=256)
def _row_to_dict(columns: tuple[str, ...]) -> Callable[[Sequence[Any]], dict[str, Any]]:
    # A dict display is three times as fast as dict(zip(columns, row)). Only reprs of strings
    # reach the source, so a column name cannot become code.
    pairs = ", ".join(f"{name!r}: row[{index}]" for index, name in enumerate(map(str, columns)))
    function: Callable[[Sequence[Any]], dict[str, Any]] = eval(f"lambda row: {{{pairs}}}")  # noqa: S307
    return function


def size_of(batch: Batch) -> int:
    """An estimate of a batch's bytes in memory from its first record: a few microseconds."""
    records = batch.records
    if not len(records):
        return 0
    first: Any = records.rows[0] if type(records) is Rows else records[0]
    size = getsizeof(first)
    if isinstance(first, dict):
        size += sum(map(getsizeof, first.values()))
    elif isinstance(first, (list, tuple)):
        size += sum(map(getsizeof, first))
    return size * len(records)


Recover = Callable[[Any, Exception], Any]


def each(
    function: Callable[[Any], Any],
    batch: Batch,
    items: list[Any] | None = None,
    recover: Recover | None = None,
) -> Batch:
    """Call `function` with each record; what it returns goes on, None drops the record.

    A record whose call raises becomes a failure and the loop goes on after it; no record is passed
    twice. `items`, of the same length, is looped over in place of the batch's own records.
    `recover(item, error)` may give the result after all, or raise.
    """
    results, failures, failed = _loop(function, batch, items, recover)
    ordinals = batch.ordinals
    count = len(batch.records)
    if all(results) and not failed:  # nothing was dropped: nearly every batch
        return Batch(results, batch.source, ordinals, None, (), count, 0)
    if failed:
        ordinals = [n for index, n in enumerate(ordinals) if index not in failed]
    flags = [result is not None for result in results]
    dropped = len(flags) - sum(flags)
    if dropped:
        results = list(compress(results, flags))
        ordinals = list(compress(ordinals, flags))
    return Batch(results, batch.source, ordinals, None, failures, count, dropped)


def expand(
    function: Callable[[Any], Iterable[Any]], batch: Batch, recover: Recover | None = None
) -> Batch:
    """As `each`, for a function that gives any number of results for a record.

    A record that raises half-way gives none of its results.
    """
    parts, failures, failed = _loop(lambda record: list(function(record)), batch, None, recover)
    ordinals = batch.ordinals
    if failed:
        ordinals = [n for index, n in enumerate(ordinals) if index not in failed]
    sizes = [len(part or ()) for part in parts]
    if sizes.count(1) != len(sizes):
        ordinals = [n for n, size in zip(ordinals, sizes, strict=True) for _ in range(size)]
    return Batch(
        [result for part in parts if part for result in part],
        batch.source,
        ordinals,
        failures=failures,
        consumed=len(batch.records),
        dropped=sizes.count(0),
    )


def inspect_each(
    function: Callable[[Any], Any],
    batch: Batch,
    items: list[Any] | None = None,
    recover: Recover | None = None,
) -> Batch:
    """Call `function` with each record and pass on the records that it did not object to."""
    _, failures, failed = _loop(function, batch, items, recover)
    if not failed:
        return Batch(batch.records, batch.source, batch.ordinals)
    flags = [index not in failed for index in range(len(batch.records))]
    return Batch(
        list(compress(batch.records, flags)),
        batch.source,
        list(compress(batch.ordinals, flags)),
        failures=failures,
    )


def _loop(
    function: Callable[[Any], Any],
    batch: Batch,
    items: list[Any] | None,
    recover: Recover | None,
) -> tuple[list[Any], Sequence[Failure], set[int]]:
    """The results of `function` in order, what failed, and at which indices.

    One `try` surrounds the whole loop, so it costs nothing per record. The list iterator knows how
    many items it has left: the failing record is found without counting, and the same iterator
    goes on after it. (Appending in a loop is 10 to 25 % faster than `extend(map(…))` since
    Python 3.11, which calls Python functions without leaving the interpreter's loop.)
    """
    if items is None:
        items = batch.records if type(batch.records) is list else list(batch.records)
    results: list[Any] = []
    failures: list[Failure] = []
    failed: set[int] = set()
    iterator: Any = iter(items)
    while True:
        try:
            for item in iterator:
                results.append(function(item))
            return results, failures, failed
        except Skip:
            results.append(None)
        except Exception as error:
            index = len(items) - iterator.__length_hint__() - 1
            try:
                if recover is None:
                    raise
                results.append(recover(items[index], error))
            except Skip:
                results.append(None)
            except Exception as final:
                failed.add(index)
                failures.append(Failure(batch.records[index], batch.ordinals[index], final))
