"""The classes of watermill, on Penstock: a program needs only another import line."""

from __future__ import annotations

from penstock_streams import EndOfStream

from .brokers import (
    DataKey,
    EndOfStreamError,
    JsonFileMessageBroker,
    KafkaMessageBroker,
    MessageBroker,
    RightJoinedStreamRanAhead,
    StreamsShift,
    StreamTimeoutError,
)
from .injection import Injector
from .joining import (
    JoinWith,
    Window,
    const_expression,
    function_call,
    get_field,
    get_fields,
    join_streams,
    type_alias,
    window,
)
from .mill import WaterMill

__all__ = [
    "DataKey",
    "EndOfStream",
    "EndOfStreamError",
    "Injector",
    "JoinWith",
    "JsonFileMessageBroker",
    "KafkaMessageBroker",
    "MessageBroker",
    "RightJoinedStreamRanAhead",
    "StreamTimeoutError",
    "StreamsShift",
    "WaterMill",
    "Window",
    "const_expression",
    "function_call",
    "get_field",
    "get_fields",
    "join_streams",
    "type_alias",
    "window",
]
