"""An input made of inputs: their records joined by key, in one pass over all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Annotated, Any, Literal, cast

from penstock import (
    BATCH_SIZE,
    EPOCH_END,
    Batch,
    Context,
    Duration,
    Input,
    Inputs,
    component,
    option,
)

from .asof import AsOfEdge
from .declared import check_inputs
from .keys import Key, check_key
from .merging import Edge, Side, alone
from .parts import Part, Stretch
from .shapes import Nested, Rows, Tree

__all__ = ["JoinInput", "On"]

_STRETCHES = 4  # whose rows are given together


@component
class On:
    """How one input of a join is joined to another."""

    left: Any = option(
        help="Key of the input that it is joined to: a field or an expression.",
        check=check_key,
        example="id",
    )
    right: Any = option(help="Key of its own.", check=check_key, example="order_id")
    to: str | None = option(
        default=None, help="The input that it is joined to; left out, the one that `on` lacks."
    )
    kind: Literal["inner", "left", "outer"] = option(
        default="inner",
        help="What becomes of a record without a match: inner leaves it out, left keeps it if it "
        "is of the left input, outer keeps it.",
    )
    match: Literal["equal", "asof"] = option(
        default="equal",
        help="Which records match: those with an equal key, or the last one as of that key.",
    )
    tolerance: Duration | None = option(
        default=None,
        help="Of asof: how far back the match may lie; seconds for times, else as the keys count.",
    )
    by: Any = option(
        default=None,
        help="Of asof: what must be equal as well; two of them in a list where it is called "
        "differently on the right.",
        example="symbol",
    )

    def check(self) -> None:
        if self.match != "asof" and (self.by is not None or self.tolerance is not None):
            raise ValueError("tolerance and by are of match: asof")
        if self.match == "asof" and self.kind == "outer":
            raise ValueError("a match as of a key is inner or left")
        for one in self.bys:
            check_key(one)

    @property
    def shared(self) -> frozenset[str]:
        """The fields of the same name that are equal on both sides."""
        pairs = [(self.left, self.right)] if self.match == "equal" else []
        pairs += [tuple(self.bys)] if self.bys else []
        same = [left for left, right in pairs if isinstance(left, str) and left == right]
        return frozenset(one for one in same if one.isidentifier())

    @property
    def bys(self) -> list[Any]:
        """The keys of `by` on the left and on the right, or none."""
        if self.by is None:
            return []
        both: list[Any] = self.by if isinstance(self.by, list) else [self.by, self.by]
        if len(both) != 2:
            raise ValueError("by is one key, or a list of two")
        return both


@component
class JoinInput(Input):
    """Join inputs whose records come in the order of their keys, by merging them.

    One input is the left one of all, the others are joined to it or to each other. What is out of
    order, or has no key, is set aside; what has no match is counted in the report.
    """

    inputs: Annotated[dict[str, Any], Inputs()] = option(
        help="The inputs to join, by name: each declared as under `inputs` of a file, or the name "
        "of one that is declared there.",
        check=check_inputs,
        example={"orders": {"use": "csv", "path": "orders.csv"}},
    )
    on: dict[str, On] = option(
        help="For each input but one, how it is joined.",
        example={"payments": {"left": "id", "right": "order_id"}},
    )
    shape: Literal["rows", "nested"] = option(
        default="rows",
        help="What comes out: rows with the fields of all, one for each combination; or the record "
        "and lists of its matches, each under the name of its input.",
    )
    disorder: Literal["collect", "stop"] = option(
        default="collect",
        help="What becomes of a record whose key is smaller than one before: collect sets it "
        "aside, stop ends the run.",
    )
    decode: dict[str, Callable[..., Any]] = option(
        default={},
        help="In Python: functions that make of a record the object whose keys are read; a record "
        "for which one raises is set aside.",
    )

    def check(self) -> None:
        for name, part in self.inputs.items():
            if part.capability != "replayable":
                raise ValueError(
                    f"inputs.{name} is {part.capability}: a join resumes by reading again"
                )
        left = [name for name in self.inputs if name not in self.on]
        if len(left) != 1:
            shown = " and ".join(left) or "none"
            raise ValueError(f"on must name every input but one, the left one of all, not {shown}")
        for name in self.on:
            if name not in self.inputs:
                raise ValueError(f"on.{name}: no such input; there are {', '.join(self.inputs)}")
        self._check_tree(left[0])

    def _check_tree(self, first: str) -> None:
        for name, condition in self.on.items():
            to, seen = name, [name]
            while to != first:
                to = self.on[to].to or first
                if to not in self.inputs:
                    raise ValueError(f"on.{seen[-1]}.to: no such input, got {to!r}")
                if to in seen:
                    raise ValueError(f"on.{name}: goes round in a circle: {' -> '.join(seen)}")
                seen.append(to)
            if condition.kind == "outer":
                if len(self.inputs) > 2:
                    raise ValueError(
                        f"on.{name}: an outer join is one of two inputs; make it a join of its "
                        "own, and that an input of this one"
                    )
                if self.shape == "rows":
                    raise ValueError(
                        f"on.{name}: an outer join needs shape: nested, as rows would not say "
                        "which side they are of"
                    )

    # ---- as an input ----------------------------------------------------------------------------

    @property
    def finite(self) -> bool:  # type: ignore[override]
        return all(part.finite for part in self.inputs.values())

    def open(self, context: Context) -> None:
        super().open(context)
        self._told: dict[str, int] = {}
        self._aside: list[Batch] = []
        self._parts: dict[str, Part] = {}
        first = next(name for name in self.inputs if name not in self.on)
        self._root = self._side(first, None)
        self._root.joined = False
        tree = self._tree(first, None)
        self._shape = Nested(tree) if self.shape == "nested" else Rows(tree)
        for name, part in self._parts.items():
            part.open(
                Context(
                    name,
                    pipeline=context.pipeline,
                    run_id=context.run_id,
                    clock=context.clock,
                    state=context.state,
                )
            )

    def close(self) -> None:
        for part in self.inputs.values():
            part.close()

    def commit(self, positions: Mapping[str, Any]) -> None:
        position = positions.get(self.context.name)
        if position is not None:
            for name, at in _positions(self._root, position["start"]).items():
                self._parts[name].source.commit(at)

    def progress(self) -> float | None:
        found = [part.progress() for part in self.inputs.values()]
        known = [one for one in found if one is not None]
        return min(known) if known else None

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        return _together(self._read(positions))

    def _read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        position = positions.get(self.context.name)
        own = f"{self.context.name}/"
        self._told.clear()
        self._told.update(
            {name[len(own) :]: last for name, last in positions.items() if name.startswith(own)}
        )
        self._given = position["given"] if position else 0
        self._skip = position["rows"] if position else 0
        self._start = position["start"] if position else None
        for stretch in self._root.read(self._start):
            yield from self._failures()
            if stretch is None:
                yield None
            else:
                yield from self._batches(stretch)
            self._observe()
        for edge in self._root.edges:
            if edge.kind == "outer":
                yield from self._rest(edge)
        yield from self._failures()
        self._start = {"mark": self._root.mark(), "skip": 0}
        self._observe()
        yield self._batch([], self._start, 0)

    def _rest(self, edge: Edge) -> Iterator[Batch | None]:
        """The left side of an outer join has ended: what is left of the right one."""
        mark = self._root.mark()
        for elements in edge.drain():
            yield from self._failures()
            if elements is None:
                yield None
                continue
            after = self._root.mark()
            nothing, matches = alone(elements)
            rest = Stretch(nothing, [], mark, 0, after, matches)
            yield from self._batches(rest, drained=True)
            mark = after

    # ---- what comes out -------------------------------------------------------------------------

    def _batches(self, stretch: Stretch, *, drained: bool = False) -> Iterator[Batch]:
        """The rows of a stretch, but for those given before the run was cut off.

        `drained`: the left side is at its end, so only rows are left to be skipped.
        """
        elements, first = stretch.elements, stretch.first
        end = 0
        while end < len(elements):
            begin = end
            rows, sizes, end = self._shape(stretch, begin)
            ends = None if sizes is None else list(accumulate(sizes))
            done = min(self._skip, len(rows))  # given already, before the run was cut off
            self._skip -= done
            while done < len(rows):
                part = rows[done : done + BATCH_SIZE] if done or len(rows) > BATCH_SIZE else rows
                done += len(part)
                if done == len(rows) and end == len(elements) and stretch.after is not None:
                    break
                count, over = _elements_in(done, ends)
                if drained:
                    yield self._batch(part, {"mark": stretch.mark, "skip": 0}, begin + done)
                    continue
                place = {"mark": stretch.mark, "skip": first + begin + count}
                yield self._batch(part, place, over)
            else:
                continue
            yield self._batch(part, {"mark": stretch.after, "skip": 0}, 0)
            return
        if not elements:
            if stretch.after is not None:
                place = {"mark": stretch.after, "skip": 0}
            else:
                place = {"mark": stretch.mark, "skip": first}
            yield self._batch([], place, self._skip)

    def _batch(self, rows: list[Any], start: Mapping[str, Any], over: int) -> Batch:
        before, self._given = self._given, self._given + len(rows)
        position = {"start": start, "rows": over, "given": self._given}
        return Batch(rows, "", range(before + 1, self._given + 1), position)

    def _failures(self) -> Iterator[Batch]:
        """What the parts have set aside, under the name of the join and theirs."""
        while self._aside:
            batch = self._aside.pop(0)
            if batch is EPOCH_END:
                yield batch
                continue
            batch.source = f"{self.context.name}/{batch.source}"
            batch.resume = batch.failures[-1].ordinal
            yield batch

    def _observe(self) -> None:
        for name, counts in _counts(self._root).items():
            self.context.observe(name, counts)

    # ---- how it is put together -----------------------------------------------------------------

    def _side(self, name: str, own: On | None) -> Side:
        """The side of one input with all that is joined to it."""
        decode = self.decode.get(name)

        def key(given: Any, where: str, *, ordered: bool = True) -> Key:
            objects = decode is not None
            return Key(given, f"{name}.{where}", attributes=objects, ordered=ordered)

        keys: list[Key] = []
        if own is not None:
            keys.append(key(own.right, "right"))
            keys.extend(key(one, "by", ordered=False) for one in own.bys[1:])
        joined = []
        for other, condition in self._joined_to(name):
            columns = [len(keys)]
            keys.append(key(condition.left, "left"))
            if condition.bys:
                columns.append(len(keys))
                keys.append(key(condition.bys[0], "by", ordered=False))
            joined.append((other, condition, columns))
        part = Part(name, self.inputs[name], keys, decode, disorder=self.disorder)
        part.told, part.set_aside = self._told, self._aside.append
        self._parts[name] = part
        side = Side(part)
        for other, condition, columns in joined:
            right = self._side(other, condition)
            if condition.match == "asof":
                edge: Edge = AsOfEdge(right, condition.kind, columns, condition.tolerance)
            else:
                edge = Edge(right, condition.kind, columns)
            side.edges.append(edge)
        return side

    def _joined_to(self, name: str) -> list[tuple[str, On]]:
        first = next(one for one in self.inputs if one not in self.on)
        return [(other, on) for other, on in self.on.items() if (on.to or first) == name]

    def _tree(self, name: str, own: On | None) -> Tree:
        parts = [self._tree(other, on) for other, on in self._joined_to(name)]
        shared = frozenset[str]() if own is None else own.shared
        return Tree(name, parts, shared)


def _together(batches: Iterator[Batch | None]) -> Iterator[Batch | None]:
    """The same in fewer batches: where many elements have no match, a stretch gives few rows.

    What has come is held back for a few stretches at most, and not when nothing is ready."""
    held: Batch | None = None
    stretches = 0
    for batch in batches:
        given = len(batch.records) if batch is not None else 0
        if held is not None:
            if given and stretches < _STRETCHES and len(held.records) + given <= BATCH_SIZE:
                _extend(held, cast(Batch, batch))
                stretches += 1
                continue
            yield held
            held = None
        if given:
            held, stretches = batch, 1
        else:
            yield batch
    if held is not None:
        yield held


def _extend(held: Batch, batch: Batch) -> None:
    """Take in the rows that come next, and where they end."""
    held.records = [*held.records, *batch.records]
    held.ordinals = range(held.ordinals[0], batch.ordinals[-1] + 1)
    held.resume = batch.resume


def _elements_in(rows: int, ends: list[int] | None) -> tuple[int, int]:
    """How many elements these rows were made of, and how many rows are of the next one."""
    if ends is None:
        return rows, 0
    count = bisect_right(ends, rows)
    return count, rows - (ends[count - 1] if count else 0)


def _positions(side: Side, start: Any) -> dict[str, Mapping[str, Any]]:
    """From a position of the join, the positions of the inputs that it is made of."""
    if start is None:
        return {}
    found = {side.part.name: start["mark"]["at"]}
    for edge, state in zip(side.edges, start["mark"].get("edges", ())):
        found.update(_positions(edge.side, state["from"]))
    return found


def _counts(side: Side, passed: int | None = None) -> dict[str, dict[str, int]]:
    """For each part: how many elements were read, had no match, and were set aside."""
    unmatched = side.unmatched + (passed or 0)
    part = side.part
    counts = {"read": part.read_so_far, "unmatched": unmatched, "set_aside": part.failed}
    found = {part.name: counts}
    for edge in side.edges:
        found.update(_counts(edge.side, edge.unmatched))
    return found
