"""Brokers: systems with named streams, each of which can be read as an input and written to."""

from __future__ import annotations

from typing import Any

from .components import Component, Input, Output

__all__ = ["Broker"]


class Broker(Component):
    """Makes inputs and outputs for named streams. It is opened and closed by none of them: each
    input and output opens a connection of its own, with the broker's options. One that has it as
    its attribute `broker` shows none of its secrets in messages."""

    def stream_class(self, role: str) -> type | None:
        """A component class with the options that an "input" or "output" of this broker has, the
        `stream` among them: the kernel checks a file against it. None: any option is passed on."""
        return None

    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        """An input that reads `stream` as a member of the consumer group `group`."""
        raise NotImplementedError

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        """An output that writes to `stream`."""
        raise NotImplementedError
