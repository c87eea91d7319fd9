"""What watermill's document promises, row by row of the inventory of its behaviour: functions, elements, joins.

The name of each test begins with the number of the row. Where code and document of the original
disagree, the document holds; decision 26 says the rest.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, List, NoReturn, Optional, Union  # noqa: UP035

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mills import (
    ROBOTS,
    SPEEDS,
    TEN_LATER,
    Also,
    Leaf,
    Lists,
    Location,
    Mid,
    Next,
    Odd,
    Speed,
    run,
    speed,
)

from penstock import ConfigError
from penstock_watermill import (
    EndOfStream,
    Injector,
    JoinWith,
    JsonFileMessageBroker,
    WaterMill,
    const_expression,
    function_call,
    get_field,
    get_fields,
    join_streams,
    window,
)


def test_W01_the_signature_is_the_configuration():
    def one(location: Location) -> Speed:
        return Speed(location.time, 0.0)

    def some(locations: List[Location]) -> Speed:  # noqa: UP006
        return Speed(locations[0].time, float(len(locations)))

    assert run(one, {Location: ROBOTS[:1]}, Speed, stream_cls=Location) == [
        {"time": 0, "speed": 0.0}
    ]
    windows = window(cls=Location, window_expression=get_field("time") // 30)
    assert run(some, {Location: ROBOTS}, Speed, stream_cls=windows) == [
        {"time": 0, "speed": 3.0},
        {"time": 30, "speed": 3.0},
    ]
    assert run(speed, {Location: ROBOTS, Next: ROBOTS}, Speed, join_tree=TEN_LATER) == SPEEDS


def test_W02_a_mill_needs_one_of_stream_cls_and_join_tree_and_run_blocks():
    with pytest.raises(AssertionError, match="give one of stream_cls and join_tree"):
        WaterMill(Lists({}), speed)
    with pytest.raises(AssertionError, match="give one of stream_cls and join_tree"):
        WaterMill(Lists({}), speed, stream_cls=Location, join_tree=TEN_LATER)
    broker = Lists({Location: ROBOTS, Next: ROBOTS})
    report = WaterMill(broker=broker, process_func=speed, join_tree=TEN_LATER).run()
    assert report.ok
    assert broker.sent(Speed) == SPEEDS


@pytest.mark.parametrize("hint", ["nothing", None, NoReturn])
def test_W03_a_function_may_have_no_result(hint):
    seen = []

    def keep(location: Location):  # type: ignore[no-untyped-def]
        seen.append(location.time)

    if hint != "nothing":
        keep.__annotations__["return"] = hint
    broker = Lists({Location: ROBOTS})
    report = WaterMill(broker, keep, stream_cls=Location).run()
    assert seen == [0, 10, 20, 30, 40, 50]
    assert broker.outputs == {}
    assert report.positions  # the document: positions are saved, result or not


def test_W04_a_generator_gives_several_results_or_none():
    def several(location: Location) -> Iterator[Speed]:
        for number in range(location.time // 20):
            yield Speed(location.time, float(number))

    made = run(several, {Location: ROBOTS}, Speed, stream_cls=Location)
    assert [one["time"] for one in made] == [20, 30, 40, 40, 50, 50]

    def wrong(location: Location) -> Iterator[Speed]:
        yield None  # type: ignore[misc]

    with pytest.raises(ValueError, match="wrong yielded None"):
        run(wrong, {Location: ROBOTS}, stream_cls=Location)


def test_W05_none_leaves_the_element_out():
    def some(location: Location) -> Optional[Speed]:  # noqa: UP045
        return Speed(location.time, 1.0) if location.time > 30 else None

    def union(location: Location) -> Union[Speed, EndOfStream]:  # noqa: UP007
        return Speed(location.time, 1.0)

    made = run(some, {Location: ROBOTS}, Speed, stream_cls=Location)
    assert [one["time"] for one in made] == [40, 50]
    assert len(run(union, {Location: ROBOTS}, Speed, stream_cls=Location)) == 6


def test_W06_elements_are_dataclasses_in_code_and_dicts_outside():
    def same(location: Location) -> Location:
        assert isinstance(location, Location)
        return location

    assert run(same, {Location: ROBOTS}, Location, stream_cls=Location) == ROBOTS

    # The original needed frozen=True of masters; here any dataclass may be one.
    def count(odd: Odd, also: Mapping[Odd, List[Next]]) -> Odd:  # noqa: UP006
        assert len(also[odd]) == 1
        return odd

    tree = join_streams(Odd, JoinWith(Next, get_field("time"), get_field("time")))
    streams = {Odd: [{"time": 10}], Next: ROBOTS}
    assert run(count, streams, Odd, join_tree=tree) == [{"time": 10}]


class Connection:
    def __init__(self) -> None:
        self.stored: list[Any] = []


def store(location: Location, connection: Connection, mill: WaterMill) -> NoReturn:  # type: ignore[misc]
    assert isinstance(mill, WaterMill)
    connection.stored.append(location.time)


class Delivers:
    """An injector of somebody else's."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def deliver(self, kind: type) -> Any:
        assert kind is not int
        return self.connection if kind is Connection else None


