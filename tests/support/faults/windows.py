"""What stages with a state make of a stream whose partitions workers share: what it is to be, and
what has become of it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

from penstock_broker_file.stream import Limits, Staged, Stream
from penstock_broker_kafka.library import load
from penstock_broker_kafka.sockets import direct

from .members import Members
from .oracle import Verdict

__all__ = ["KEYED", "Herd", "InFolder", "OnKafka"]

PARTITIONS = 6
_USERS = 37
_LIMITS = Limits(1 << 20)
_MARK = '{"eos__":true}'

_PIPELINE = """
name: {name}
brokers:
  bus: {broker}
inputs:
  clicks: {{use: stream, broker: bus, stream: {input}, group: {group}{options}}}
outputs:
  out: {{use: stream, broker: bus, stream: {out}}}
epoch: {{seconds: 0.2}}
engine: {engine}
"""

WINDOWS = """
transformers:
  minutes:
    use: window
    kind: tumbling
    time: t
    size: 1m
    by: user
    aggregate: {clicks: count(), total: sum(n), first: min(n), last: max(n)}
    partitioned: true
pipes:
  main: [clicks, minutes, out]
"""

KEYED = """
inspectors:
  alone: {use: unique, key: n, on_error: skip, partitioned: true}
transformers:
  once: {use: dedupe, key: n, partitioned: true}
  last: {use: dedupe, key: user, keep: last, within: 20, partitioned: true}
  third: {use: sample, every: 3}
  packs: {use: batch, size: 7}
  totals: {use: group, by: user, aggregate: {clicks: count(), total: sum(n)}, partitioned: true}
pipes:
  main: [clicks, once, out]
  totals: [once, totals, out]
  packs: [clicks, alone, packs, out]
  last: [clicks, last, third, out]
