"""The input of a stream: its partitions, whole or shared with the other members of a group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event, Lock
from typing import Any, Literal

from penstock import (
    BATCH_SIZE,
    EPOCH_END,
    Batch,
    ConnectError,
    Context,
    Failure,
    Input,
    Moves,
    Noted,
    RecordError,
    RunError,
    component,
    option,
)
from penstock_input_json.parse import Parser

from .groups import Group
from .reading import PartitionReader
from .stream import MARK, Stream, plain_name

__all__ = ["FileStreamInput"]

_WORTH_A_LOOK = b'"eos__"'
_PATIENCE = 60.0


@component
class FileStreamInput(Input):
    """Read the records of a stream, each partition in its order, from where the pipeline was."""

    stream: str = option(help="Name of the stream.", example="clicks")
    group: str = option(
        default="", help="Share the partitions with every input of this group, also of others."
    )
    start: Literal["earliest", "latest"] = option(
        default="earliest", help="Where to begin in a partition that was never read."
    )
    until: Literal["mark", "end", "never"] = option(
        default="mark",
        help="Stop at an end-of-stream mark in every partition, at the end that the stream has "
        "when the run starts, or never.",
    )
    lost: Literal["stop", "skip"] = option(
        default="stop", help="What to do when records were deleted before they were read."
    )
    codec: Literal["json"] = option(default="json", help="How a record is written.")

    finite = False
    hands_over = True
    broker: Any = None

    @property
    def shared(self) -> bool:  # type: ignore[override]
        """The members of a group divide the partitions."""
        return bool(self.group)

    def open(self, context: Context) -> None:
        super().open(context)
        self._readers: dict[int, PartitionReader] = {}
        self._group: Group | None = None
        self._given: dict[int, Mapping[str, Any]] = {}
        self._safe: dict[int, Mapping[str, Any]] = {}
        self._begun: dict[int, int] = {}
        self._changing = Lock()  # of partitions, while the run tells what is safe
        self._committed = Event()
        self._begin_with: dict[int, Any] | None = None
        self._parser = Parser(advice="mend the stream")
        self._stream = Stream(self.broker.folder_of(self.stream))
        if self.until == "end" and not self._stream.exists:
            raise ConnectError(
                "there is no such stream", where=str(self._stream.folder), hint="write to it first"
            )
        self._stream.create(self.broker.partitions)
        if self.group:
            folder = self._stream.folder / "groups" / plain_name(self.group)
            self._group = Group(folder, len(self._stream.head().tips))

    def close(self) -> None:
        for reader in getattr(self, "_readers", {}).values():
            reader.close()
        if getattr(self, "_group", None) is not None:
            self._group.leave()  # type: ignore[union-attr]

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        name = self.context.name
        numbers = range(len(self._stream.head().tips))
        self._kept = {n: positions.get(f"{name}/{n}") for n in numbers}
        self._ends = [tip.records for tip in self._stream.head().tips]
        if self._group is None:
            for number in numbers:
                self._begin(number, self._kept[number])
        while True:
            if self._group is not None:
                yield from self._share(self._group)
            quiet = True
            for number, reader in list(self._readers.items()):
                if not self._is_done(number, reader) and (batch := self._next(number, reader)):
                    quiet = False
                    yield batch
            if quiet:
                if self._is_over():
                    return
                yield None

    def commit(self, positions: Mapping[str, Any]) -> None:
        """Tell the group how far this pipeline has come; whoever takes over goes on from there."""
        with self._changing:
            for source, position in positions.items():
                number = int(source.rpartition("/")[2])
                # A partition that was here, went to others and came back is where they left it,
                # while the run still has the position of long ago.
                if position["record"] < self._begun.get(number, 1 << 62):
                    continue
                self._safe[number] = position
                if self._group is not None and number in self._group.owned:
                    self._group.keep(number, position, self.context.pipeline)
        self._committed.set()
        self.context.observe("lag", self.lag())

    def moved(self, positions: Mapping[str, Any]) -> Mapping[str, Any]:
        self._begin_with = {int(one.rpartition("/")[2]): at for one, at in positions.items()}
        self._committed.set()
        return {}

    def lag(self) -> int:
        """Records of our partitions that are there and were not read yet."""
        tips = self._stream.head().tips
        return sum(
            tips[number].records - reader.record for number, reader in list(self._readers.items())
        )

    def progress(self) -> float | None:
        if self.until != "end" or not self._readers:
            return None
        read = sum(min(one.record, self._ends[number]) for number, one in self._readers.items())
        return read / max(1, sum(self._ends[number] for number in self._readers))

    # ---- partitions -----------------------------------------------------------------------------

    def _begin(self, number: int, position: Mapping[str, Any] | None) -> None:
        reader = PartitionReader(self._stream, number, position)
        if position is None and self.start == "latest":
            reader.to_end(self._stream.head())
        self._readers[number] = reader
        self._begun[number] = reader.record
        if position is not None:
            self._given[number] = self._safe[number] = position

    def _share(self, group: Group) -> Iterator[Batch]:
        """Give partitions back to the group and take others, with nothing of them under way."""
        surplus = group.surplus()
        if self.context.moves:
            yield from self._hand_over(group, surplus)
            return
        if surplus and any(self._given.get(n) != self._safe.get(n) for n in surplus):
            self._committed.clear()
            yield EPOCH_END
            self._wait()
        with self._changing:
            self._give_back(group, surplus)
            for number in sorted(group.claim()):
                self._begin(number, self._begin_at(group, number))

    def _hand_over(self, group: Group, surplus: set[int]) -> Iterator[Batch]:
        """As `_share`, where what belongs to partitions is in the checkpoints of their readers. A
        partition is given back when its state is put aside, and read when it is there."""
        with self._changing:
            new = sorted(group.claim())
        if not surplus and not new:
            return
        name, pipeline = self.context.name, self.context.pipeline
        before = {number: group.enter(number, pipeline) for number in new}
        moves = Moves(
            leaving=[f"{name}/{number}" for number in surplus],
            coming={
                f"{name}/{number}": Noted(one.holders, one.position, one.by)
                for number, one in before.items()
            },
            settled=[
                f"{name}/{number}"
                for number in set(range(group.partitions)) - group.owned.keys()
                if (kept := group.kept(number)) and pipeline not in kept.holders
            ],
        )
        self._committed.clear()
        yield moves
        begin_with = self._answer()
        with self._changing:
            self._give_back(group, surplus)
            for number in new:
                self._begin(number, begin_with.get(number))

    def _answer(self) -> Mapping[int, Any]:
        """Where to begin in the partitions that came."""
        while True:
            self._wait()
            self._committed.clear()
            answer, self._begin_with = self._begin_with, None
            if answer is not None:
                return answer

    def _wait(self) -> None:
        if not self._committed.wait(_PATIENCE):
            raise RunError("waited in vain for a checkpoint", hint="use a shorter epoch")

    def _give_back(self, group: Group, surplus: set[int]) -> None:
        for number in surplus:
            self._readers.pop(number).close()
            del self._begun[number]
            group.give_back(number)

    def _begin_at(self, group: Group, number: int) -> Mapping[str, Any] | None:
        """What another pipeline has noted last outweighs where this one once was; what this one
        has noted itself does not: it may have been put back, or told to start over."""
        kept = group.kept(number)
        if kept is not None and kept.by not in (None, self.context.pipeline):
            return kept.position
        return self._safe.get(number) or self._kept[number]

    def _is_over(self) -> bool:
        """Whether there is nothing left to wait for. A member of a group waits as long as there is
        something to take over: with no partition of its own, whatever is not read to its end; else
        what nobody has, as it was on its way to a member that has ended. Where states move, one
        that is read to its end is not yet done with: who had it may have died before the end."""
        if not all(self._is_done(*one) for one in self._readers.items()):
            return False
        group = self._group
        if group is None:
            return True
        if self.until == "never":
            return False
        others = set(range(group.partitions)) - self._readers.keys()
        if self.context.moves and not all(map(group.is_taken, others)):
            return False
        return all(
            self._is_read(group, number) or (bool(self._readers) and group.is_taken(number))
            for number in others
        )

    def _is_read(self, group: Group, number: int) -> bool:
        """Whether the group has read a partition to its end."""
        kept = group.kept(number)
        if kept is None or kept.position is None:
            return False
        if self.until == "end":
            return bool(kept.position["record"] >= self._ends[number])
        tip = self._stream.head().tips[number]
        return kept.position["record"] >= tip.records and bool(kept.position.get("ended"))

    def _is_done(self, number: int, reader: PartitionReader) -> bool:
        if self.until == "never":
            return False
        if self.until == "end" and reader.record >= self._ends[number]:
            return True
        return reader.ended and reader.record >= self._stream.head().tips[number].records

    def _next(self, number: int, reader: PartitionReader) -> Batch | None:
        lines = reader.lines(BATCH_SIZE)
        if reader.lost:
            self._tell_lost(number, reader)
        if not lines:
            return None
        if self.until == "end":
            lines = lines[: self._ends[number] - reader.record]
        data = b"\n".join(lines)
        marked = _WORTH_A_LOOK in data and MARK in lines
        if marked:
            lines = lines[: lines.index(MARK) + 1]
            data = b"\n".join(lines[:-1])
        first = reader.record + 1
        reader.ended = marked
        reader.take(lines)
        records = lines[:-1] if marked else lines
        batch = self._batch(records, data, first)
        batch.source = f"{self.context.name}/{number}"
        batch.resume = self._given[number] = reader.position()
        return batch

    def _batch(self, lines: list[bytes], data: bytes, first: int) -> Batch:
        values, bad, blank = self._parser.parse(lines, data, 0, len(data))
        if not bad and not blank:
            return Batch(values, "", range(first, first + len(values)))
        wrong = {**bad, **{index: RecordError("the line is empty") for index in blank}}
        failures = [
            Failure(lines[index].decode("utf-8", "backslashreplace"), first + index, error)
            for index, error in sorted(wrong.items())
        ]
        good = [index for index in range(len(values)) if index not in wrong]
        return Batch(
            [values[index] for index in good],
            "",
            [first + index for index in good],
            failures=failures,
        )

    def _tell_lost(self, number: int, reader: PartitionReader) -> None:
        lost, reader.lost = reader.lost, 0
        what = f"{lost} records were deleted before they were read"
        if self.lost == "stop":
            where = f"{self.stream}/{number}"
            raise RunError(what, where=where, hint="set lost: skip to go on after them")
        self._lost = getattr(self, "_lost", 0) + lost
        self.context.observe("lost", self._lost)
