"""The rules for brokers, and for the inputs and outputs that they make."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest

from penstock import Broker, Input, Output

from ..driving import Writer, batches_of, opened, positions_after, read, rows_of
from ..rules import not_applicable
from .base import ComponentSuite, shown
from .input import InputSuite, Source
from .output import Destination, OutputSuite
from .stage import Records

__all__ = ["BrokerInputSuite", "BrokerOutputSuite", "BrokerSuite"]


class _WithBroker(ComponentSuite):
    @pytest.fixture
    def broker(self) -> Broker:
        raise NotImplementedError("give the fixture `broker`")

    @pytest.fixture
    def records(self) -> Records:
        return lambda count: [{"id": n, "name": f"name {n}"} for n in range(1, count + 1)]

    @pytest.fixture
    def stream(self, request: pytest.FixtureRequest) -> Iterator[str]:
        """Names of streams that nobody has used; `next(stream)` is another one."""
        own = uuid4().hex[:8]
        return (f"conformance-{own}-{number}" for number in itertools.count(1))


def put(broker: Broker, stream: str, values: Sequence[Any]) -> None:
    """Write records to a stream, as a run does of a pipeline that nobody has run before."""
    writer = writer_to(broker, stream)
    try:
        writer.write(values)
        writer.end_epoch(1)
    finally:
        writer.close()


def writer_to(broker: Broker, stream: str) -> Writer:
    """A transactional output goes on from the checkpoint of its pipeline, and refuses another that
    begins anew: so each has a pipeline of its own."""
    return Writer(broker.output(stream), pipeline=f"writer-{uuid4().hex[:8]}")


def got(made: Input, positions: Any = None, *, enough: int) -> list[Any]:
    return [row.record for row in rows_of(read(made, positions, enough=enough))]


class BrokerSuite(_WithBroker):
    """An author gives the fixture `broker`, and `records` where `{"id": 1, "name": "name 1"}` will
    not do. `ordered = False` is for brokers whose streams have several partitions."""

    ordered = True

    @pytest.fixture
    def any_component(self, broker: Broker) -> Broker:
        return broker

    def in_a_pipe(self, component: Any) -> Sequence[Any]:
        from ..fakes import ListOutput

        return [component.input("conformance-secret", group="secret"), ListOutput()]

    def same(self, found: Sequence[Any], expected: Sequence[Any], what: str) -> None:
        if not self.ordered:
            found, expected = sorted(found, key=repr), sorted(expected, key=repr)
        assert list(found) == list(expected), (
            f"{what} gave {shown(list(found))}; written were {shown(list(expected))}"
        )

    def test_what_is_written_is_read(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """What an output writes to a stream and makes durable, an input of that stream gives: every
        record once, and in order."""
        name = next(stream)
        put(broker, name, records(11))
        self.same(
            got(broker.input(name, group=f"readers-{name}"), enough=11), records(11), "the stream"
        )

    def test_streams_are_apart(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """What is written to one stream is in no other."""
        one, other = next(stream), next(stream)
        put(broker, one, records(7)[:3])
        put(broker, other, records(7)[3:])
        self.same(got(broker.input(one, group=f"g-{one}"), enough=3), records(7)[:3], "one stream")
        self.same(
            got(broker.input(other, group=f"g-{other}"), enough=4),
            records(7)[3:],
            "the other stream",
        )

    def test_every_group_reads_everything(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """Each consumer group gets every record of a stream, whatever other groups have read."""
        name = next(stream)
        for group in ("first", "second"):  # groups that a broker must know beforehand are known
            with opened(broker.input(name, group=group)) as made:
                next(batches_of(made, enough=0), None)
        put(broker, name, records(7))
        for group in ("first", "second"):
            found = got(broker.input(name, group=group), enough=7)
            self.same(found, records(7), f"the {group} group")

    def test_a_group_goes_on_after_what_it_has_committed(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """After a checkpoint, what a group has read does not come again, and what is written later
        does."""
        name = next(stream)
        put(broker, name, records(5))
        with opened(broker.input(name, group=f"g-{name}")) as made:
            batches = list(batches_of(made, enough=5))
            positions = positions_after(batches)
            made.commit(positions)
        put(broker, name, records(9)[5:])
        found = got(broker.input(name, group=f"g-{name}"), positions, enough=4)
        self.same(found, records(9)[5:], "after a checkpoint, the group")

    def test_what_was_not_committed_comes_again(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """What a group has read without a checkpoint comes again: the run that had it has died."""
        name = next(stream)
        put(broker, name, records(5))
        for turn in ("first", "second"):
            found = got(broker.input(name, group=f"g-{name}"), enough=5)
            self.same(found, records(5), f"the {turn} reader")

    def test_two_writers_of_a_stream_lose_nothing(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """Two outputs may write to one stream at the same time, and every record of both is
        there."""
        name = next(stream)
        one, other = writer_to(broker, name), writer_to(broker, name)
        values = records(12)
        for first in range(0, 12, 4):
            one.write(values[first : first + 2])
            other.write(values[first + 2 : first + 4])
        for writer in (one, other):
            writer.end_epoch(1)
            writer.close()
        found = got(broker.input(name, group=f"g-{name}"), enough=12)
        assert sorted(found, key=repr) == sorted(values, key=repr), (
            f"of two writers there are {shown(found)}; they wrote {shown(values)}"
        )

    def test_a_reader_waits_for_what_comes(
        self, broker: Broker, stream: Iterator[str], records: Records
    ) -> None:
        """While a stream has nothing, reading gives None and does not end; what comes then is
        given."""
        name = next(stream)
        with opened(broker.input(name, group=f"g-{name}")) as made:
            if made.finite:
                not_applicable("its streams have an end")
            reading = made.read({})
            assert next(reading, "the end") is None, "of an empty stream it gave something"
            put(broker, name, records(3))
            found: list[Any] = []
            for batch in itertools.islice(reading, 200):
                found.extend(batch.records if batch is not None else ())
                if len(found) >= 3:
                    break
            reading.close()  # type: ignore[attr-defined]
        self.same(found, records(3), "a reader that had waited")


class BrokerInputSuite(_WithBroker, InputSuite):
    """The rules for inputs, of those that a broker makes; the author gives the fixture
    `broker`."""

    @pytest.fixture
    def source(self, broker: Broker, stream: Iterator[str], records: Records) -> Source:
        def source(count: int) -> tuple[Input, list[Any]]:
            name = next(stream)
            put(broker, name, records(count))
            return broker.input(name, group=f"readers-of-{name}"), records(count)

        return source


class BrokerOutputSuite(_WithBroker, OutputSuite):
    """The rules for outputs, of those that a broker makes; the author gives the fixture
    `broker`."""

    @pytest.fixture
    def destination(self, broker: Broker, stream: Iterator[str]) -> Destination:
        def destination() -> tuple[Output, Any]:
            name, groups = next(stream), itertools.count(1)

            def there() -> list[Any]:
                return got(broker.input(name, group=f"look{next(groups)}"), enough=0)

            return broker.output(name), there

        return destination
