"""What stands between clients and the cluster of librdkafka: it answers what that does not know,
and passes on all else as it is.

- Which requests there are, in which versions: the cluster cannot tell clients that are newer.
- The making of topics, which it does by a call only.
- Transactions, whose messages it would show at once, and their offsets, which it does not keep.
  What is written in one is kept here, and written when it is committed. So there are no markers,
  what was given up takes no offsets, and nobody sees what is not committed yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Protocol

from .kafka_wire import (
    HEAD,
    Reader,
    Request,
    array,
    compact,
    framed,
    producer_of,
    read_frame,
    text,
    without_producer,
)

__all__ = ["HOST", "Front"]

HOST = "127.0.0.1"
PARTITIONS = 3
"""Of a topic that is made without saying how many, as with the Kafka of the fixture."""

PRODUCE, OFFSET_COMMIT, OFFSET_FETCH, API_VERSIONS = 0, 8, 9, 18
JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 11, 12, 13, 14
CREATE_TOPICS, INIT_PRODUCER, ADD_PARTITIONS, END_TRANSACTION = 19, 22, 24, 26
TRANSACTION_OFFSETS = 28

HIGHEST = {PRODUCE: 8, OFFSET_COMMIT: 7, OFFSET_FETCH: 5, INIT_PRODUCER: 4, ADD_PARTITIONS: 2}
HIGHEST |= {END_TRANSACTION: 2, TRANSACTION_OFFSETS: 3}
HIGHEST |= {JOIN_GROUP: 5, HEARTBEAT: 3, LEAVE_GROUP: 2, SYNC_GROUP: 3}
"""Newer versions are not offered: what is read here is then not compact, but for two; and of what
members of groups say in those, the cluster reads some wrongly."""
LOWEST = {PRODUCE: 8, OFFSET_COMMIT: 7, OFFSET_FETCH: 5, INIT_PRODUCER: 3, TRANSACTION_OFFSETS: 3}
"""Older ones are not, so that one way of reading is enough."""

_GONE = (EOFError, OSError, asyncio.TimeoutError)  # as when a connection ends
_REBALANCE, _UNSUPPORTED_VERSION, _FENCED, _OVERTAKEN = 27, 35, 47, 90


class _Cluster(Protocol):
    port: int

    def advertise(self, port: int) -> None: ...

    def make_topic(self, name: str, partitions: int) -> int: ...


_Place = tuple[str, str, int]  # a group, a topic and a partition
_Offset = tuple[int, int, "str | None"]  # with its epoch, and what was noted with it
_NO_OFFSET: _Offset = (-1, -1, "")


@dataclass
class _Transaction:
    """What is written when it is committed."""

    messages: list[bytes] = field(default_factory=list)
    """Batches, as a request has them: topic, one partition."""
    offsets: dict[_Place, _Offset] = field(default_factory=dict)


class _Members:
    """Members of groups. When one joins, the cluster waits for the others until their sessions end,
    though all may be there; so it is told short ones, and here is who lives on."""

    SESSION = 2.0
    AGAIN = 0.4

    def __init__(self) -> None:
        self._sessions: dict[str, float] = {}  # what the members of a group have asked for
        self._lives: dict[tuple[str, str], tuple[int, float]] = {}  # the generation, and until when

    def seen(self, request: Request) -> bytes:
        """Note what a request says of its sender; what to pass on of it."""
        fields = request.fields
        if request.key == JOIN_GROUP:
            group, at = fields.text() or "", fields.at
            self._sessions[group] = fields.take("i") / 1000
            told = int(min(self._sessions[group], self.SESSION) * 1000)
            return request.frame[:at] + pack(">i", told) + request.frame[at + 4 :]
        if request.key in (HEARTBEAT, SYNC_GROUP):
            group, generation, member = fields.text() or "", fields.take("i"), fields.text() or ""
            until = time.monotonic() + self._sessions.get(group, 0.0) - self.SESSION
            self._lives[group, member] = (generation, until)
        return request.frame

    async def live(self, beat: Callable[[str, int, str], Awaitable[int]]) -> None:
        """Beat for them as long as they have asked for; those that have left are refused."""
        while True:
            await asyncio.sleep(self.AGAIN)
            for who, (generation, until) in list(self._lives.items()):
                ended = time.monotonic() > until or await beat(who[0], generation, who[1])
                if ended and self._lives.get(who) == (generation, until):
                    del self._lives[who]


class Front:
    """What clients connect to."""

    def __init__(self, cluster: _Cluster) -> None:
        self._cluster = cluster
        self._versions: Mapping[int, tuple[int, int]] = {}
        self._members = _Members()
        self._producers: dict[str, tuple[int, int]] = {}  # the number and epoch of each name
        self._limits: dict[str, float] = {}  # seconds for a transaction of each name
        self._open: dict[str, _Transaction] = {}
        self._offsets: dict[_Place, _Offset] = {}
        self._own = {
            API_VERSIONS: self._tell_versions,
            CREATE_TOPICS: self._make_topics,
            INIT_PRODUCER: self._begin_anew,
            ADD_PARTITIONS: self._add_partitions,
            END_TRANSACTION: self._end,
            TRANSACTION_OFFSETS: self._keep_offsets,
            OFFSET_COMMIT: self._take_offsets,
            OFFSET_FETCH: self._tell_offsets,
        }

    async def serve(self, port: int) -> None:
        """Serve until the process is ended."""
        found = Reader(await self._ask(API_VERSIONS, 0, b""))
        found.skip("i", "h")
        triples = [[found.take("h") for _ in range(3)] for _ in found.array()]
        offered = {
            key: (max(low, LOWEST.get(key, 0)), min(high, HIGHEST.get(key, high)))
            for key, low, high in triples
        }
        self._versions = {**offered, CREATE_TOPICS: (0, 4)}
        self._cluster.advertise(port)
        server = await asyncio.start_server(self._serve_one, HOST, port)
        await asyncio.gather(server.serve_forever(), self._members.live(self._refusal))

    async def _ask(self, key: int, version: int, body: bytes) -> bytes:
        """The answer of the cluster to a request of our own, in a version that is not compact."""
        return await self._pass_on(HEAD.pack(key, version, 1) + text(None) + body)

    async def _pass_on(self, frame: bytes) -> bytes:
        there, back = await asyncio.open_connection(HOST, self._cluster.port)
        try:
            back.write(framed(frame))
            return await read_frame(there)
        finally:
            back.close()

    # ---- connections ----------------------------------------------------------------------------

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection of a client: one to the cluster belongs to it, and both end together."""
        there, back = await asyncio.open_connection(HOST, self._cluster.port)
        # Answers come in the order of the requests; for a request that of the cluster is the next.
        answers: asyncio.Queue[Awaitable[bytes] | Request] = asyncio.Queue()
        ways = (self._requests(reader, back, answers), _responses(there, writer, answers))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            for one in (back, writer):
                one.close()
        for error in ended:
            # A mistake of ours; it is in the log then.
            if isinstance(error, Exception) and not isinstance(error, _GONE):
                raise error

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        answers: asyncio.Queue[Awaitable[bytes] | Request],
    ) -> None:
        while True:
            request = Request.of(await read_frame(reader))
            own = self._own.get(request.key)
            if request.key == PRODUCE:
                name = request.fields.text()
                own = self._keep_messages if name is not None else None
            if own is not None:
                answers.put_nowait(asyncio.ensure_future(own(request)))
            else:
                answers.put_nowait(request)
                back.write(framed(self._members.seen(request)))
                await back.drain()

    # ---- what the cluster does not know ---------------------------------------------------------

    async def _tell_versions(self, request: Request) -> bytes:
        """What there is; to who asks in too new a way that, in the oldest, with an error."""
        known = [pack(">hhh", key, *span) for key, span in sorted(self._versions.items())]
        if request.version == 3:  # with compact arrays and tagged fields, of which it has none
            body = b"".join(one + b"\x00" for one in known)
            return request.answer(pack(">hB", 0, len(known) + 1) + body + pack(">iB", 0, 0))
        error = _UNSUPPORTED_VERSION if request.version > 3 else 0
        throttle = pack(">i", 0) if request.version in (1, 2) else b""
        return request.answer(pack(">h", error) + array(known) + throttle)

    async def _make_topics(self, request: Request) -> bytes:
        """Make topics; their settings are passed over, since the cluster knows none."""
        fields, results = request.fields, []
        for _ in fields.array():
            name, partitions, _replicas = fields.text() or "", fields.take("i"), fields.take("h")
            for _ in fields.array():  # where its partitions are to be
                fields.skip("i", *("i" for _ in fields.array()))
            for _ in fields.array():
                fields.skip("text", "text")
            error = self._cluster.make_topic(name, partitions if partitions > 0 else PARTITIONS)
            message = text(None) if request.version >= 1 else b""
            results.append(text(name) + pack(">h", error) + message)
        throttle = pack(">i", 0) if request.version >= 2 else b""
        return request.answer(throttle + array(results))

    # ---- transactions ---------------------------------------------------------------------------

    async def _begin_anew(self, request: Request) -> bytes:
        """Who takes a producer's name, takes back what it has left open. Only the last one may ask
        for a new epoch of its own."""
        fields = request.fields
        fields.tags()
        name = fields.compact_text()
        if name is None:
            return await self._pass_on(request.frame)
        limit = fields.take("i") / 1000
        mine = (fields.take("q"), fields.take("h"))
        if mine[0] >= 0 and self._producers.get(name) != mine:
            return request.answer(pack(">BihqhB", 0, 0, _OVERTAKEN, -1, -1, 0))
        answer = await self._pass_on(request.frame)
        found = Reader(answer)
        found.skip("i", "B", "i", "h")
        self._producers[name] = (found.take("q"), found.take("h"))
        self._limits[name] = limit
        self._open.pop(name, None)
        return answer

    async def _add_partitions(self, request: Request) -> bytes:
        """The cluster would let one do so that was overtaken."""
        fields, topics = request.fields, []
        name = fields.text() or ""
        if self._transaction(name, fields.take("q"), fields.take("h")) is not None:
            return await self._pass_on(request.frame)
        for _ in fields.array():
            topic = fields.text()
            parts = [pack(">ih", fields.take("i"), _FENCED) for _ in fields.array()]
            topics.append(text(topic) + array(parts))
        return request.answer(pack(">i", 0) + array(topics))

    def _transaction(self, name: str, number: int, epoch: int) -> _Transaction | None:
        """The open one of this producer, None when another one has its name by now."""
        if self._producers.get(name) != (number, epoch):
            return None
        if name not in self._open:
            self._open[name] = _Transaction()
            later = asyncio.get_running_loop().call_later
            later(self._limits[name], self._took_too_long, name, self._open[name])
        return self._open[name]

    def _took_too_long(self, name: str, begun: _Transaction) -> None:
        """It is taken back, and its producer is overtaken by nobody."""
        if self._open.get(name) is begun:
            del self._open[name], self._producers[name]

    async def _keep_messages(self, request: Request) -> bytes:
        """Messages of a transaction: the answer says that they are there, and no offset."""
        fields, topics = Request.of(request.frame).fields, []
        name = fields.text() or ""
        fields.skip("h", "i")
        for _ in fields.array():
            topic, parts = fields.text(), []
            for _ in fields.array():
                partition, batch = fields.take("i"), fields.bytes(fields.take("i"))
                kept = self._transaction(name, *producer_of(batch))
                if kept is not None:
                    plain = without_producer(batch)
                    part = pack(">ii", partition, len(plain)) + plain
                    kept.messages.append(text(topic) + array([part]))
                nothing = pack(">qqq", -1, -1, -1) + array([]) + text(None)
                parts.append(pack(">ih", partition, _FENCED if kept is None else 0) + nothing)
            topics.append(text(topic) + array(parts))
        return request.answer(array(topics) + pack(">i", 0))

    async def _keep_offsets(self, request: Request) -> bytes:
        """Offsets of a group for a transaction, if they come from a member of it."""
        fields = request.fields
        fields.tags()
        name, group = fields.compact_text() or "", fields.compact_text() or ""
        kept = self._transaction(name, fields.take("q"), fields.take("h"))
        generation, member = fields.take("i"), fields.compact_text()
        fields.compact_text()
        error = await self._refusal(group, generation, member) if kept else _FENCED
        offsets: dict[_Place, _Offset] = {}
        results = []
        for _ in fields.compact_array():
            topic, said = fields.compact_text() or "", []
            for _ in fields.compact_array():
                place, offset = fields.take("i"), (fields.take("q"), fields.take("i"))
                offsets[group, topic, place] = (*offset, fields.compact_text())
                said.append(pack(">ihB", place, error, 0))
                fields.tags()
            fields.tags()
            results.append(compact(topic) + bytes([len(said) + 1]) + b"".join(said) + b"\x00")
        if kept and not error:
            kept.offsets.update(offsets)
        body = pack(">iB", 0, len(results) + 1) + b"".join(results) + b"\x00"
        return request.answer(b"\x00" + body)

    async def _take_offsets(self, request: Request) -> bytes:
        """Offsets of a group, outside of transactions."""
        fields = request.fields
        group, generation, member = fields.text() or "", fields.take("i"), fields.text()
        fields.skip("text")
        error, results = await self._refusal(group, generation, member), []
        for _ in fields.array():
            topic, said = fields.text() or "", []
            for _ in fields.array():
                place, offset = fields.take("i"), (fields.take("q"), fields.take("i"))
                noted = fields.text()
                if not error:
                    self._offsets[group, topic, place] = (*offset, noted)
                said.append(pack(">ih", place, error))
            results.append(text(topic) + array(said))
        return request.answer(pack(">i", 0) + array(results))

    async def _tell_offsets(self, request: Request) -> bytes:
        """What a group has committed, as soon as nothing of it is undecided."""
        fields, results = request.fields, []
        group = fields.text() or ""
        while any(group == one for kept in self._open.values() for one, *_ in kept.offsets):
            await asyncio.sleep(0.02)
        for _ in fields.array():
            topic, said = fields.text() or "", []
            for _ in fields.array():
                place = fields.take("i")
                offset, epoch, noted = self._offsets.get((group, topic, place), _NO_OFFSET)
                said.append(pack(">iqi", place, offset, epoch) + text(noted) + pack(">h", 0))
            results.append(text(topic) + array(said))
        return request.answer(pack(">i", 0) + array(results) + pack(">h", 0))

    async def _refusal(self, group: str | None, generation: int, member: str | None) -> int:
        """Why somebody may not speak for a group; 0 for one who is of none."""
        if generation < 0:
            return 0
        who = text(group) + pack(">i", generation) + text(member)
        found = Reader(await self._ask(HEARTBEAT, 1, who))
        found.skip("i", "i")
        error: int = found.take("h")
        return 0 if error == _REBALANCE else error  # offsets may be told before others join

    async def _end(self, request: Request) -> bytes:
        """All of it is written, or nothing."""
        fields = request.fields
        name, number, epoch = fields.text() or "", fields.take("q"), fields.take("h")
        ended = self._transaction(name, number, epoch)
        if ended is not None:
            del self._open[name]
            if fields.take("b"):
                await self._write(ended)
        return request.answer(pack(">ih", 0, _FENCED if ended is None else 0))

    async def _write(self, ended: _Transaction) -> None:
        if ended.messages:
            body = text(None) + pack(">hi", -1, 30_000) + array(ended.messages)
            found = Reader(await self._ask(PRODUCE, 8, body))
            found.skip("i")
            for _ in found.array():
                found.skip("text", "i", "i")
                if error := found.take("h"):
                    raise RuntimeError(f"a transaction was not written, error {error}")
                found.skip("q", "q", "q", "i", "text")
        self._offsets.update(ended.offsets)


async def _responses(
    there: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.Queue[Awaitable[bytes] | Request],
) -> None:
    while True:
        answer = await answers.get()
        if isinstance(answer, Request):
            # Who was too slow to join is forgotten without a word, and must come again.
            patience = 2 * _Members.SESSION if answer.key == JOIN_GROUP else None
            answer = asyncio.wait_for(read_frame(there), patience)
        writer.write(framed(await answer))
        await writer.drain()
