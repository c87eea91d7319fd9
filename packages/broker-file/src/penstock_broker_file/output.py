"""The output to a stream: an epoch appears in all partitions at once, with its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, Literal, cast
from zlib import crc32

from penstock import (
    Batch,
    Checkpoint,
    Context,
    Failure,
    FencedError,
    Input,
    TransactionalOutput,
    component,
    option,
)
from penstock_sink_json.encode import Encoder

from .stream import MARK, Head, Staged, Stream

__all__ = ["FileStreamOutput"]

_IN_MEMORY = 1 << 20


@component
class FileStreamOutput(TransactionalOutput):
    """Append records to a stream; what others append meanwhile stays whole and in order."""

    stream: str = option(help="Name of the stream.", example="enriched")
    key: str | None = option(
        default=None,
        help="Field that says which partition a record goes to; without it they take turns.",
        example="user",
    )
    end_of_stream: bool = option(
        default=False, help="Put an end-of-stream mark into every partition when the run ends well."
    )
    codec: Literal["json"] = option(default="json", help="How a record is written.")

    broker: Any = None

    def open(self, context: Context) -> None:
        super().open(context)
        self._stream = Stream(self.broker.folder_of(self.stream))
        self._stream.create(self.broker.partitions)
        self._writer = self._writer_of(context.pipeline)
        self._encode = Encoder(b"\n", advice="make it null, or take it out").encode
        self._partitions = len(self._stream.head().tips)
        self._staged: dict[int, Staged] = {}
        self._turn = 0

    def close(self) -> None:
        self._forget()

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return _checkpoint(self._stream.head(), self._writer_of(pipeline))

    def settles(self, source: Input) -> bool:
        """A partition of our streams goes to another process when its last reader has committed, or
        is dead and can no longer."""
        from .input import FileStreamInput

        return isinstance(source, FileStreamInput)

    def _writer_of(self, pipeline: str) -> str:
        return f"{pipeline}/{self.context.name}"

    def resume(self, mark: Any, epoch: int) -> None:
        self._forget()

    def reopen(self, mark: Any, epoch: int) -> None:
        self._forget()

    def write(self, batch: Batch) -> Sequence[Failure]:
        if self._partitions == 1:
            return self._stage(0, batch)
        failures: list[Failure] = []
        for number, part in enumerate(self._parts(batch)):
            failures.extend(self._stage(number, part) if part.records else ())
        return failures

    def commit(self, checkpoint: Checkpoint) -> None:
        with self._stream.committing() as head:
            before = _checkpoint(head, self._writer)
            if before is not None and (
                before.generation > checkpoint.generation or before.epoch >= checkpoint.epoch
            ):
                raise FencedError(checkpoint.pipeline)
            limits = self.broker.limits
            self._stream.append(head, self._staged, limits)
            head.writers[self._writer] = json.loads(checkpoint.to_json())
            self._stream.publish(head, limits)
        self._forget()

    def finish(self) -> None:
        if not self.end_of_stream:
            return
        with self._stream.committing() as head:
            entry = head.writers.get(self._writer, {})
            if entry.get("finished"):
                return  # a run died before it could note that it was done
            marks = {n: Staged(BytesIO(MARK + b"\n"), 1) for n in range(self._partitions)}
            self._stream.append(head, marks, self.broker.limits)
            entry["finished"] = True
            head.writers[self._writer] = entry
            self._stream.publish(head, self.broker.limits)

    def _parts(self, batch: Batch) -> list[Batch]:
        """The batch by partition; records with equal keys go to the same one."""
        count, turn = self._partitions, self._turn
        records: list[list[Any]] = [[] for _ in range(count)]
        ordinals: list[list[int]] = [[] for _ in range(count)]
        for record, ordinal in zip(batch.records, batch.ordinals):
            key = record.get(self.key) if self.key and isinstance(record, dict) else None
            if key is None:
                number = turn = (turn + 1) % count
            else:
                number = crc32(str(key).encode("utf-8", "backslashreplace")) % count
            records[number].append(record)
            ordinals[number].append(ordinal)
        self._turn = turn
        return [Batch(*part) for part in zip(records, [batch.source] * count, ordinals)]

    def _stage(self, number: int, batch: Batch) -> Sequence[Failure]:
        text, failures = self._encode(batch)
        if text:
            lines, records = self._staged.get(number) or _nothing()
            lines.write(text + b"\n")
            count = records + len(batch.records) - len(failures)
            self._staged[number] = Staged(lines, count)
        return failures

    def _forget(self) -> None:
        staged, self._staged = getattr(self, "_staged", {}), {}
        for one in staged.values():
            with suppress(OSError):
                one.lines.close()


def _nothing() -> Staged:
    return Staged(cast(Any, SpooledTemporaryFile(max_size=_IN_MEMORY)), 0)


def _checkpoint(head: Head, writer: str) -> Checkpoint | None:
    entry = head.writers.get(writer)
    return Checkpoint.from_json(json.dumps(entry)) if entry else None
