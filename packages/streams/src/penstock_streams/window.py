"""Windows: records that belong together by time, by number or by key, collected or aggregated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import groupby, islice
from operator import attrgetter, le
from typing import Any, ClassVar, Literal

from penstock import (
    BATCH_SIZE,
    Batch,
    Context,
    Duration,
    Failure,
    RecordError,
    RunError,
    Transformer,
    component,
    option,
)
from penstock_shape.holding import freeze, thaw

from .expressions import Expr
from .keys import TOP, Key, check_key, in_order, numbers
from .kinds import KINDS, Change
from .panes import Pane, Table, calls, check_calls

__all__ = ["Window"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _positive(value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError("must be greater than 0")


def _key(value: Any) -> None:
    if value is not None:
        check_key(value)


def _keys(value: Any) -> None:
    for one in value if isinstance(value, list) else [value]:
        check_key(one)


@component
class Window(Transformer):
    """Make one record of all records in a window.

    A window of time closes when the watermark has passed its end. The watermark is the latest time
    that was seen, in the source that is furthest behind, less `lateness`.
    """

    mutates: ClassVar[bool] = False

    kind: Literal["tumbling", "hopping", "sliding", "session", "count", "change"] = option(
        help="tumbling: one after the other; hopping: one beginning every so often; sliding: one "
        "for each record, of what came before it; session: until nothing comes for a while; "
        "count: so many records; change: as long as a key is the same."
    )
    time: Any = option(
        default=None,
        help="Of windows of time: when a record happened, a field or an expression; seconds as a "
        "number, or a datetime.",
        check=_key,
        example="ts",
    )
    size: Duration | None = option(
        default=None,
        help="How long a window is; of count windows, how many records.",
        check=_positive,
        example="1m",
    )
    every: Duration | None = option(
        default=None, help="Of hopping: how long after one the next begins.", check=_positive
    )
    gap: Duration | None = option(
        default=None, help="Of session: how long nothing comes at its end.", check=_positive
    )
    key: Any = option(
        default=None,
        help="Of change: the key that is the same in a window, a field or an expression.",
        check=_key,
    )
    by: Any = option(
        default=[],
        help="The field or fields for whose values there are windows of their own.",
        check=_keys,
        example="city",
    )
    aggregate: dict[str, Any] = option(
        default={},
        help="Fields of the results, as in group; left out, `records` lists the records.",
        check=check_calls,
        example={"orders": "count()", "total": "sum(amount)"},
    )
    lateness: Duration = option(
        default=0.0, help="How long a window waits for records that come late."
    )
    late: Literal["collect", "drop"] = option(
        default="collect",
        help="What becomes of a record whose windows are closed: collect sets it aside, drop "
        "counts it as filtered.",
    )
    give: Literal["windows", "late"] = option(
        default="windows",
        help="late: pass on the late records instead, as a stream of their own.",
    )
    idle_after: Duration | None = option(
        default=None,
        help="A source that gives nothing for so long holds no window open; when none gives "
        "anything, all close.",
        check=_positive,
    )
    partitioned: bool = option(
        default=False,
        help="Every partition of the input has windows and a watermark of its own, which go where "
        "it goes: several workers may share the partitions.",
    )
    max_windows: int = option(
        default=100_000, help="Stop the run rather than hold more windows open.", check=_positive
    )

    def check(self) -> None:
        needs = {
            "tumbling": ("time", "size"),
            "hopping": ("time", "size", "every"),
            "sliding": ("time", "size"),
            "session": ("time", "gap"),
            "count": ("size",),
            "change": ("key",),
        }[self.kind]
        missing = [name for name in needs if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a {self.kind} window needs {' and '.join(missing)}")
        optional = ("every", "gap", "key", "size", "time")
        extra = [n for n in optional if n not in needs and getattr(self, n) is not None]
        if extra:
            raise ValueError(f"a {self.kind} window takes no {' and no '.join(extra)}")
        if self.kind == "count" and self.size is not None and self.size % 1:
            raise ValueError(f"size is a number of records, got {self.size!r}")
        if self.give == "late" and not KINDS[self.kind].timed:
            raise ValueError(f"nothing is late for a {self.kind} window")
        taken = {*self._names(), *self._bounds(), *([] if self.aggregate else ["records"])}
        both = sorted(taken & set(self.aggregate)) or sorted({*self._names()} & {*self._bounds()})
        if both:
            raise ValueError(f"{both[0]!r} would be the name of two fields")

    def _names(self) -> list[str]:
        """The fields that `by` becomes."""
        given = self.by if isinstance(self.by, list) else [self.by]
        return [one if isinstance(one, str) else repr(one) for one in given]

    def _bounds(self) -> list[str]:
        return {"count": [], "change": ["key"]}.get(self.kind, ["start", "end"])

    # ---- as a stage -----------------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        given = self.by if isinstance(self.by, list) else [self.by]
        self._by = [Key(one, "by") for one in given]
        self._calls = calls(self.aggregate)
        point = self.key if self.kind == "change" else self.time
        self._point = (
            Key(point, "key" if self.kind == "change" else "time") if point is not None else None
        )
        size = self.gap if self.kind == "session" else self.size
        self._kind = KINDS[self.kind](self._make, not self._calls, _whole(size), _whole(self.every))
        self._lateness = _whole(self.lateness)
        self._zone: Any = None  # of the times, when they are datetimes
        self._are_datetimes = False
        self._numbers = 0
        self._marks: dict[str, Any] = {}
        self._watermark: Any = float("-inf")
        self._seen: dict[str, float] = {}

    def process(self, batch: Batch) -> Iterable[Batch]:
        table, failures = self._table(batch)
        late: list[Any] = []
        watermarks = self._in_order(table) if self._kind.timed else []
        if watermarks is not None:
            table = table._replace(in_order=self._kind.timed)
        else:
            table, watermarks, late = self._in_time(table, self._watermarks(table))
        if table.records and (self.give == "windows" or self.kind == "session"):
            rows = self._kind.add(table, watermarks)
            late += [self._too_late(table, row, watermarks[row]) for row in rows]
        if self.give == "late":
            self._kind.close(self._watermark)  # sessions: what is late for them depends on them
            yield Batch(
                [record for record, _, _ in late],
                batch.source,
                [ordinal for _, ordinal, _ in late],
                failures=failures,
                consumed=len(batch.records),
            )
            return
        dropped, self._kind.left_out = self._kind.left_out, 0
        if self.late == "drop":
            dropped += len(late)
        else:
            failures += [Failure(record, ordinal, why) for record, ordinal, why in late]
        if failures or dropped:
            count = dropped + len(failures)
            yield Batch([], batch.source, [], None, failures, count, dropped)
        yield from self._close(self._watermark)
        if len(self._kind) > self.max_windows:
            raise RunError(
                f"more than {self.max_windows} windows are open",
                where=self.context.name,
                hint="raise max_windows, or use fewer keys, less lateness or idle_after",
            )

    def idle(self, now: float) -> Iterable[Batch]:
        if isinstance(self._kind, Change) and isinstance(self.key, Expr):
            key = self.key.of_nothing()
            if key is not None:
                self._kind.changed(key)
                yield from self._close(self._watermark)
        if self.idle_after is None or not self._marks:
            return
        quiet = {one for one, seen in self._seen.items() if now - seen >= self.idle_after}
        if quiet >= self._marks.keys():
            ends = [pane.end for pane in self._kind]
            self._watermark = max([self._watermark, *ends]) + (self.kind == "sliding")
        else:
            marks = [mark for source, mark in self._marks.items() if source not in quiet]
            self._watermark = max(self._watermark, min(marks) - self._lateness)
        yield from self._close(self._watermark)

    def finish(self) -> Iterable[Batch]:
        if self.give == "windows":
            yield from self._close(TOP)
        self._marks.clear()
        self._watermark = float("-inf")

    def _make(self, by: Any, start: Any, end: Any) -> Pane:
        self._numbers += 1
        return Pane(by, start, end, self._numbers, [call.make() for call in self._calls])

    # ---- what comes in --------------------------------------------------------------------------

    def _table(self, batch: Batch) -> tuple[Table, list[Failure]]:
        records = batch.records if type(batch.records) is list else list(batch.records)
        keys = [call.key for call in self._calls]
        readers = [one for one in [self._point, *self._by, *keys] if one is not None]
        failures: list[Failure] = []
        ordinals = batch.ordinals
        try:
            found = [key.of(records) for key in readers]
            good = self._usable(found)
        except Exception:  # the slow way finds out which record it was
            good = False
        if not good:
            records, ordinals, found, failures = self._one_by_one(records, ordinals, readers)
        columns = iter(found)
        times = next(columns) if self._point is not None else [None] * len(records)
        if self._kind.timed:
            times = self._as_numbers(times)
        bys = list(zip(*islice(columns, len(self._by)))) if self._by else [()] * len(records)
        values = [[()] * len(records) if key is None else next(columns) for key in keys]
        holes = [key is not None and _holes(column) for key, column in zip(keys, values)]
        return Table(batch.source, records, ordinals, times, bys, values, holes), failures

    def _usable(self, found: Sequence[list[Any]]) -> bool:
        """Whether every value is fit for what it is for, as far as can be told at a glance."""
        if self._by:
            list(map(hash, zip(*found[1 if self._point is not None else 0 :][: len(self._by)])))
        for call, column in zip([c for c in self._calls if c.key], self._argument_columns(found)):
            if _added(call.make) and not numbers(column):
                if not set(map(type, column)) <= _NUMBERS:
                    return False
        if not self._kind.timed:
            return True
        kinds = set(map(type, found[0]))  # a bool is no time
        return kinds <= {int} or (kinds <= {int, float} and all(map(le, found[0], found[0])))

    def _argument_columns(self, found: Sequence[list[Any]]) -> Sequence[list[Any]]:
        return found[(self._point is not None) + len(self._by) :]

    def _one_by_one(
        self, records: Sequence[Any], ordinals: Sequence[int], readers: Sequence[Key]
    ) -> tuple[list[Any], list[int], list[list[Any]], list[Failure]]:
        kept: list[Any] = []
        numbers: list[int] = []
        found: list[list[Any]] = [[] for _ in readers]
        failures: list[Failure] = []
        for record, ordinal in zip(records, ordinals):
            try:
                row = [self._value(key, record) for key in readers]
                self._check_row(row)
            except Exception as error:
                failures.append(Failure(record, ordinal, error))
                continue
            kept.append(record)
            numbers.append(ordinal)
            for column, value in zip(found, row):
                column.append(value)
        return kept, numbers, found, failures

    def _value(self, key: Key, record: Any) -> Any:
        try:
            return key.function(record)
        except Exception as error:
            raise key.failure(record, error) from error

    def _check_row(self, row: Sequence[Any]) -> None:
        if self._kind.timed:
            time = row[0]
            if isinstance(time, bool) or not isinstance(time, (int, float, datetime)):
                raise RecordError(f"time: {time!r} is no number and no datetime; cast it first")
            if time != time:
                raise RecordError("time: is nan")
        first = 1 if self._point is not None else 0
        for key, value in zip(self._by, row[first:]):
            try:
                hash(value)
            except TypeError as error:
                raise RecordError(f"{key!r}: {value!r} cannot be grouped by") from error
        asked = [call for call in self._calls if call.key is not None]
        for call, value in zip(asked, row[first + len(self._by) :]):
            if value is not None:
                try:
                    call.make().add([value])
                    if _added(call.make) and type(value) not in _NUMBERS:
                        value + 0
                except TypeError as error:
                    raise RecordError(f"{call.name}: cannot use {value!r}: {error}") from error

    def _as_numbers(self, times: list[Any]) -> list[Any]:
        if not times or not isinstance(times[0], datetime):
            return times
        self._are_datetimes, self._zone = True, times[0].tzinfo
        return [_seconds(time) for time in times]

    # ---- what is late ---------------------------------------------------------------------------

    def _in_order(self, table: Table) -> list[Any] | None:
        """The watermark for all records, if none of them can be late: nearly always. Else None."""
        source, times = table.source, table.times
        latest = self._marks.get(source, float("-inf"))
        if not times or self._watermark > times[0] or not in_order(times, latest):
            return None
        if self.idle_after is not None:
            self._seen[source] = self.context.clock.now()
        before, self._marks[source] = self._watermark, times[-1]
        self._watermark = max(before, min(self._marks.values()) - self._lateness)
        return [before] * len(times)

    def _watermarks(self, table: Table) -> list[Any]:
        """The watermark when each record came; the one after all of them is kept."""
        source = table.source
        if self.idle_after is not None:
            self._seen[source] = self.context.clock.now()
        others = [mark for name, mark in self._marks.items() if name != source]
        behind = min(others) if others else TOP
        latest = self._marks.get(source, float("-inf"))
        watermark, found = self._watermark, []
        for time in table.times:
            found.append(watermark)
            if time > latest:
                latest = time
                mark = (latest if behind > latest else behind) - self._lateness
                if mark > watermark:
                    watermark = mark
        if table.times:
            self._marks[source] = latest
            self._watermark = watermark
        return found

    def _in_time(self, table: Table, watermarks: list[Any]) -> tuple[Table, list[Any], list[Any]]:
        """The table without late records, and those, each with its ordinal and why."""
        if all(map(le, watermarks, table.times)):
            return table, watermarks, []
        flags = [self._kind.late(*both) for both in zip(table.times, watermarks)]
        if not any(flags):
            return table, watermarks, []
        rows = range(len(flags))
        late = [self._too_late(table, row, watermarks[row]) for row in rows if flags[row]]
        stay = [row for row in rows if not flags[row]]
        kept = Table(
            table.source,
            [table.records[row] for row in stay],
            [table.ordinals[row] for row in stay],
            [table.times[row] for row in stay],
            [table.bys[row] for row in stay],
            [[column[row] for row in stay] for column in table.columns],
            table.holes,
        )
        return kept, [watermarks[row] for row in stay], late

    def _too_late(self, table: Table, row: int, watermark: Any) -> tuple[Any, int, RecordError]:
        why = RecordError(
            f"came late: its time is {self._shown(table.times[row])}, and windows are closed up to "
            f"{self._shown(watermark)}"
        )
        return table.records[row], table.ordinals[row], why

    # ---- what goes out --------------------------------------------------------------------------

    def _close(self, watermark: Any) -> Iterator[Batch]:
        panes = iter(self._kind.close(watermark))
        for source, group in groupby(panes, key=attrgetter("source")):
            while part := list(islice(group, BATCH_SIZE)):
                yield Batch(
                    list(map(self._result, part)),
                    source,
                    [pane.ordinal for pane in part],
                    consumed=sum(pane.answers for pane in part),
                    dropped=0,
                )

    def _result(self, pane: Pane) -> dict[str, Any]:
        result = dict(zip(self._names(), pane.by))
        if self.kind == "change":
            result["key"] = pane.start
        elif self._kind.timed:
            result["start"], result["end"] = self._shown(pane.start), self._shown(pane.end)
        if not self._calls:
            result["records"] = pane.records
        for call, aggregate in zip(self._calls, pane.aggregates):
            result[call.name] = aggregate.result()
        return result

    def _shown(self, time: Any) -> Any:
        if not self._are_datetimes:
            return time
        moment = _EPOCH + timedelta(seconds=time)
        return moment.astimezone(self._zone) if self._zone else moment.replace(tzinfo=None)

    # ---- across runs ----------------------------------------------------------------------------

    def snapshot(self) -> Any:
        panes = [pane.state() for pane in self._kind]
        if not panes and not self._marks:
            return None
        state = {
            "panes": [
                [*state[:2], None if state[2] is TOP else state[2], *state[3:]] for state in panes
            ],
            "rows": [[by, rows] for by, rows in self._kind.rows.items()],
            "marks": self._marks,
            "watermark": None if self._watermark == float("-inf") else self._watermark,
            "numbers": self._numbers,
            "datetimes": [
                self._are_datetimes,
                _EPOCH.astimezone(self._zone) if self._zone else None,
            ],
        }
        return freeze(state, self.context.name)

    def restore(self, state: Any) -> None:
        kept = thaw(state)
        self._marks = dict(kept["marks"])
        self._watermark = float("-inf") if kept["watermark"] is None else kept["watermark"]
        self._are_datetimes, zoned = kept["datetimes"]
        self._zone = zoned.tzinfo if zoned is not None else None
        for one in kept["panes"]:
            pane = self._make(one[0], one[1], TOP if one[2] is None else one[2])
            pane.restore(one)
            self._kind.restore(pane)
        for by, rows in kept["rows"]:
            self._kind.rows[by] = rows
        self._numbers = kept["numbers"]


_NUMBERS = frozenset({int, float, bool, type(None)})


def _holes(column: list[Any]) -> bool:
    """Whether None is in a column."""
    return not numbers(column) and None in column


def _added(make: Any) -> bool:
    """Whether an aggregate takes only what can be added: numbers, without a look at each."""
    return getattr(make, "purpose", "") == "added"


def _whole(number: float | None) -> Any:
    """A whole number as one: what is computed with whole times stays whole."""
    return int(number) if number is not None and number == int(number) else number


def _seconds(time: datetime) -> Any:
    """Seconds since 1970; a time without a zone is taken for UTC."""
    gap = (time if time.tzinfo else time.replace(tzinfo=timezone.utc)) - _EPOCH
    return (
        gap.days * 86400 + gap.seconds + (gap.microseconds / 1_000_000 if gap.microseconds else 0)
    )