"""
"""Every other stage with a state that moves, in four branches to one stream."""


class Herd(Members):
    """Members that count the clicks of each user in a stream that grows, each minute, or as `work`
    says. `streams` are the names of the stream that they read, of the one they write to, and of the
    one for a process that nobody disturbs."""

    broker: str
    options = ""
    streams: Sequence[str] = ("in", "out", "wanted")

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        seed: int,
        work: str = WINDOWS,
        engine: str = "inline",
        variant: str = "",
    ) -> None:
        super().__init__(name, folder, seed=seed, variant=variant)
        self.fed = 0
        self.repeats = work is KEYED
        self.make()
        source, out, wanted = self.streams
        for pipeline, group, target in ((name, "herd", out), (f"{name}.alone", "alone", wanted)):
            text = _PIPELINE.format(
                name=pipeline,
                broker=self.broker,
                options=self.options,
                input=source,
                group=f"{name}.{group}",
                out=target,
                engine=engine,
            )
            (self.folder / f"{pipeline}.yaml").write_text(text + work)

    def make(self) -> None:
        """Make the streams."""
        raise NotImplementedError

    def send(self, lines: Mapping[int, Sequence[str]]) -> None:
        """Append lines to partitions of the stream that is read."""
        raise NotImplementedError

    def lines(self, stream: str) -> Counter[bytes]:
        """What is committed of a stream."""
        raise NotImplementedError

    @property
    def made(self) -> int:
        """A number that grows when there is more of it."""
        raise NotImplementedError

    def feed(self, rate: int) -> Thread:
        """Clicks of 37 users, one each 100 ms of their time, until there are enough kills; then the
        end of the stream."""

        def work() -> None:
            while not self._enough.is_set():
                self.click(rate // 20)
                time.sleep(0.05)
            self.end()

        thread = Thread(target=work)
        thread.start()
        return thread

    def click(self, count: int) -> None:
        """So many clicks more. With `repeats`, one in twenty brings an earlier one of its user."""
        lines: dict[int, list[str]] = {}
        for n in range(self.fed + 1, self.fed + count + 1):
            user = f"u{n % _USERS}"
            earlier = n - 40 * _USERS
            for one in (n, earlier) if self.repeats and n % 20 == 0 and earlier > 0 else (n,):
                line = json.dumps({"n": one, "user": user, "t": one / 10})
                lines.setdefault(crc32(user.encode()) % PARTITIONS, []).append(line)
        self.send(lines)
        self.fed += count

    def end(self) -> None:
        """The end of the stream."""
        self.send({number: [_MARK] for number in range(PARTITIONS)})

    def wait_for(self, what: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, self.messages()
            time.sleep(0.05)

    def finish(self, seconds: float) -> list[int]:
        """Wait until every member has come to the end of the stream; with which codes they end."""
        end = time.monotonic() + seconds
        codes = []
        for process in self.processes.values():
            codes.append(process.wait(max(1.0, end - time.monotonic())))
            assert process.stdin is not None
            process.stdin.close()
        self.processes.clear()
        return codes

    def stop(self) -> None:
        self._enough.set()
        for process in self.processes.values():
            process.kill()
            process.communicate()

    def verdict(self) -> Verdict:
        """What they have made against what one process makes that nobody disturbs."""
        command = [sys.executable, "-m", "penstock", "run", f"{self.name}.alone.yaml", "--quiet"]
        subprocess.run(command, cwd=self.folder, check=True)
        _, out, alone = self.streams
        wanted, found = self.lines(alone), self.lines(out)
        assert sum(json.loads(line).get("clicks", 0) for line in wanted.elements()) == self.fed
        return Verdict(lost=(wanted - found).total(), repeated=(found - wanted).total())


class InFolder(Herd):
    """On streams in a folder."""

    broker = "{use: file, path: streams, partitions: 6}"

    def make(self) -> None:
        self._in, self._out = (Stream(self.folder / "streams" / name) for name in ("in", "out"))
        for one in (self._in, self._out):
            one.create(PARTITIONS)

    def send(self, lines: Mapping[int, Sequence[str]]) -> None:
        with self._in.committing() as head:
            staged = {
                number: Staged(BytesIO("".join(f"{one}\n" for one in some).encode()), len(some))
                for number, some in lines.items()
            }
            self._in.append(head, staged, _LIMITS)
            self._in.publish(head, _LIMITS)

    @property
    def made(self) -> int:
        return sum(tip.records for tip in self._out.head().tips)

    def lines(self, stream: str) -> Counter[bytes]:
        one, found = Stream(self.folder / "streams" / stream), Counter[bytes]()
        for number, tip in enumerate(one.head().tips):
            for path in one.segments(number):
                if int(path.stem) <= tip.segment:
                    end = tip.size if int(path.stem) == tip.segment else None
                    found.update(path.read_bytes()[:end].splitlines())
        return found


class OnKafka(Herd):
    """On topics of a cluster."""

    options = ", poll_timeout: 50ms"

    def __init__(self, folder: Path, name: str, *, url: str, **options: Any) -> None:
        self.url = url
        self.broker = f'{{use: kafka, bootstrap: "{url}", session_timeout: 1.5s}}'
        self.streams = [f"{name}.{one}" for one in super().streams]
        super().__init__(folder, name, **options)

    def make(self) -> None:
        admin = load().KafkaAdminClient(bootstrap_servers=self.url, proxy_url=direct())
        admin.create_topics({one: {"num_partitions": PARTITIONS} for one in self.streams})
        admin.wait_for_topics(list(self.streams))
        admin.close()
        self.connect()

    def connect(self) -> None:
        servers = {"bootstrap_servers": self.url, "proxy_url": direct()}
        self._producer = load().KafkaProducer(**servers, linger_ms=5)
        self._watcher = load().KafkaConsumer(**servers, isolation_level="read_committed")

    def send(self, lines: Mapping[int, Sequence[str]]) -> None:
        for number, some in lines.items():
            for line in some:
                self._producer.send(self.streams[0], line.encode(), partition=number)
        self._producer.flush()

    @property
    def made(self) -> int:
        return sum(self._watcher.end_offsets(self._partitions(self.streams[1])).values())

    def lines(self, stream: str) -> Counter[bytes]:
        consumer, found = self._watcher, Counter[bytes]()
        partitions = self._partitions(stream)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < end for one, end in ends.items()):
            for messages in consumer.poll(timeout_ms=500).values():
                found.update(message.value for message in messages)
        return found

    def disconnect(self) -> None:
        self._producer.close()
        self._watcher.close()

    def stop(self) -> None:
        super().stop()
        self.disconnect()

    def _partitions(self, stream: str) -> list[Any]:
        return [load().TopicPartition(stream, number) for number in range(PARTITIONS)]
