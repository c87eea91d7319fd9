"""Message brokers: where the elements of a class are read from, and where they are sent."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from penstock import Batch, Context, Failure, Input, Output, PluginError

__all__ = [
    "DataKey",
    "EndOfStreamError",
    "JsonFileMessageBroker",
    "KafkaMessageBroker",
    "MessageBroker",
    "RightJoinedStreamRanAhead",
    "StreamTimeoutError",
    "StreamsShift",
]

HOUR = 60 * 60 * 1000


class EndOfStreamError(Exception):
    """Raised by `get_elements`: there will be no more elements."""


class StreamTimeoutError(Exception):
    """Raised by `get_elements`: none has come for now."""


class RightJoinedStreamRanAhead(Exception):
    """Raised by `get_elements` of other systems when a joined stream is ahead; here nobody has to,
    since joins are synchronised elsewhere."""


class StreamsShift(enum.Enum):
    """How the key of a joined element compares with that of its master."""

    Less = -1
    Equal = 0
    Greater = 1


@dataclass(frozen=True)
class DataKey:
    """Stands for elements that were given to the processing function."""

    key: UUID


class MessageBroker:
    """A broker of one's own: implement what `get_elements` and `send` say, the rest may stay.

    Or implement `input` and `output`, which give components of Penstock.
    """

    lasting: ClassVar[bool] = False
    """Whether its streams go on where the last run ended, so that positions are kept on disk."""

    def send(self, element_type: Any, element: dict[str, Any]) -> None:
        """Write an element."""
        raise NotImplementedError

    def send_eos(self, element_type: Any) -> None:
        """The stream has ended."""

    def get_elements(self, element_type: Any, comparator: Callable[[Any], StreamsShift]) -> Any:
        """Yield elements as dicts, in order. Return, or raise EndOfStreamError, at the end of the
        stream; raise StreamTimeoutError when none comes for now: it is called again."""
        raise NotImplementedError

    def commit(self, data_key: DataKey | None = None) -> None:
        """Everything up to the element that had this key is done with."""

    def get_data_key(self) -> DataKey | None:
        """The key of the element that was yielded last."""
        return None

    def input(self, element_type: Any) -> Input:
        return ElementsInput(self, element_type)

    def output(self, element_type: Any) -> Output:
        return ElementsOutput(self, element_type)


class ElementsInput(Input):
    """Reads the elements of a broker that has `get_elements`."""

    finite = False

    def __init__(self, broker: MessageBroker, element_type: Any) -> None:
        self.broker = broker
        self.element_type = element_type
        self._keys: dict[int, DataKey | None] = {}

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        count = 0
        while True:
            try:
                for element in self._elements():
                    if is_mark(element):
                        return
                    count += 1
                    self._keys[count] = self.broker.get_data_key()
                    yield Batch([element], "", [count], count)
                return
            except EndOfStreamError:
                return
            except StreamTimeoutError:
                yield None

    def _elements(self) -> Iterable[Any]:
        elements: Iterable[Any] = self.broker.get_elements(
            self.element_type, lambda _: StreamsShift.Equal
        )
        return elements

    def commit(self, positions: Mapping[str, Any]) -> None:
        done = positions.get(self.context.name)
        if done in self._keys:
            self.broker.commit(self._keys[done])
            self._keys = {count: key for count, key in self._keys.items() if count > done}


class ElementsOutput(Output):
    """Sends elements to a broker that has `send`."""

    def __init__(self, broker: MessageBroker, element_type: Any) -> None:
        self.broker = broker
        self.element_type = element_type

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        for record in batch.records:
            self.broker.send(self.element_type, record)
        return None

    def finish(self) -> None:
        self.broker.send_eos(self.element_type)


def is_mark(element: Any) -> bool:
    """Whether an element says that its stream has ended."""
    return isinstance(element, Mapping) and dict(element) == {"eos__": True}


class UntilMark(Input):
    """An input whose stream may end before its source does, with `{"eos__": true}`."""

    def __init__(self, inner: Input) -> None:
        self.inner = inner
        self.capability = inner.capability
        self.finite = inner.finite

    def open(self, context: Context) -> None:
        super().open(context)
        self.inner.open(context)

    def close(self) -> None:
        self.inner.close()

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.inner.commit(positions)

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        for batch in self.inner.read(positions):
            marks = [] if batch is None else [is_mark(record) for record in batch.records]
            if batch is None or not any(marks):
                yield batch
                continue
            end = marks.index(True)
            if end:
                # The position stays before the mark: it is read again, and ends the stream again.
                yield Batch(batch.records[:end], batch.source, batch.ordinals[:end], batch.resume)
            return


class JsonFileMessageBroker(MessageBroker):
    """Streams that are files, each a JSON list of objects: read from the start, and replaced as a
    whole when the mill has ended well. None is held in memory."""

    def __init__(self, stream_paths: Mapping[Any, Path]) -> None:
        self.stream_paths = dict(stream_paths)

    def _path(self, element_type: Any) -> Path:
        path = self.stream_paths.get(element_type)
        if path is None:
            raise KeyError(f"no file is given for {element_type.__name__}")
        return Path(path)

    def input(self, element_type: Any) -> Input:
        from penstock_input_json import JsonInput

        return UntilMark(JsonInput(path=self._path(element_type), format="array"))

    def output(self, element_type: Any) -> Output:
        from penstock_sink_json import JsonOutput

        path = self._path(element_type)
        return JsonOutput(path=path, format="array", create_parents=True)


class KafkaMessageBroker(MessageBroker):
    """Streams that are topics, with JSON in UTF-8. Each class reads in a consumer group of its own,
    `<consumer_group_name or 'watermill'>-<class>`. Time-outs are in milliseconds."""

    lasting = True

    def __init__(
        self,
        topic_names: Mapping[Any, str],
        kafka_url: str,
        data_timeout: int | None = None,
        poll_timeout: int | None = None,
        consumer_group_name: str | None = None,
        kafka_extra_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.topic_names = dict(topic_names)
        self.kafka_url = kafka_url
        self.data_timeout = HOUR if data_timeout is None else data_timeout
        self.poll_timeout = poll_timeout
        self.consumer_group_name = consumer_group_name or "watermill"
        self.kafka_extra_args = dict(kafka_extra_args or {})

    def group_of(self, element_type: Any) -> str:
        return f"{self.consumer_group_name}-{element_type.__name__}"

    def _broker(self) -> Any:
        try:
            module = import_module("penstock_broker_kafka")  # installed by who needs Kafka
        except ModuleNotFoundError as error:
            raise PluginError(
                "the Kafka broker is not installed", hint="pip install penstock-broker-kafka"
            ) from error
        # As Kafka did for the client of the old programs, topics are made when they are first used.
        return module.KafkaBroker(
            bootstrap=self.kafka_url, create_topics=True, extra=self.kafka_extra_args
        )

    def _topic(self, element_type: Any) -> str:
        topic: str | None = self.topic_names.get(element_type)
        if topic is None:
            raise KeyError(f"no topic is given for {element_type.__name__}")
        return topic

    def input(self, element_type: Any) -> Input:
        options: dict[str, Any] = {"data_timeout": self.data_timeout / 1000}
        if self.poll_timeout is not None:
            options["poll_timeout"] = self.poll_timeout / 1000
        made: Input = self._broker().input(
            self._topic(element_type), group=self.group_of(element_type), until="mark", **options
        )
        return made

    def output(self, element_type: Any) -> Output:
        made: Output = self._broker().output(self._topic(element_type), end_of_stream=True)
        return made