def test_W07_further_arguments_are_injected_by_their_type():
    connection = Connection()
    injector = Injector()
    injector.prepare(Connection, connection)
    made = Injector()
    made.prepare(Connection, lambda: connection)
    for one in (injector, made, {Connection: connection}, Delivers(connection)):
        connection.stored.clear()
        run(store, {Location: ROBOTS}, stream_cls=Location, injector=one)
        assert connection.stored == [0, 10, 20, 30, 40, 50]
    with pytest.raises(ConfigError, match="nothing is provided for argument 'connection'"):
        run(store, {Location: ROBOTS}, stream_cls=Location)


def test_W08_elements_are_deserialized_and_results_serialized():
    def same(location: Location) -> Speed:
        return Speed(location.time, 1.0)

    extra = [{"time": 1, "x": 2, "more": 3}]
    assert run(same, {Location: extra}, Speed, stream_cls=Location) == [{"time": 1, "speed": 1.0}]
    broker = Lists({Location: [{"time": "1", "x": 0}, {"x": 0}, ROBOTS[1]]})
    report = WaterMill(broker, same, stream_cls=Location).run()
    assert [one["time"] for one in broker.sent(Speed)] == [10]
    assert {one.message for one in report.failures} == {
        "time: must be a whole number, got '1'",
        "time: is missing",
    }
    made = run(
        same,
        {Location: [{"t": "7"}]},
        Speed,
        stream_cls=Location,
        deserializers={Location: lambda record: Location(int(record["t"]), 0)},
        serializers={Speed: lambda speed: {"T": speed.time}},
    )
    assert made == [{"T": 7}]


def test_W09_streams_are_named_by_file_or_topic_alone(tmp_path):
    """What one service writes as its class, another reads as its own."""

    def first(location: Location) -> Speed:
        return Speed(location.time, 2.0)

    def second(odd: Odd) -> Odd:
        return odd

    (tmp_path / "in.json").write_text(json.dumps(ROBOTS))
    paths = {Location: tmp_path / "in.json", Speed: tmp_path / "between.json"}
    WaterMill(JsonFileMessageBroker(paths), first, stream_cls=Location).run()
    paths = {Odd: tmp_path / "between.json"}
    out = Lists({})
    WaterMill(JsonFileMessageBroker(paths), second, stream_cls=Odd, output_broker=out).run()
    assert out.sent(Odd) == [{"time": t} for t in range(0, 60, 10)]


def test_W10_a_join_gives_masters_with_mappings_in_stream_order():
    def several(now: Location, later: Mapping[Location, List[Next]]) -> Odd:  # noqa: UP006
        assert [one.x for one in later[now]] == [1, 2, 3]
        return Odd(now.time)

    tree = join_streams(Location, JoinWith(Next, get_field("time"), get_field("time")))
    streams = {Location: ROBOTS, Next: [{"time": 10, "x": x} for x in (1, 2, 3)]}
    assert run(several, streams, Odd, join_tree=tree) == [{"time": 10}]


def test_W11_a_join_tree_may_be_a_star_and_a_chain():
    def collect(
        now: Location,
        mids: Mapping[Location, List[Mid]],  # noqa: UP006
        leaves: Mapping[Mid, List[Leaf]],  # noqa: UP006
        later: Mapping[Location, List[Next]],  # noqa: UP006
    ) -> Speed:
        ids = [leaf.id for mid in mids[now] for leaf in leaves[mid]]
        return Speed(now.time, float(sum(ids) + len(later[now])))

    tree = join_streams(
        Location,
        JoinWith(
            with_type=join_streams(
                Mid,
                JoinWith(
                    with_type=Leaf,
                    left_expression=get_field("leaf"),
                    right_expression=get_field("id"),
                ),
            ),
            left_expression=get_field("time"),
            right_expression=get_field("time"),
        ),
        JoinWith(
            with_type=Next,
            left_expression=get_field("time") + 10,
            right_expression=get_field("time"),
        ),
    )
    streams = {
        Location: ROBOTS,
        Next: ROBOTS,
        Mid: [{"time": 10, "leaf": 1}, {"time": 10, "leaf": 2}, {"time": 30, "leaf": 9}],
        Leaf: [{"id": 1}, {"id": 2}, {"id": 2}],
    }
    assert run(collect, streams, Speed, join_tree=tree) == [{"time": 10, "speed": 6.0}]
    twice = join_streams(Location, JoinWith(Location, get_field("time"), get_field("time")))
    with pytest.raises(ConfigError, match="Location stands in the join twice"):
        run(speed, streams, join_tree=twice)


def test_W12_a_join_is_an_inner_join(caplog):
    caplog.set_level(logging.INFO, "watermill")
    streams = {Location: ROBOTS, Next: ROBOTS[3:]}
    made = run(speed, streams, Speed, join_tree=TEN_LATER)
    assert [one["time"] for one in made] == [20, 30, 40]
    assert "3 elements of Location had no match" in caplog.text
    assert run(speed, {Location: ROBOTS, Next: []}, Speed, join_tree=TEN_LATER) == []


