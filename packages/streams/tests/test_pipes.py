"""A function is a pipe: its signature says what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Optional, Union

import msgspec
import pytest

from penstock import ConfigError, Context, MemoryStore, run
from penstock.testing import Idle, ListInput, ListOutput
from penstock_streams import (
    Call,
    EndOfStream,
    JoinInput,
    On,
    Window,
    With,
    alias,
    call,
    field,
    join,
    pipe,
)


@dataclass(frozen=True)
class Location:
    t: int
    x: int


Later = alias(Location, "Later")


@dataclass
class Speed:
    t: int
    speed: float


@dataclass
class Tag:
    """Cannot be hashed, as dataclasses are by default."""

    t: int
    tag: str


Other = alias(Tag, "Other")


class Place(msgspec.Struct):
    t: int


@dataclass(frozen=True)
class B:
    id: int
    to: int


@dataclass(frozen=True)
class C:
    id: int


D = alias(C, "D")

ROBOTS = [{"t": t, "x": t * t, "extra": 1} for t in range(0, 60, 10)]
TEN_LATER = join(Location, With(Later, left=field("t") + 10, right=field("t")))


def through(function: Any, values: Any = ROBOTS, store: Any = None, **options: Any) -> list[Any]:
    """What a function makes of one stream, or of those given by type."""
    if not isinstance(values, dict):
        values = {_element(function): values}
    out = ListOutput()
    inputs = {kind: ListInput(values=given, batch_size=4) for kind, given in values.items()}
    run([*pipe(function, inputs, **options), out], store=store)
    return out.values


def _element(function: Any) -> Any:
    from penstock_streams.signatures import signature_of

    return signature_of(function).element


def test_elements_come_as_objects_and_results_become_records():
    def double(one: Location) -> Speed:
        return Speed(one.t, one.x * 2.0)

    assert through(double)[:2] == [{"t": 0, "speed": 0.0}, {"t": 10, "speed": 200.0}]


def test_structs_and_plain_mappings_are_elements_too():
    def of_struct(one: Place) -> Place:
        return Place(one.t + 1)

    def of_mapping(one: dict[str, Any]) -> dict[str, Any]:
        return {"sum": one["t"] + one["x"]}

    assert through(of_struct)[1] == {"t": 11}
    assert through(of_mapping)[1] == {"sum": 110}


def test_a_join_gives_each_element_with_its_matches():
    def speed(now: Location, later: Mapping[Location, list[Later]]) -> Speed:
        [after] = later[now]
        assert type(after) is Later
        return Speed(now.t, (after.x - now.x) / 10)

    made = through(speed, {Location: ROBOTS, Later: ROBOTS}, join=TEN_LATER)
    assert [one["speed"] for one in made] == [10, 30, 50, 70, 90]


def test_a_star_and_a_chain_are_matched_by_their_types():
    def collect(
        now: Location, ds: Mapping[Location, list[D]], cs: Mapping[B, list[C]],
        bs: Mapping[Location, list[B]],
    ) -> dict[str, Any]:  # fmt: skip
        chained = [(b.id, [c.id for c in cs[b]]) for b in bs[now]]
        return {"t": now.t, "ds": len(ds[now]), "chain": chained}

    tree = join(
        Location,
        With(
            join(B, With(C, left=field("to"), right=field("id"))),
            left=field("t"),
            right=field("id"),
        ),
        With(D, left="t // 10", right="id", kind="left"),
    )
    made = through(
        collect,
        {
            Location: ROBOTS,
            B: [{"id": 10, "to": 1}, {"id": 10, "to": 2}, {"id": 20, "to": 9}],
            C: [{"id": 1}, {"id": 1}, {"id": 2}],
            D: [{"id": 1}, {"id": 1}, {"id": 1}],
        },
        join=tree,
    )
    assert made == [{"t": 10, "ds": 3, "chain": [(10, [1, 1]), (10, [2])]}]


def test_elements_that_cannot_be_hashed_have_matches_too():
    def count(now: Tag, others: Mapping[Tag, list[Other]]) -> dict[str, Any]:
        assert len(others) == 1
        assert list(others) == [now]
        assert others[Tag(now.t, now.tag)] == others[now]
        with pytest.raises(KeyError):
            others[Tag(99, "?")]
        return {"t": now.t, "n": len(others[now])}

    tags = [{"t": 1, "tag": "a"}, {"t": 1, "tag": "b"}, {"t": 2, "tag": "c"}]
    tree = join(Tag, With(Other, left="t", right="t"))
    made = through(count, {Tag: tags, Other: tags}, join=tree)
    assert made == [{"t": 1, "n": 2}, {"t": 1, "n": 2}, {"t": 2, "n": 1}]


def test_a_window_gives_a_list_of_elements():
    def far(some: list[Location]) -> dict[str, int]:
        return {"from": some[0].t, "n": len(some)}

    by_key = Window(kind="change", key=field("t") // 30)
    assert through(far, window=by_key) == [{"from": 0, "n": 3}, {"from": 30, "n": 3}]
    by_time = Window(kind="tumbling", time="t", size="20s")
    assert through(far, window=by_time) == [
        {"from": 0, "n": 2}, {"from": 20, "n": 2}, {"from": 40, "n": 2},
    ]  # fmt: skip


def test_a_window_of_a_join_holds_the_elements_with_their_matches():
    def ways(some: list[Location], later: Mapping[Location, list[Later]]) -> dict[str, list[int]]:
        return {"ways": [later[one][0].x - one.x for one in some]}

    made = through(
        ways,
        {Location: ROBOTS, Later: ROBOTS},
        join=TEN_LATER,
        window=Window(kind="change", key=field("t") // 30),
    )
    assert made == [{"ways": [100, 300, 500]}, {"ways": [700, 900]}]


def test_a_window_that_is_cut_off_is_not_torn():
    def times(some: list[Location]) -> dict[str, list[int]]:
        return {"times": [one.t for one in some]}

    window = Window(kind="change", key=field("t") // 30)
    for limit in range(1, 6):
        store, values = MemoryStore(), []
        for most in (limit, None):
            from penstock.build import pipeline_of

            out = ListOutput()
            source = ListInput(values=ROBOTS, batch_size=2)
            pipeline = pipeline_of([[*pipe(times, {Location: source}, window=window), out]])
            pipeline.start(store=store, max_records=most).execute()
            values += out.values
        assert values == [{"times": [0, 10, 20]}, {"times": [30, 40, 50]}]


# ---- what comes out -----------------------------------------------------------------------------


def test_a_generator_gives_any_number_of_results():
    def some(one: Location) -> Iterator[Speed]:
        for number in range(one.t // 20):
            yield Speed(one.t, number)

    assert [one["t"] for one in through(some)] == [20, 30, 40, 40, 50, 50]


@pytest.mark.parametrize("hint", [None, NoReturn, "nothing"])
def test_without_a_result_nothing_comes_out(hint):
    seen = []

    def keep(one: Location):  # type: ignore[no-untyped-def]
        seen.append(one.t)

    if hint != "nothing":
        keep.__annotations__["return"] = hint
    assert through(keep) == []
    assert seen == [0, 10, 20, 30, 40, 50]


def test_none_leaves_an_element_out():
    def late(one: Location) -> Optional[Location]:  # noqa: UP045
        return one if one.t > 30 else None

    assert through(late) == [{"t": 40, "x": 1600}, {"t": 50, "x": 2500}]


def test_end_of_stream_stops_the_run_and_what_was_read_more_is_filtered():
    def until(one: Location) -> Union[Location, EndOfStream]:  # noqa: UP007
        return one if one.t < 20 else EndOfStream()

    assert [one["t"] for one in through(until)] == [0, 10]


def test_end_of_stream_may_be_yielded_last():
    def until(one: Location) -> Iterator[Location | EndOfStream]:
        yield one
        if one.t == 10:
            yield EndOfStream()

    assert [one["t"] for one in through(until)] == [0, 10]


def test_an_element_may_be_decoded_and_a_result_encoded_in_ones_own_way():
    def same(one: Location) -> Location:
        return one

    made = through(
        same,
        [{"time": "5"}, {"time": "6"}],
        decode={Location: lambda record: Location(int(record["time"]), 0)},
        encode={Location: lambda one: {"T": one.t}},
    )
    assert made == [{"T": 5}, {"T": 6}]


def test_keys_are_read_from_what_decode_makes():
    def times(some: list[Location], later: Mapping[Location, list[Later]]) -> dict[str, Any]:
        return {"n": len(some), "later": sum(len(later[one]) for one in some)}

    texts = [{"time": str(t)} for t in range(0, 60, 10)]
    made = through(
        times,
        {Location: texts, Later: texts},
        join=TEN_LATER,
        window=Window(kind="change", key="t // 30"),
        decode={
            Location: lambda record: Location(int(record["time"]), 0),
            Later: lambda record: Later(int(record["time"]), 0),
        },
    )
    assert made == [{"n": 3, "later": 3}, {"n": 2, "later": 2}]

    def alone(some: list[Location]) -> dict[str, Any]:
        return {"n": len(some)}

    made = through(
        alone,
        texts,
        window=Window(kind="change", key=field("t") // 30),
        decode={Location: lambda record: Location(int(record["time"]), 0)},
    )
    assert made == [{"n": 3}, {"n": 3}]


def test_a_window_by_the_clock_closes_while_nothing_comes():
    moments = iter([5, 5, 31, 31])

    def count(some: list[Location]) -> dict[str, int]:
        return {"n": len(some)}

    values = [ROBOTS[0], ROBOTS[1], Idle(), ROBOTS[2]]
    key = call(lambda _: next(moments)) // 30
    assert through(count, values, window=Window(kind="change", key=key)) == [{"n": 2}, {"n": 1}]


# ---- what is provided ---------------------------------------------------------------------------


class Database:
    opened: list[Database] = []

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.closed = False
        Database.opened.append(self)

    def close(self) -> None:
        self.closed = True


def test_what_else_a_function_takes_is_provided_by_its_type():
    def store(one: Location, db: Database, context: Context, factor: int = 1) -> None:
        db.rows.append((one.t, context.name, factor))

    own = Database()
    assert through(store, provide={Database: own}) == []
    assert own.rows[1] == (10, "call", 1)
    assert not own.closed
    through(store, provide={Database: Database})
    made = Database.opened[-1]
    assert len(made.rows) == 6
    assert made.closed  # what was made for the run is closed with it
    through(store, provide={"db": lambda: own})
    assert len(own.rows) == 12


def test_a_function_of_the_interface_takes_what_implements_it():
    class Own(Database):
        pass

    def store(one: Location, db: Database) -> None:
        db.rows.append(one)

    own = Own()
    through(store, provide={Own: own})
    assert len(own.rows) == 6


# ---- what goes wrong ----------------------------------------------------------------------------


def test_a_record_that_is_no_element_is_a_dead_letter_with_the_field():
    def same(one: Location) -> Location:
        return one

    out = ListOutput()
    source = ListInput(values=[ROBOTS[0], {"t": "5", "x": 1}, {"t": 5}, ROBOTS[1]])
    report = run([*pipe(same, {Location: source}), out])
    assert len(out.values) == 2
    assert {one.message for one in report.failures} == {
        "t: must be a whole number, got '5'",
        "x: is missing",
    }


def test_a_wrong_element_of_a_window_or_a_join_does_not_take_others_with_it():
    def count(some: list[Location]) -> dict[str, int]:
        return {"n": len(some)}

    out = ListOutput()
    source = ListInput(values=[ROBOTS[0], {"t": "5", "x": 1}, ROBOTS[1]])
    window = Window(kind="change", key=field("t") // 30)
    report = run([*pipe(count, {Location: source}, window=window), out])
    assert (out.values, report.letters) == ([{"n": 2}], 1)

    def speed(now: Location, later: Mapping[Location, list[Later]]) -> dict[str, int]:
        return {"n": len(later[now])}

    out = ListOutput()
    inputs = {
        Location: ListInput(values=ROBOTS),
        Later: ListInput(values=[*ROBOTS[:3], {"t": None, "x": 1}, *ROBOTS[3:]]),
    }
    report = run([*pipe(speed, inputs, join=TEN_LATER), out])
    assert (len(out.values), report.letters) == (5, 1)
    assert report.failures[0].message == "t: must be a whole number, got None"
    assert report.failures[0].example.endswith("/Later:4")


def test_a_function_that_raises_sets_the_element_aside():
    def divide(one: Location) -> Location:
        return Location(one.t, 1 // one.x)

    out = ListOutput()
    report = run([*pipe(divide, {Location: ListInput(values=ROBOTS)}), out])
    assert (len(out.values), report.letters) == (5, 1)


def test_yielding_none_is_a_failure():
    def some(one: Location) -> Iterator[Location]:
        yield None  # type: ignore[misc]

    report = run([*pipe(some, {Location: ListInput(values=ROBOTS[:1])}), ListOutput()])
    assert report.failures[0].message == "some yielded None; yield results only"


def one(a: Location) -> Location:
    return a


def many(a: list[Location]) -> Location:
    return a[0]


def joined(a: Location, b: Mapping[Location, list[Later]]) -> None: ...


def needs(a: Location, db: Database) -> None: ...


def untyped(a: Location, b) -> None: ...  # type: ignore[no-untyped-def]


def none() -> None: ...


def loose(a: Location, b: Mapping[Location, Later]) -> None: ...


def unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


KEYED = {"left": "t", "right": "t"}


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (many, {}, "many: takes a list of elements; say with window which ones"),
        (
            one,
            {"window": Window(kind="count", size=2)},
            "one: takes one element, and a window is many; make its first argument a list",
        ),
        (
            many,
            {"window": Window(kind="count", size=2, aggregate={"n": "count()"})},
            "many: takes the elements of a window, so leave out aggregate",
        ),
        (joined, {}, "joined: takes matches; say with join what is joined"),
        (
            joined,
            {"join": join(Location, With(Tag, **KEYED))},
            "joined: Later does not stand in the join",
        ),
        (
            joined,
            {"join": join(Later, With(Location, **KEYED))},
            "joined: its first argument is Location, and the join begins with Later",
        ),
        (
            joined,
            {"join": join(Location, With(join(Tag, With(Later, **KEYED)), **KEYED))},
            "joined: argument 'b': Later is not joined to Location",
        ),
        (
            needs,
            {},
            "needs: nothing is provided for argument 'db'; say what with provide, by the name or "
            "by the type Database",
        ),
        (
            untyped,
            {},
            "untyped: argument 'b' has no type; annotate it, as in b: Location",
        ),
        (none, {}, "none: takes no element; give it a first argument for one"),
        (
            loose,
            {},
            "loose: argument 'b' must be a Mapping of one type to a list of another, as in "
            "Mapping[Order, list[Payment]]",
        ),
        (unknown, {}, "unknown: its annotations cannot be read: name 'Missing' is not defined"),
        (
            many,
            {
                "window": Window(kind="tumbling", time="t", size=5, by="x"),
                "decode": {Location: Location},
            },
            "a window of joined or decoded elements takes no by",
        ),
    ],
)
def test_what_does_not_fit_the_signature_is_said_before_the_run(function, options, message):
    with pytest.raises(ConfigError) as caught:
        pipe(function, {Location: ListInput()}, **options)
    assert str(caught.value).removeprefix("Call: ") == message


def test_an_input_that_is_missing_is_named():
    with pytest.raises(ConfigError) as caught:
        pipe(joined, {Location: ListInput()}, join=TEN_LATER)
    assert str(caught.value) == "joined: no input is given for Later"


def test_a_stream_stands_in_a_join_once():
    with pytest.raises(ConfigError) as caught:
        pipe(joined, {}, join=join(Location, With(Location, **KEYED)))
    assert str(caught.value) == (
        "Location stands in the join twice; give one of them another name with "
        "alias(Location, 'Other')"
    )
    with pytest.raises(ConfigError) as caught:
        join(Location)
    assert str(caught.value) == "nothing is joined to Location; add With(…)"


def test_matches_of_what_no_argument_is_are_refused_when_the_run_begins():
    def odd(a: Location, b: Mapping[Tag, list[Later]]) -> None: ...

    with pytest.raises(ConfigError, match="argument 'b' belongs to"):
        run(ListInput(values=ROBOTS), Call(function=odd), ListOutput())


# ---- in a file ----------------------------------------------------------------------------------


def test_arguments_are_the_inputs_of_a_join_by_name():
    def speed(now: Location, later: Mapping[Location, list[Later]]) -> dict[str, int]:
        return {"way": later[now][0].x - now.x}

    inputs = {"now": ListInput(values=ROBOTS), "after": ListInput(values=ROBOTS)}
    source = JoinInput(
        inputs=inputs, on={"after": On(left=field("t") + 10, right="t")}, shape="nested"
    )
    out = ListOutput()
    run(source, Call(function=speed, names={"later": "after"}), out)
    assert [one["way"] for one in out.values] == [100, 300, 500, 700, 900]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (joined, "the record has no 'a': joined takes what comes of a nested join"),
        (many, "the record has no 'records': many takes what comes of a window"),
    ],
)
def test_a_function_at_the_wrong_place_says_what_it_takes(function, message):
    report = run(ListInput(values=ROBOTS[:1]), Call(function=function), ListOutput())
    assert report.failures[0].message == message


def test_a_function_is_named_and_its_provisions_too(tmp_path, monkeypatch):
    (tmp_path / "speeds.py").write_text(
        "from dataclasses import dataclass\n\n\n"
        "@dataclass\nclass Place:\n    t: int\n\n\n"
        "class Db:\n    pass\n\n\n"
        "def connect() -> Db:\n    return Db()\n\n\n"
        "def double(one: Place, db: Db) -> Place:\n"
        "    assert isinstance(db, Db)\n    return Place(one.t * 2)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = ListOutput()
    double = Call(function="speeds:double", provide={"db": "speeds:connect"})
    run(ListInput(values=ROBOTS[:2]), double, out)
    assert out.values == [{"t": 0}, {"t": 20}]
    with pytest.raises(ConfigError) as caught:
        Call(function="speeds")
    assert str(caught.value) == (
        "Call.function: must be a function, or its name as 'module:function', got 'speeds'"
    )
