"""What watermill's document promises, row by row of the inventory of its behaviour: windows by the clock, ends, brokers.

The name of each test begins with the number of the row. Where code and document of the original
disagree, the document holds; decision 26 says the rest.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from time import sleep
from types import ModuleType
from typing import Any, List, Union  # noqa: UP035

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mills import (
    ROBOTS,
    SPEEDS,
    TEN_LATER,
    Lists,
    Location,
    Next,
    Odd,
    Speed,
    run,
    speed,
)

from penstock import ConfigError, PluginError
from penstock.testing import Idle, ListInput, ListOutput
from penstock_watermill import (
    DataKey,
    EndOfStream,
    EndOfStreamError,
    JsonFileMessageBroker,
    KafkaMessageBroker,
    MessageBroker,
    RightJoinedStreamRanAhead,
    StreamsShift,
    StreamTimeoutError,
    WaterMill,
    function_call,
    window,
)


def test_W21_a_window_by_the_clock_closes_while_nothing_comes_and_the_run_goes_on():
    moments = iter([5, 5, 12, 31, 31])

    def some(locations: List[Location]) -> Odd:  # noqa: UP006
        return Odd(len(locations))

    windows = window(cls=Location, window_expression=function_call(lambda _: next(moments)) // 20)
    stream = [ROBOTS[0], ROBOTS[1], Idle(), Idle(), ROBOTS[2]]
    assert run(some, {Location: stream}, Odd, stream_cls=windows) == [{"time": 2}, {"time": 1}]


def test_W22_a_mark_ends_the_stream_and_so_does_the_end_of_the_file(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps([*ROBOTS[:2], asdict(EndOfStream()), *ROBOTS]))
    (tmp_path / "next.json").write_text(json.dumps(ROBOTS))
    paths = {Location: tmp_path / "in.json", Next: tmp_path / "next.json"}
    broker, out = JsonFileMessageBroker(paths), Lists({})
    WaterMill(broker, speed, join_tree=TEN_LATER, output_broker=out).run()
    assert out.sent(Speed) == SPEEDS[:2]
    paths = {Location: tmp_path / "next.json", Next: tmp_path / "in.json"}
    broker, out = JsonFileMessageBroker(paths), Lists({})
    WaterMill(broker, speed, join_tree=TEN_LATER, output_broker=out).run()
    assert out.sent(Speed) == SPEEDS[:1]


class OwnBroker(MessageBroker):
    """A broker in the old form: elements come from a generator, which may time out."""

    def __init__(self, streams: Mapping[Any, list[Any]], stop_after: int | None = None) -> None:
        self.streams = {kind: list(elements) for kind, elements in streams.items()}
        self.log: list[Any] = []
        self.keys: list[DataKey] = []
        self.given: dict[Any, int] = {}

    def send(self, element_type: Any, element: dict[str, Any]) -> None:
        self.log.append((element_type.__name__, element))

    def send_eos(self, element_type: Any) -> None:
        self.log.append((element_type.__name__, "end"))

    def get_elements(self, element_type: Any, comparator: Any) -> Iterator[Any]:
        elements = self.streams[element_type]
        while elements:
            element = elements.pop(0)
            if isinstance(element, type):
                raise element
            assert comparator(element) is StreamsShift.Equal
            yield element
        raise EndOfStreamError

    def commit(self, data_key: DataKey | None = None) -> None:
        self.log.append("commit")


def test_W23_the_end_of_the_stream_is_sent_on():
    broker = OwnBroker({Location: ROBOTS, Next: ROBOTS})
    WaterMill(broker, speed, join_tree=TEN_LATER).run()
    assert broker.log[-1] == ("Speed", "end") or ("Speed", "end") in broker.log
    assert broker.log.count(("Speed", "end")) == 1


def test_W24_end_of_stream_from_the_function_stops_the_mill():
    def until(location: Location) -> Union[Location, EndOfStream]:  # noqa: UP007
        return location if location.time < 20 else EndOfStream()

    def last(location: Location) -> Iterator[Union[Location, EndOfStream]]:  # noqa: UP007
        yield location
        if location.time == 10:
            yield EndOfStream()

    for function in (until, last):
        made = run(function, {Location: ROBOTS}, Location, stream_cls=Location)
        assert [one["time"] for one in made] == [0, 10]


def test_W25_what_the_function_raises_leaves_the_mill_and_nothing_is_written(tmp_path):
    class OwnError(Exception):
        pass

    def fails(location: Location) -> Location:
        if location.time == 30:
            raise OwnError("as it is")
        return location

    (tmp_path / "in.json").write_text(json.dumps(ROBOTS))
    broker = JsonFileMessageBroker(
        {Location: tmp_path / "in.json"} | {Speed: tmp_path / "out.json"}
    )
    out = Lists({})
    with pytest.raises(OwnError, match="as it is"):
        WaterMill(broker, fails, stream_cls=Location, output_broker=out).run()
    own = OwnBroker({Location: ROBOTS})
    with pytest.raises(OwnError):
        WaterMill(own, fails, stream_cls=Location).run()
    assert "commit" not in own.log
    assert not (tmp_path / "out.json").exists()


class Lasting(Lists):
    """Lists that are logs: the next run goes on where the last one ended."""

    lasting = True

    def input(self, element_type: Any) -> Any:
        made = super().input(element_type)
        type(made).finite = False
        return made


def test_W26_a_mill_that_died_goes_on_at_the_element_it_died_of(tmp_path, monkeypatch):
    monkeypatch.setattr(ListInput, "finite", False)
    tries: list[int] = []

    def fails_once(location: Location) -> Location:
        tries.append(location.time)
        if location.time == 40 and tries.count(40) == 1:
            raise OSError("gone")
        return location

    broker = Lasting({Location: ROBOTS})
    mill = WaterMill(broker, fails_once, stream_cls=Location, state=tmp_path / "state")
    with pytest.raises(OSError, match="gone"):
        mill.run()
    mill = WaterMill(broker, fails_once, stream_cls=Location, state=tmp_path / "state")
    mill.run()
    assert tries[-2:] == [40, 50]
    mill.run()
    assert tries[-2:] == [40, 50]  # nothing is read twice
    assert (tmp_path / "state").is_dir()


# ---- Kafka, of which only the edge is tested here: test_kafka and broker-kafka have the rest -----


class FakeKafka:
    """Takes what the broker of Kafka is given."""

    made: list[FakeKafka] = []

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        FakeKafka.made.append(self)

    def input(self, stream: str, **options: Any) -> Any:
        self.inputs.append((stream, options))
        return ListInput(values=ROBOTS)

    def output(self, stream: str, **options: Any) -> Any:
        self.outputs.append((stream, options))
        return ListOutput()


@pytest.fixture
def kafka(monkeypatch):
    module = ModuleType("penstock_broker_kafka")
    module.KafkaBroker = FakeKafka  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "penstock_broker_kafka", module)
    FakeKafka.made.clear()
    return FakeKafka.made


TOPICS = {Location: "robot-locations", Next: "robot-locations", Speed: "robot-speed"}


def on_kafka(tmp_path: Path, **options: Any) -> None:
    broker = KafkaMessageBroker(topic_names=TOPICS, kafka_url="kafka:9092", **options)
    WaterMill(broker, speed, join_tree=TEN_LATER, state=tmp_path).run()


def test_W27_a_data_timeout_ends_the_stream_after_an_hour_by_default(kafka, tmp_path):
    on_kafka(tmp_path)
    assert [one.inputs[0][1]["data_timeout"] for one in kafka if one.inputs] == [3600.0, 3600.0]
    kafka.clear()
    on_kafka(tmp_path, data_timeout=2500, poll_timeout=100)
    [first, *_] = [one.inputs[0][1] for one in kafka if one.inputs]
    assert (first["data_timeout"], first["poll_timeout"]) == (2.5, 0.1)


def test_W28_each_class_reads_in_a_consumer_group_of_its_own(kafka, tmp_path):
    on_kafka(tmp_path)
    groups = [one.inputs[0][1]["group"] for one in kafka if one.inputs]
    assert groups == ["watermill-Location", "watermill-Next"]
    kafka.clear()
    on_kafka(tmp_path, consumer_group_name="robots")
    assert kafka[0].inputs[0][1]["group"] == "robots-Location"


def test_W29_topics_are_named_and_further_options_reach_the_clients(kafka, tmp_path):
    on_kafka(tmp_path, kafka_extra_args={"security_protocol": "SSL"})
    assert {one.inputs[0][0] for one in kafka if one.inputs} == {"robot-locations"}
    [output] = [one.outputs[0] for one in kafka if one.outputs]
    assert output == ("robot-speed", {"end_of_stream": True})
    extra = {"security_protocol": "SSL"}
    for one in kafka:
        assert one.options == {"bootstrap": "kafka:9092", "create_topics": True, "extra": extra}
    with pytest.raises(KeyError, match="no topic is given for Odd"):
        KafkaMessageBroker(topic_names={}, kafka_url="kafka:9092").input(Odd)


def test_W29_without_the_package_for_kafka_it_says_which_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "penstock_broker_kafka", None)
    with pytest.raises(
        PluginError, match="the Kafka broker is not installed; pip install penstock-broker-kafka"
    ):
        KafkaMessageBroker(topic_names=TOPICS, kafka_url="kafka:9092").input(Location)


def test_W30_results_may_go_to_another_broker(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps(ROBOTS))
    broker = JsonFileMessageBroker({Location: tmp_path / "in.json", Next: tmp_path / "in.json"})
    out = Lists({})
    WaterMill(broker, speed, join_tree=TEN_LATER, output_broker=out).run()
    assert out.sent(Speed) == SPEEDS


def test_W31_results_may_be_saved_from_another_thread():
    threads = []

    def later(location: Location, key: DataKey, mill: WaterMill) -> None:
        def work() -> None:
            sleep(0.01)
            saved: Any = {
                0: None,
                10: Speed(10, 1.0),
                20: [Speed(20, 1.0), Speed(20, 2.0)],
                30: EndOfStream(),
            }
            mill.save_results(key, saved.get(location.time))

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    own = OwnBroker({Location: ROBOTS[:4]})
    mill = WaterMill(own, later, stream_cls=Location, explicit_return_types=[Speed])
    report = mill.run()
    for thread in threads:
        thread.join()
    sent = sorted(one[1]["speed"] for one in own.log if one[0] == "Speed" and one[1] != "end")
    assert sent == [1.0, 1.0, 2.0]
    assert report.balance.holds
    first_commit = own.log.index("commit")
    assert all(one[0] == "Speed" for one in own.log[:first_commit])  # not before all was saved


def test_W31_what_was_not_saved_is_given_to_the_function_again():
    from penstock import Batch, Context
    from penstock_streams import Call
    from penstock_watermill.saving import Saved, SavedCall

    seen: list[Any] = []

    def later(location: Location, key: DataKey) -> None:
        seen.append((location.time, key))

    def stage(saved: Saved) -> SavedCall:
        made = SavedCall(Call(function=later, provide={DataKey: DataKey}), saved)
        made.open(Context("call"))
        return made

    saved = Saved()
    first = stage(saved)
    assert list(first.process(Batch(ROBOTS[:2], "in", [1, 2]))) == []
    saved.put(seen[0][1], Speed(0, 5.0))
    [answer] = first.idle(0.0)
    assert (answer.records, answer.consumed) == ([{"time": 0, "speed": 5.0}], 1)
    state = json.loads(json.dumps(first.snapshot()))
    again = stage(Saved())
    again.restore(state)
    assert seen[-1][0] == 10
    assert seen[-1][1] != seen[1][1]  # under a key of its own

    def returns(location: Location, key: DataKey) -> Location:
        return location

    wrong = SavedCall(Call(function=returns, provide={DataKey: DataKey}), Saved())
    wrong.open(Context("call"))
    [answer] = wrong.process(Batch(ROBOTS[:1], "in", [1]))
    assert "a function that takes a DataKey returns nothing" in str(answer.failures[0].error)


def test_W32_brokers_of_ones_own_are_read_written_and_told_what_is_done():
    own = OwnBroker({Location: [ROBOTS[0], StreamTimeoutError, *ROBOTS[1:]], Next: ROBOTS})
    WaterMill(own, speed, join_tree=TEN_LATER).run()
    assert [one for one in own.log if one[0] == "Speed"] == [
        *(("Speed", one) for one in SPEEDS),
        ("Speed", "end"),
    ]
    assert "commit" in own.log
    assert issubclass(RightJoinedStreamRanAhead, Exception)
    assert {one.name for one in StreamsShift} == {"Less", "Equal", "Greater"}
    broker = MessageBroker()
    for call in (
        lambda: broker.send(Location, {}),
        lambda: broker.get_elements(Location, lambda _: StreamsShift.Equal),
    ):
        with pytest.raises(NotImplementedError):
            call()
    assert (broker.get_data_key(), broker.send_eos(Location), broker.commit()) == (None,) * 3


def test_W33_messages_come_from_loggers_below_watermill(caplog):
    caplog.set_level(logging.INFO, "watermill")
    streams = {Location: [*ROBOTS[:3], {"time": "x"}, *ROBOTS[3:]], Next: ROBOTS}
    run(speed, streams, join_tree=TEN_LATER)
    assert {one.name for one in caplog.records} == {"watermill.mill"}
    assert "1 × time: must be a whole number, got 'x'" in caplog.text


def test_W34_several_mills_run_in_threads_of_their_own():
    brokers = [Lists({Location: ROBOTS, Next: ROBOTS}) for _ in range(4)]
    mills = [WaterMill(broker, speed, join_tree=TEN_LATER) for broker in brokers]
    threads = [threading.Thread(target=mill.run) for mill in mills]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [broker.sent(Speed) for broker in brokers] == [SPEEDS] * 4


def test_W35_no_stream_is_held_in_memory(tmp_path):
    """Peak memory does not grow with the file: 30 000 elements of 1 kB in less than 8 MB."""
    import tracemalloc

    with open(tmp_path / "in.json", "w") as file:
        file.write("[\n")
        for number in range(30_000):
            ending = "\n]" if number == 29_999 else ",\n"
            file.write(json.dumps({"time": number, "x": 0, "text": "x" * 1000}) + ending)
    paths = {Location: tmp_path / "in.json", Odd: tmp_path / "out.json"}

    def one(location: Location) -> Odd:
        return Odd(location.time)

    tracemalloc.start()
    try:
        WaterMill(JsonFileMessageBroker(paths), one, stream_cls=Location).run()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert len(json.loads((tmp_path / "out.json").read_text())) == 30_000


# ---- beside the rows ----------------------------------------------------------------------------


def test_several_kinds_of_results_go_to_streams_of_their_own():
    def both(location: Location) -> Iterator[Union[Speed, Odd]]:  # noqa: UP007
        yield Speed(location.time, 1.0)
        if location.time == 20:
            yield Odd(location.time)

    speeds, odd = run(both, {Location: ROBOTS}, [Speed, Odd], stream_cls=Location)
    assert len(speeds) == 6
    assert odd == [{"time": 20}]
    assert type(odd[0]) is dict


def test_the_stream_of_a_result_must_be_known():
    def unclear(location: Location) -> List[Speed]:  # noqa: UP006
        return []

    with pytest.raises(ConfigError, match="cannot tell the stream of results"):
        run(unclear, {Location: ROBOTS}, stream_cls=Location)
    with pytest.raises(KeyError, match="no file is given for Location"):
        JsonFileMessageBroker({}).input(Location)


def test_an_output_without_results_is_an_empty_list(tmp_path):
    (tmp_path / "in.json").write_text("[]")
    paths = {
        Location: tmp_path / "in.json",
        Next: tmp_path / "in.json",
        Speed: tmp_path / "new" / "out.json",
    }
    WaterMill(JsonFileMessageBroker(paths), speed, join_tree=TEN_LATER).run()
    assert json.loads((tmp_path / "new" / "out.json").read_text()) == []