def test_W13_streams_synchronise_and_what_is_out_of_order_is_not_lost_in_silence(caplog):
    streams = {
        Location: [{"time": t, "x": 0} for t in (0, 10, 50, 20, 60)],
        Next: [{"time": t, "x": 10} for t in (-20, -10, 10, 30, 60, 70, 65)],
    }
    broker = Lists(streams)
    report = WaterMill(broker, speed, join_tree=TEN_LATER).run()
    assert [one["time"] for one in broker.sent(Speed)] == [0, 50, 60]
    assert report.letters >= 1
    assert "is 30 and came after 60; keys must not fall" in caplog.text


def test_W14_all_masters_with_one_key_get_the_matches():
    """The original gave them to the first alone, an accident of its code."""

    def count(now: Location, later: Mapping[Location, List[Next]]) -> Odd:  # noqa: UP006
        return Odd(len(later[now]))

    tree = join_streams(Location, JoinWith(Next, get_field("time"), get_field("time")))
    masters = [{"time": 10, "x": 1}, {"time": 10, "x": 2}]
    streams = {Location: masters, Next: [ROBOTS[1], ROBOTS[1]]}
    assert run(count, streams, Odd, join_tree=tree) == [{"time": 2}, {"time": 2}]


def test_W15_a_stream_may_be_joined_with_itself(tmp_path):
    (tmp_path / "robots.json").write_text(json.dumps(ROBOTS))
    paths = {
        Location: tmp_path / "robots.json",
        Next: tmp_path / "robots.json",
        Speed: tmp_path / "speeds.json",
    }
    WaterMill(JsonFileMessageBroker(paths), speed, join_tree=TEN_LATER).run()
    assert json.loads((tmp_path / "speeds.json").read_text()) == SPEEDS


def test_W16_an_alias_is_the_same_class_for_another_stream():
    def same(now: Location, also: Mapping[Location, List[Also]]) -> Odd:  # noqa: UP006
        assert isinstance(also[now][0], Also)
        return Odd(also[now][0].x)

    tree = join_streams(Location, JoinWith(Also, get_field("time"), get_field("time")))
    streams = {Location: ROBOTS, Also: ROBOTS}
    assert len(run(same, streams, Odd, join_tree=tree)) == 6


def test_W17_expressions_have_pythons_precedence():
    element = {"a": 7, "b": 3, "c": {"d": [1, 2]}}
    for expression, value in (
        (get_field("a") + get_field("b") * 2, 13),
        ((get_field("a") + get_field("b")) * 2, 20),
        (5 - get_field("b"), 2),
        (get_field("a") - get_field("b"), 4),
        (-(get_field("a") ** 2) / 7, -7.0),
        (get_field("a") // 2 % 2, 1),
        (get_field("a") > get_field("b"), True),
        (get_field("c")["d"][1], 2),
        (function_call(lambda one: one["a"]) + const_expression(1), 8),
        (get_fields("b"), 3),
    ):
        assert expression.function()(element) == value
    assert (get_field("a") + 1)(None) is None
    with pytest.raises(KeyError):
        get_field("z").function()(element)


def test_W18_a_window_is_a_list_of_elements_in_a_row_with_one_key():
    def some(locations: List[Location]) -> Odd:  # noqa: UP006
        return Odd(len(locations))

    windows = window(cls=Location, window_expression=get_field("time") // 20)
    assert run(some, {Location: ROBOTS[:5]}, Odd, stream_cls=windows) == [
        {"time": 2}, {"time": 2}, {"time": 1},
    ]  # fmt: skip


def test_W19_a_window_in_a_join_holds_masters_that_have_a_match():
    def some(
        now: List[Location], later: Mapping[Location, List[Next]]  # noqa: UP006
    ) -> Odd:  # fmt: skip
        assert len(later) == len(now)
        return Odd(sum(later[one][0].x - one.x for one in now))

    tree = join_streams(
        window(cls=Location, window_expression=get_field("time") // 30),
        JoinWith(Next, get_field("time") + 10, get_field("time")),
    )
    made = run(some, {Location: ROBOTS, Next: ROBOTS}, Odd, join_tree=tree)
    assert made == [{"time": 900}, {"time": 1600}]  # the last location has no next one
    with pytest.raises(ValueError, match="only the first stream of a join"):
        join_streams(Location, JoinWith(window(Next, get_field("time")), 1, 1))


def test_W20_a_window_with_a_falsy_key_is_not_lost():
    def some(locations: List[Location]) -> Odd:  # noqa: UP006
        return Odd(len(locations))

    windows = window(cls=Location, window_expression=get_field("time") // 100)
    assert run(some, {Location: ROBOTS}, Odd, stream_cls=windows) == [{"time": 6}]
    empty = window(cls=Location, window_expression=function_call(lambda _: ""))
    assert run(some, {Location: ROBOTS}, Odd, stream_cls=empty) == [{"time": 6}]
