"""What the tests of joins share: random joins, what must come out of them, and reading them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hypothesis import strategies as st

from penstock import Batch, Context
from penstock.testing import Idle, ListInput
from penstock_streams.joins import JoinInput, On
from penstock_streams.merging import Edge, Start


class Case(NamedTuple):
    """A join of lists; every record has `k`, `l` and `n`, its number."""

    streams: Mapping[str, list[Any]]
    on: Mapping[str, Mapping[str, Any]]
    shape: str
    cuts: Mapping[str, int]  # records in a batch

    def input(self, cls: type[JoinInput] = JoinInput, cuts: int | None = None) -> JoinInput:
        return cls(
            inputs={
                name: ListInput(values=values, batch_size=cuts or self.cuts[name])
                for name, values in self.streams.items()
            },
            on={name: On(**on) for name, on in self.on.items()},
            shape=self.shape,
        )


@st.composite
def streams(draw: st.DrawFn) -> list[Any]:
    """Records of which now and then one is out of order, or an idle moment between them."""
    values: list[Any] = []
    key = 0
    for number in range(draw(st.integers(0, 12))):
        key += draw(st.sampled_from([0, 0, 1, 1, 2, 5]))
        fallen = draw(st.integers(0, 9)) == 0
        values.append({"k": key - 3 if fallen else key, "l": key + 1, "n": number, "b": key % 2})
        if draw(st.integers(0, 7)) == 0:
            values.append(Idle())
    return values


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = ["a", "b", "c", "d"][: draw(st.integers(2, 4))]
    on: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(names[1:], 1):
        match = draw(st.sampled_from(["equal", "equal", "asof"]))
        kinds = ["inner", "left"]
        if len(names) == 2 and match == "equal":
            kinds.append("outer")
        on[name] = {
            "left": draw(st.sampled_from(["k", "l"])),
            "right": draw(st.sampled_from(["k", "l"])),
            "to": draw(st.sampled_from(names[:index])),
            "kind": draw(st.sampled_from(kinds)),
            "match": match,
        }
        if match == "asof":
            on[name]["tolerance"] = draw(st.sampled_from([None, 0, 2]))
            on[name]["by"] = draw(st.sampled_from([None, "b"]))
    shape = draw(st.sampled_from(["rows", "nested"]))
    if any(one["kind"] == "outer" for one in on.values()):
        shape = "nested"
    return Case(
        {name: draw(streams()) for name in names},
        on,
        shape,
        {name: draw(st.integers(1, 5)) for name in names},
    )


class Read(NamedTuple):
    """What was read: records with their ordinals, failures, and the position after each batch."""

    records: list[Any]
    ordinals: list[int]
    failures: list[tuple[str, int]]
    positions: list[tuple[int, int, dict[str, Any]]]  # after so many records and failures
    counts: dict[str, Any]


def read(join: JoinInput, positions: Mapping[str, Any] | None = None) -> Read:
    """Read a join to its end, with every position as JSON keeps it."""
    counts: dict[str, Any] = {}
    made = Read([], [], [], [], counts)
    at = dict(positions or {})
    join.open(Context("join", observations=counts))
    try:
        for batch in _batches(join, at):
            made.records.extend(batch.records)
            made.ordinals.extend(batch.ordinals)
            made.failures.extend((batch.source, one.ordinal) for one in batch.failures)
            at[batch.source or "join"] = batch.resume
            kept = json.loads(json.dumps(at))
            made.positions.append((len(made.records), len(made.failures), kept))
    finally:
        join.close()
    return made


def _batches(join: JoinInput, positions: Mapping[str, Any]) -> Iterator[Batch]:
    for batch in join.read(dict(positions)):
        if batch is not None:
            yield batch


# ---- what must come out, found the slow way -----------------------------------------------------


def expected(case: Case) -> list[Any]:
    """The nested records of a join."""
    sound = {name: _sound(case, name) for name in case.streams}
    first = next(name for name in case.streams if name not in case.on)
    joined = [one for record in sound[first] for one in _nested(case, sound, first, record)]
    if [on["kind"] for on in case.on.values()] == ["outer"]:
        joined = _with_strays(case, sound, first, joined)
    return joined


def _sound(case: Case, name: str) -> list[Any]:
    """The records of a stream without those that are out of order in any of its keys."""
    keys = [case.on[name]["right"]] if name in case.on else []
    keys += [on["left"] for on in case.on.values() if on["to"] == name]
    last = dict.fromkeys(keys, -1000)
    kept = []
    for record in case.streams[name]:
        if not isinstance(record, Idle) and all(record[key] >= last[key] for key in keys):
            last = {key: record[key] for key in keys}
            kept.append(record)
    return kept


def set_aside(case: Case) -> int:
    total = sum(not isinstance(one, Idle) for values in case.streams.values() for one in values)
    return total - sum(len(_sound(case, name)) for name in case.streams)


def _nested(case: Case, sound: Mapping[str, list[Any]], name: str, record: Any) -> list[Any]:
    children = {other: on for other, on in case.on.items() if on["to"] == name}
    if name in case.on and not children:
        return [record]
    made = {name: record}
    for other, on in children.items():
        matches = [
            one
            for right in _matches(on, record, _alive(case, sound, other))
            for one in _nested(case, sound, other, right)
        ]
        if not matches and on["kind"] == "inner":
            return []
        made[other] = matches
    return [made]


def _alive(case: Case, sound: Mapping[str, list[Any]], name: str) -> list[Any]:
    """The records of a stream that have what they themselves must be joined with."""
    return [record for record in sound[name] if _nested(case, sound, name, record)]


def _matches(on: Mapping[str, Any], left: Any, stream: list[Any]) -> list[Any]:
    key = left[on["left"]]
    if on["match"] == "equal":
        return [right for right in stream if right[on["right"]] == key]
    by, tolerance = on["by"], on["tolerance"]
    early = [
        right
        for right in stream
        if right[on["right"]] <= key and (by is None or right[by] == left[by])
    ][-1:]
    return [one for one in early if tolerance is None or key - one[on["right"]] <= tolerance]


def _with_strays(case: Case, sound: Any, first: str, joined: list[Any]) -> list[Any]:
    ((other, on),) = case.on.items()
    asked = {record[on["left"]] for record in sound[first]}
    alone = [
        (record[on["right"]], {first: None, other: [record]})
        for record in sound[other]
        if record[on["right"]] not in asked
    ]
    both = [(one[first][on["left"]], one) for one in joined] + alone
    return [one for _, one in sorted(both, key=lambda pair: pair[0])]


def rows(case: Case, nested: list[Any]) -> list[Any]:
    """Nested records as rows of `n` alone, under the names of their streams."""
    made = []
    for record in nested:
        made += _rows_of(case, next(iter(record)), record)
    return made


def _rows_of(case: Case, name: str, record: Any) -> list[Any]:
    children = [other for other, on in case.on.items() if on["to"] == name]
    if not children:
        return [{name: record["n"]}]
    found = [{name: record[name]["n"]}]
    for other in children:
        parts = [row for one in record[other] for row in _rows_of(case, other, one)]
        if parts:
            found = [{**left, **right} for left in found for right in parts]
    return found


class FromTheReaders(JoinInput):
    """What is tempting: store where the readers are, not where what was given came from."""

    def _batch(self, rows: list[Any], start: Any, over: int) -> Any:
        read_to = self._root.part.mark()
        states = [_where_read(edge) for edge in self._root.edges]
        mark = {**read_to, "edges": states, "unmatched": 0}
        return super()._batch(rows, {"mark": mark, "skip": 0}, 0)


def _where_read(edge: Edge) -> dict[str, Any]:
    mark: Start = edge.side.part.mark()
    inner = [_where_read(one) for one in edge.side.edges]
    return {
        "from": {"mark": {**(mark or {}), "edges": inner, "unmatched": 0}, "skip": 0},
        "matched": 0,
        "unmatched": 0,
    }
