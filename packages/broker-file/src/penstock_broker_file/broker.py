"""The broker `file`: streams in a folder, and no server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from penstock import (
    Broker,
    ByteSize,
    Component,
    ConfigError,
    Duration,
    Input,
    Output,
    component,
    option,
)

from .stream import Limits, plain_name

__all__ = ["FileBroker", "WholeFile"]


def _positive(value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError("must be more than 0")


@component
class WholeFile(Component):
    """What a stream has that is one file."""

    stream: str = option(help="Name of the stream: the file without its suffix.", example="orders")


@component
class FileBroker(Broker):
    """Keep streams in a folder, for any number of processes that write and read them at once."""

    path: Path = option(help="Folder of the streams; made if it is not there.", example="streams")
    format: Literal["log", "array"] = option(
        default="log",
        help="Streams that grow, in a folder each; or whole files, STREAM.json, of one JSON array.",
    )
    partitions: int = option(
        default=1, help="Partitions of a stream that is made.", check=_positive
    )
    segment_size: ByteSize = option(
        default=64 * 1024**2, help="Size at which a new segment is begun.", check=_positive
    )
    keep: Duration | None = option(
        default=None,
        help="Delete segments whose last record is older than this.",
        example="7d",
        check=_positive,
    )
    keep_size: ByteSize | None = option(
        default=None,
        help="Delete the oldest segments of a partition that is larger than this.",
        example="1GiB",
        check=_positive,
    )

    @property
    def limits(self) -> Limits:
        return Limits(self.segment_size, self.keep, self.keep_size)

    def folder_of(self, stream: str) -> Path:
        return self.path / plain_name(stream)

    def stream_class(self, role: str) -> type:
        from .input import FileStreamInput
        from .output import FileStreamOutput

        if self.format == "array":
            return WholeFile
        return FileStreamInput if role == "input" else FileStreamOutput

    def input(
        self, stream: str, *, group: str | None = None, codec: Any = None, **options: Any
    ) -> Input:
        given = {"group": group, "codec": codec, **options}
        if self.format == "array":
            from penstock_input_json import JsonInput

            return JsonInput(path=self._whole_file(stream, given), format="array")
        from .input import FileStreamInput

        made = FileStreamInput(stream=stream, **_present(given))
        made.broker = self
        return made

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        given = {"codec": codec, **options}
        if self.format == "array":
            from penstock_sink_json import JsonOutput

            path = self._whole_file(stream, given)
            return JsonOutput(path=path, format="array", create_parents=True)
        from .output import FileStreamOutput

        made = FileStreamOutput(stream=stream, **_present(given))
        made.broker = self
        return made

    def _whole_file(self, stream: str, given: Mapping[str, Any]) -> Path:
        for name in _present(given):
            raise ConfigError(f"a whole file has no {name}; leave it out, or use format: log")
        return self.path / f"{plain_name(stream)}.json"


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
