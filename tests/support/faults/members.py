"""Members of a consumer group that come, go and are killed while messages keep coming."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from penstock_broker_kafka.library import load

from .oracle import Verdict

__all__ = ["Fleet", "Seen", "compared"]

PARTITIONS = 3

_PIPELINE = """
brokers:
  bus: {{use: kafka, bootstrap: "{url}", session_timeout: 1.5s}}
inputs:
  clicks: {{use: stream, broker: bus, stream: "{name}.in", group: "{name}", until: never,
           poll_timeout: 50ms}}
outputs:
  out: {{use: stream, broker: bus, stream: "{name}.out", key: n, transactions: {transactions}}}
pipes:
  main: [clicks, out]
epoch: {{seconds: 0.3}}
"""


@dataclass
class Seen:
    """The numbers in each partition of a topic, in their order."""

    partitions: dict[int, list[int]] = field(
        default_factory=lambda: {number: [] for number in range(PARTITIONS)}
    )

    @property
    def count(self) -> int:
        return sum(map(len, self.partitions.values()))


class Fleet:
    """Pipelines that read one topic as a group and write another, each a process of its own."""

    def __init__(self, url: str, name: str, folder: Path, *, transactions: bool, seed: int) -> None:
        self.url, self.name, self.folder = url, name, folder
        self.text = _PIPELINE.format(url=url, name=name, transactions=str(transactions).lower())
        self.chance = random.Random(seed)
        self.sent = Seen()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._enough = Event()
        self._gone = False
        admin = load().KafkaAdminClient(bootstrap_servers=url)
        admin.create_topics(
            {f"{name}.{one}": {"num_partitions": PARTITIONS} for one in ("in", "out")}
        )
        admin.wait_for_topics([f"{name}.in", f"{name}.out"])
        admin.close()

    # ---- messages that keep coming, and somebody who reads along ---------------------------------

    def feed(self, rate: int, total: int | None = None) -> Thread:
        """Send numbers until there are enough kills, or `total` of them."""

        def work() -> None:
            producer: Any = load().KafkaProducer(bootstrap_servers=self.url, linger_ms=5)
            number = 0
            while number < total if total is not None else not self._enough.is_set():
                for number in range(number + 1, number + rate // 20 + 1):  # noqa: B020
                    text = str(number).encode()
                    done = producer.send(f"{self.name}.in", b'{"n":%b}' % text, text)
                    self.sent.partitions[done._produce_future.topic_partition[1]].append(number)
                time.sleep(0.05)
            producer.flush()
            producer.close()

        thread = Thread(target=work)
        thread.start()
        return thread

    def watch(self, isolation: str = "read_committed") -> tuple[Seen, Thread]:
        """Read what is written meanwhile, until everything that was sent has come or `stop`."""
        seen = Seen()

        def work() -> None:
            consumer = load().KafkaConsumer(
                f"{self.name}.out",
                bootstrap_servers=self.url,
                auto_offset_reset="earliest",
                isolation_level=isolation,
                enable_auto_commit=False,
            )
            while not self._gone:
                for tp, messages in consumer.poll(timeout_ms=200).items():
                    numbers = [int(one.key) for one in messages]
                    seen.partitions[tp.partition].extend(numbers)
            consumer.close()

        thread = Thread(target=work)
        thread.start()
        return seen, thread

    # ---- members --------------------------------------------------------------------------------

    def start(self, member: str) -> None:
        folder = self.folder / member
        folder.mkdir(exist_ok=True)
        (folder / f"{member}.yaml").write_text(self.text)
        with open(folder / "messages.txt", "ab") as messages:
            self.processes[member] = subprocess.Popen(
                [sys.executable, "-m", "penstock", "run", f"{member}.yaml", "-q"],
                cwd=folder,
                stdout=messages,
                stderr=messages,
                env={**os.environ, "NO_COLOR": "1"},
            )

    def strike(self, member: str, how: signal.Signals) -> None:
        process = self.processes.pop(member)
        process.send_signal(how)
        process.wait(60)

    def harass(
        self,
        members: int,
        enough: Callable[[int], bool],
        *,
        pause: tuple[float, float],
        how: tuple[signal.Signals, ...],
        between: Callable[[int], None] = lambda strikes: None,
    ) -> int:
        """Strike members at random, each of which comes back at once; how often."""
        # Names of this fleet alone: what the cluster keeps for a pipeline, it keeps under its name.
        names = [f"{self.name}-w{number}" for number in range(1, members + 1)]
        for name in names:
            self.start(name)
        strikes = 0
        while not enough(strikes):
            time.sleep(self.chance.uniform(*pause))
            name = self.chance.choice(names)
            self.strike(name, self.chance.choice(how))
            strikes += 1
            between(strikes)
            self.start(name)
        self._enough.set()
        return strikes

    def settle(self, seen: Seen, seconds: float) -> bool:
        """Wait until everything has come; whether it has."""
        end = time.monotonic() + seconds
        while seen.count < self.sent.count and time.monotonic() < end:
            time.sleep(0.1)
        return seen.count >= self.sent.count

    def stop(self) -> None:
        self._enough.set()
        for name in list(self.processes):
            self.strike(name, signal.SIGTERM)
        self._gone = True

    def messages(self) -> str:
        """What the members have said."""
        return "".join(path.read_text() for path in self.folder.glob("*/messages.txt"))


def compared(sent: Seen, seen: Seen) -> Verdict:
    """Whether each partition has what was sent to it, once and in order."""
    lost = repeated = 0
    moved = False
    for number, wanted in sent.partitions.items():
        found = seen.partitions[number]
        counts = Counter(found)
        lost += len(set(wanted) - set(counts))
        repeated += len(found) - len(counts)
        moved = moved or list(dict.fromkeys(found)) != [n for n in wanted if n in counts]
    return Verdict(lost, repeated, moved=moved)
