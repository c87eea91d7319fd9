"""The input of a topic: a source for each partition, alone or as a member of a consumer group.

A partition is read from where this pipeline was, not from where its group was: the checkpoint is
the truth, and the group is told afterwards. Only where another pipeline of the group was the last
to say something, as when a partition has moved, it goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from penstock import (
    BATCH_SIZE,
    EPOCH_END,
    Batch,
    ByteSize,
    ConnectError,
    Context,
    Duration,
    Input,
    Moves,
    Noted,
    RunError,
    TransientError,
    component,
    option,
)

from .codecs import check_codec, decoder
from .library import load
from .limits import refuse_long_epochs
from .messages import is_mark, records_of

if TYPE_CHECKING:
    from .positions import Told

__all__ = ["KafkaInput"]


def _positive(value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError("must be more than 0")


@component
class KafkaInput(Input):
    """Read the messages of a topic, each partition in its order, from where the pipeline was."""

    stream: str = option(help="The topic.", example="clicks")
    group: str = option(
        default="", help="Share the partitions with every member of this consumer group."
    )
    codec: str = option(
        default="json",
        help="How a value is written: json, text, bytes, or a function of bytes, module:function.",
        check=check_codec,
    )
    record: Literal["value", "message"] = option(
        default="value",
        help="What becomes a record: the value, or a dict of key, value, headers, timestamp, "
        "partition and offset.",
    )
    key_codec: str = option(
        default="text", help="How a key is written, with record: message.", check=check_codec
    )
    start: Literal["earliest", "latest"] = option(
        default="earliest", help="Where to begin in a partition that was never read."
    )
    until: Literal["mark", "end", "never"] = option(
        default="mark",
        help="Stop at an end-of-stream mark in every partition, at the end that the topic has "
        "when the run starts, or never.",
    )
    data_timeout: Duration | None = option(
        default=None, help="Stop when no message came for so long.", check=_positive
    )
    poll_timeout: Duration = option(
        default=0.2,
        help="How long to wait for a message before others get their turn.",
        check=_positive,
    )
    lost: Literal["stop", "skip"] = option(
        default="stop", help="What to do when messages were deleted before they were read."
    )
    isolation: Literal["read_committed", "read_uncommitted"] = option(
        default="read_committed", help="Whether to read what may still be taken back."
    )
    max_poll_interval: Duration = option(
        default=300.0,
        help="How long an epoch may keep this member of a group from asking for more.",
        check=_positive,
    )
    fetch_size: ByteSize = option(
        default=1 << 20, help="Bytes of a partition that are fetched at once.", check=_positive
    )

    finite = False
    broker: Any = None

    @property
    def shared(self) -> bool:  # type: ignore[override]
        """The members of a group divide the partitions."""
        return bool(self.group)

    @property
    def hands_over(self) -> bool:  # type: ignore[override]
        """Where a group is, is known only when nothing of it can be taken back any more."""
        return self.isolation == "read_committed"

    def open(self, context: Context) -> None:
        super().open(context)
        if self.group:
            refuse_long_epochs(context, self.max_poll_interval, "max_poll_interval")
        from .clients import connected, ensure_topic, sentences

        self._kafka = load()
        self._decode = decoder(self.codec)
        self._decode_key = decoder(self.key_codec)
        self._sentences = sentences
        self._consumer: Any = None
        self._committed = Event()
        self._given: dict[int, Any] = {}
        self._safe: dict[int, Any] = {}
        self._to_tell: dict[int, Any] = {}
        self._done: set[int] = set()
        self._ended: set[int] = set()  # partitions at whose mark we begin
        self._ends: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._passed: dict[int, int] = {}  # where nothing came behind the last message
        self._lost = 0
        self._arrived: list[Any] | None = None  # partitions that the group has given us just now
        self._leaving: set[int] = set()
        self._away: set[int] = set()  # of which something is kept here, though they are not ours
        self._coming: dict[int, Any] = {}
        self._answered: dict[int, Any] | None = None
        broker = self.broker
        self._cluster, self._count = ensure_topic(
            broker, self.stream, make=broker.create_topics, partitions=broker.partitions
        )
        grouped = {
            "group_id": self.group,
            "session_timeout_ms": int(broker.session_timeout * 1000),
            "heartbeat_interval_ms": max(100, min(3000, int(broker.session_timeout * 200))),
            "max_poll_interval_ms": int(self.max_poll_interval * 1000),
        }
        self._consumer = connected(
            broker,
            "KafkaConsumer",
            client_id=f"penstock-{context.name}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level=self.isolation,
            max_poll_records=BATCH_SIZE,
            max_partition_fetch_bytes=self.fetch_size,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **(grouped if self.group else {}),
            **_known(self._kafka.KafkaConsumer, broker.extra),
        )

    def close(self) -> None:
        consumer, self._consumer = getattr(self, "_consumer", None), None
        if consumer is not None:
            self._tell_group(consumer)
            consumer.close(autocommit=False, timeout_ms=5000)

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        self._kept = {
            number: positions.get(f"{self.context.name}/{number}") for number in range(self._count)
        }
        self._away = {number for number, one in self._kept.items() if one}
        self._now: tuple[list[Any], frozenset[Any]] | None = None
        self._heard = time.monotonic()
        self._begin()
        while True:
            if self._must_rejoin() and self.context.moves:
                yield from self._leave()
            elif self._must_rejoin() and self._is_dirty():
                self._committed.clear()
                yield EPOCH_END
                self._wait()
            self._tell_group(self._consumer)
            quiet = True
            for number, messages in self._poll().items():
                batch = self._batch(number, messages)
                if batch is not None:
                    quiet = False
                    yield batch
            if self._arrived is not None:
                yield from self._arrive(self._arrived)
            elif quiet:
                if self._is_over():
                    return
                yield None

    def commit(self, positions: Mapping[str, Any]) -> None:
        """Only notes what is safe: whoever reads tells the group, as a consumer belongs to one
        thread."""
        # A partition that was here, went to others and came back is where they left it, while the
        # run still has the position of long ago.
        changed = {
            number: one
            for source, one in positions.items()
            if one["offset"] >= self._begun.get(number := int(source.rpartition("/")[2]), 1 << 62)
        }
        self._to_tell = {**self._to_tell, **changed}
        self._safe = {**self._safe, **changed}
        self._committed.set()
        if self._ends:
            self.context.observe("lag", self.lag())

    def moved(self, positions: Mapping[str, Any]) -> Mapping[str, Any]:
        """Positions say who we are in the group, as long as their partitions are ours."""
        name = self.context.name
        kept = {}
        for number in self._leaving:
            kept[number] = {**self._given[number], "member": None}
        for number, begin in self._coming.items():
            found = positions.get(f"{name}/{number}") or begin
            kept[number] = {**found, "member": self._now and self._now[0]}
        self._answered = kept
        self._committed.set()
        return {f"{name}/{number}": position for number, position in kept.items()}

    def lag(self) -> int:
        """Messages of our partitions that were there when last looked and are not read yet, with
        what transactions keep between them."""
        offsets = {number: given["offset"] for number, given in self._given.items() if given}
        for number, offset in self._passed.items():
            offsets[number] = max(offset, offsets.get(number, 0))
        return sum(max(0, end - offsets.get(number, 0)) for number, end in self._ends.items())

    def progress(self) -> float | None:
        if self.until != "end" or not self._ends:
            return None
        total = sum(end - self._begun[number] for number, end in self._ends.items())
        read = sum(
            min(given["offset"], self._ends[number]) - self._begun[number]
            for number, given in self._given.items()
            if given and number in self._begun
        )
        return read / total if total > 0 else 1.0

    # ---- what the group does --------------------------------------------------------------------

    def _begin(self) -> None:
        self._partitions = [
            self._kafka.TopicPartition(self.stream, number) for number in range(self._count)
        ]
        with self._sentences(self.stream):
            if self.group:
                self._consumer.subscribe([self.stream])
            else:
                self._consumer.assign(self._partitions)
                self._take(self._partitions)

    def _must_rejoin(self) -> bool:
        """Whether the next poll would give our partitions back. The library says so only inside;
        should it stop to, epochs are given up instead of ended when members come and go."""
        coordinator = getattr(self._consumer, "_coordinator", None)
        return bool(self.group) and bool(getattr(coordinator, "rejoin_needed", False))

    def _is_dirty(self) -> bool:
        """Whether something was given that is not safe yet."""
        return any(self._safe.get(number) != given for number, given in self._given.items())

    def _wait(self) -> None:
        patience = self.max_poll_interval / 2
        if not self._committed.wait(patience):
            raise RunError(
                f"waited {patience:g} s for a checkpoint, and the group waits for it",
                where=self.stream,
                hint="use a shorter epoch or a longer max_poll_interval",
            )

    def _membership(self) -> tuple[list[Any], frozenset[Any]] | None:
        """Who we are in the group, and its partitions that are ours; None while that is open."""
        if not self.group:
            return self._now
        found = self._consumer.group_metadata()
        if found.state != "<stable>":
            return None
        member = [found.group_id, found.generation_id, found.member_id]
        return member, frozenset(self._consumer.assignment())

    def _poll(self) -> dict[int, list[Any]]:
        errors = self._kafka.errors
        found: Mapping[Any, list[Any]] = {}
        with self._sentences(self.stream):
            try:
                found = self._consumer.poll(timeout_ms=int(self.poll_timeout * 1000))
            except errors.NoOffsetForPartitionError:
                pass  # just joined; where to begin comes next
            except errors.OffsetOutOfRangeError:
                self._take(self._consumer.assignment())
                return {}
            now = self._membership()
            if now != self._now:
                self._moved(now)
                return {}  # fetched from where the group was, which need not be where we begin
        return {tp.partition: messages for tp, messages in found.items()}

    def _moved(self, now: tuple[list[Any], frozenset[Any]] | None) -> None:
        """We have joined or left, or partitions have moved: begin where each of them is."""
        if self._is_dirty() or (self.context.moves and self._given):
            raise TransientError(
                f"{self.stream}: the group gave partitions to others before the epoch was over"
            )
        self._now = now
        self._given.clear()
        if now is not None and self.context.moves:
            self._arrived = sorted(now[1])
        elif now is not None:
            self._take(now[1])

    def _leave(self) -> Iterator[Batch]:
        """Have the states of our partitions put aside, before the group may give them to others."""
        self._leaving, self._coming = set(self._given), {}
        if not self._leaving:
            return
        yield from self._exchange(Moves(leaving=list(map(self._source, self._leaving))))
        for number in self._leaving:
            del self._given[number]
        self._away |= self._leaving

    def _arrive(self, partitions: list[Any]) -> Iterator[Batch]:
        """Begin to read these partitions when there is what belongs to them."""
        self._arrived = None
        with self._sentences(self.stream):
            firsts, ends = self._look_at(partitions)
            told = {tp.partition: self._told(tp) for tp in partitions}
        coming = {}
        self._leaving, self._coming = set(), {}
        for tp in partitions:
            number, one = tp.partition, told[tp.partition]
            offset = firsts[tp] if self.start == "earliest" else ends[tp]
            self._coming[number] = self._position(number, offset)
            coming[self._source(number)] = Noted() if one is None else self._noted(number, one)
        self._away -= self._coming.keys()
        with self._sentences(self.stream):
            settled = set(filter(self._is_settled, self._away))
        yield from self._exchange(Moves(coming=coming, settled=list(map(self._source, settled))))
        self._away -= settled
        answered = self._answered or {}
        with self._sentences(self.stream):
            for tp in partitions:
                position = answered[tp.partition]
                self._given[tp.partition] = self._safe[tp.partition] = position
                self._check(tp, position, ends[tp])
                self._go_to(tp, *self._after(tp, position, firsts[tp]))

    def _exchange(self, moves: Moves) -> Iterator[Batch]:
        """Tell the run, and wait for the answer."""
        self._answered = None
        self._committed.clear()
        yield moves
        while self._answered is None:
            self._wait()
            self._committed.clear()

    def _is_settled(self, number: int) -> bool:
        """Whether somebody else has gone on with a partition; not as long as that is undecided."""
        tp = self._kafka.TopicPartition(self.stream, number)
        try:
            told = self._told(tp, timeout=1.0)
        except self._kafka.errors.KafkaTimeoutError:
            return False
        return told is not None and told.by != self.context.pipeline

    def _noted(self, number: int, told: Told) -> Noted:
        by = told.by or "another program"
        position = self._position(number, told.offset, ended=told.ended)
        return Noted([by] if told.by else [], position, by)

    def _source(self, number: int) -> str:
        return f"{self.context.name}/{number}"

    # ---- partitions -----------------------------------------------------------------------------

    def _take(self, partitions: Any) -> None:
        """Begin to read these partitions."""
        partitions = sorted(partitions)
        firsts, ends = self._look_at(partitions)
        for tp in partitions:
            self._go_to(tp, *self._begin_at(tp, firsts[tp], ends[tp]))

    def _look_at(self, partitions: list[Any]) -> tuple[Mapping[Any, int], Mapping[Any, int]]:
        """The first offsets of partitions that are to be read, and those after the last."""
        consumer = self._consumer
        firsts = consumer.beginning_offsets(partitions) if partitions else {}
        ends = consumer.end_offsets(partitions) if partitions else {}
        self._ends = {tp.partition: end for tp, end in ends.items()}
        self._done.clear()
        self._ended.clear()
        self._passed.clear()
        self._begun = {}
        return firsts, ends

    def _go_to(self, tp: Any, offset: int, ended: bool) -> None:
        self._begun[tp.partition] = offset
        self._consumer.seek(tp, offset)
        if ended:
            self._ended.add(tp.partition)

    def _begin_at(self, tp: Any, first: int, end: int) -> tuple[int, bool]:
        number = tp.partition
        told = self._told(tp) if self.group else None
        position = self._safe.get(number) or self._kept[number]
        if told is not None and told.by != self.context.pipeline:
            position = self._position(number, told.offset, ended=told.ended)
        elif position:
            self._check(tp, position, end)
            self._given[number] = self._safe[number] = position
        else:
            return (first if self.start == "earliest" else end), False
        return self._after(tp, position, first)

    def _after(self, tp: Any, position: Any, first: int) -> tuple[int, bool]:
        """Where to go on after a position, and whether the stream has ended there."""
        offset = position["offset"]
        if offset < first:
            self._tell_lost(tp.partition, first - offset)
        return max(offset, first), bool(position.get("ended"))

    def _told(self, tp: Any, timeout: float | None = None) -> Told | None:
        from .positions import read_told

        limit = timeout and int(timeout * 1000)
        return read_told(self._consumer.committed(tp, metadata=True, timeout_ms=limit))

    def _position(self, number: int, offset: int, *, ended: bool = False) -> dict[str, Any]:
        made: dict[str, Any] = {
            "topic": self.stream,
            "partition": number,
            "offset": offset,
            "cluster": self._cluster,
        }
        return {**made, "ended": True} if ended else made

    def _check(self, tp: Any, position: Mapping[str, Any], end: int) -> None:
        same = (position["cluster"], position["topic"]) == (self._cluster, self.stream)
        if not same or position["offset"] > end:
            what = f"is not the topic that was read up to offset {position['offset']}"
            raise ConnectError(
                what, where=f"{self.stream}/{tp.partition}", hint="start over with --fresh"
            )

    def _finish(self, tp: Any) -> None:
        """Read no more of a partition in this run."""
        self._done.add(tp.partition)
        self._consumer.pause(tp)

    def _tell_lost(self, number: int, count: int) -> None:
        what = f"{count} messages were deleted before they were read"
        if self.lost == "stop":
            where = f"{self.stream}/{number}"
            raise RunError(what, where=where, hint="set lost: skip to go on after them")
        self._lost += count
        self.context.observe("lost", self._lost)

    def _is_over(self) -> bool:
        """Asked when nothing came."""
        now = time.monotonic()
        if self.data_timeout is not None and now - self._heard > self.data_timeout:
            return True
        if self.until == "never" or (self.group and self._now is None):
            return False
        assigned = self._consumer.assignment()
        with self._sentences(self.stream):
            for tp in assigned:
                if self.until == "end" or tp.partition in self._ended:
                    # The last offsets may be those of transactions, which are no messages.
                    position = self._consumer.position(tp)
                    if position is not None and position >= self._ends.get(tp.partition, 1 << 62):
                        self._done.add(tp.partition)
                        self._passed[tp.partition] = position
        # A member without a partition waits: it gets those of others when they are done and leave.
        return bool(assigned) and {tp.partition for tp in assigned} <= self._done

    # ---- messages -------------------------------------------------------------------------------

    def _batch(self, number: int, messages: list[Any]) -> Batch | None:
        if number in self._done:
            return None
        self._heard = time.monotonic()
        self._ended.discard(number)
        messages, last, ended = self._up_to_the_end(number, messages)
        if last is None:
            return None
        batch = records_of(messages, self._decode, self._decode_key, whole=self.record == "message")
        batch.source = f"{self.context.name}/{number}"
        batch.resume = self._position(number, last + 1, ended=ended)
        if self.group:
            batch.resume["member"] = self._now and self._now[0]
        self._given[number] = batch.resume
        return batch

    def _up_to_the_end(
        self, number: int, messages: list[Any]
    ) -> tuple[list[Any], int | None, bool]:
        """The messages that are records of this run, the last offset that is dealt with, and
        whether the stream ends there."""
        tp = self._kafka.TopicPartition(self.stream, number)
        if self.until == "end" and messages[-1].offset >= self._ends[number]:
            messages = [one for one in messages if one.offset < self._ends[number]]
            self._finish(tp)
            if not messages:
                return [], None, False
        last = messages[-1].offset
        marks = [index for index, message in enumerate(messages) if is_mark(message)]
        if marks and self.until == "mark":
            last = messages[marks[0]].offset
            self._consumer.seek(tp, last + 1)
            self._finish(tp)
            return messages[: marks[0]], last, True
        if marks:
            messages = [one for index, one in enumerate(messages) if index not in marks]
        return messages, last, False

    def _tell_group(self, consumer: Any) -> None:
        """What is safe, so that others go on from there. Nothing depends on its getting through."""
        from .positions import told

        pending, self._to_tell = self._to_tell, {}
        if self.context.moves:
            return  # it is in the transaction
        assigned = consumer.assignment() if self.group and pending else ()
        offsets = {
            tp: told(pending[tp.partition], self.context.pipeline)
            for tp in map(self._kafka.TopicPartition._make, assigned)
            if pending.get(tp.partition)
        }
        if offsets:
            try:
                consumer.commit(offsets, timeout_ms=5000)
            except (self._kafka.errors.KafkaError, ValueError) as error:
                self.context.logger.info("the group was not told how far this is: %s", error)


def _known(client: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings that are meant for consumers and producers, those that this one has."""
    return {name: value for name, value in extra.items() if name in client.DEFAULT_CONFIG}
