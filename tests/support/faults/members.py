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
from penstock_broker_kafka.sockets import direct

from .oracle import Verdict

__all__ = ["NO_TRANSACTIONS", "Fleet", "Members", "Seen", "compared"]

PARTITIONS = 3
_SUPPORT = str(Path(__file__).parents[1])

_PIPELINE = """
brokers:
  bus: {{use: kafka, bootstrap: "{url}", session_timeout: 1.5s}}
inputs:
  clicks: {{use: stream, broker: bus, stream: "{name}.in", group: "{name}", until: never,
           poll_timeout: 50ms}}
outputs:
  out: {output}
pipes:
  main: [clicks, out]
epoch: {{seconds: 0.3}}
"""

TRANSACTIONS = '{{use: stream, broker: bus, stream: "{name}.out", key: n}}'
NO_TRANSACTIONS = TRANSACTIONS.replace("}}", ", transactions: false}}")


@dataclass
class Seen:
    """The numbers in each partition of a topic, in their order."""

    partitions: dict[int, list[int]] = field(
        default_factory=lambda: {number: [] for number in range(PARTITIONS)}
    )

    @property
    def count(self) -> int:
        return sum(map(len, self.partitions.values()))


class Members:
    """Processes of one pipeline in a folder, NAME.yaml, which come, go and are killed. `variant` is
    the wrong way in which they work, one of `variants`."""

    def __init__(self, name: str, folder: Path, *, seed: int, variant: str = "") -> None:
        self.name, self.folder, self.variant = name, folder / name, variant
        self.folder.mkdir()
        self.chance = random.Random(seed)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self._enough = Event()

    def start(self, member: int) -> None:
        run = ["run", f"{self.name}.yaml", "--worker", str(member), "--quiet"]
        program = ["penstock"]
        if self.variant:
            program = ["faults.launcher", self.variant, "."]
        with (self.folder / "said.txt").open("ab") as said:
            self.processes[member] = subprocess.Popen(
                [sys.executable, "-m", *program, *run],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": _SUPPORT},
            )

    def command(self, workers: int) -> subprocess.Popen[bytes]:
        """All of them as one command; it is ended as a member is."""
        program = [sys.executable, "-m", "penstock", "run", f"{self.name}.yaml"]
        with (self.folder / "said.txt").open("ab") as said:
            self.processes[0] = subprocess.Popen(
                [*program, "--workers", str(workers)],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
            )
        return self.processes[0]

    def strike(self, member: int, how: signal.Signals) -> None:
        process = self.processes.pop(member)
        process.send_signal(how)
        process.wait(60)
        assert process.stdin is not None
        process.stdin.close()

    def stall(self, member: int, seconds: float) -> None:
        """Keep a member asleep for so long; it does not notice."""
        self.processes[member].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.processes[member].send_signal(signal.SIGCONT)

    def harass(
        self,
        members: int,
        enough: Callable[[int], bool],
        *,
        pause: tuple[float, float],
        how: tuple[signal.Signals, ...],
        between: Callable[[int], None] = lambda strikes: None,
        count: Callable[[], int] | None = None,
    ) -> int:
        """Strike members at random, each of which comes back at once; how often. With `count`, of
        what has come, only when more of it comes: who does nothing cannot be interrupted."""
        for member in range(1, members + 1):
            self.start(member)
        strikes = 0
        while not enough(strikes):
            if count is not None:
                self._wait_for_more(count)
            time.sleep(self.chance.uniform(*pause))
            member = self.chance.randint(1, members)
            self.strike(member, self.chance.choice(how))
            strikes += 1
            between(strikes)
            self.start(member)
        self._enough.set()
        return strikes

    def _wait_for_more(self, count: Callable[[], int]) -> None:
        before, end = count(), time.monotonic() + 20
        while count() == before and time.monotonic() < end:
            time.sleep(0.05)

    def messages(self) -> str:
        """What the members have said."""
        return (self.folder / "said.txt").read_text()


class Fleet(Members):
    """Workers of one pipeline, which read a topic as a group and write to an `output`."""

    def __init__(
        self,
        url: str,
        name: str,
        folder: Path,
        *,
        seed: int,
        output: str = TRANSACTIONS,
        variant: str = "",
    ) -> None:
        super().__init__(name, folder, seed=seed, variant=variant)
        self.url = url
        text = _PIPELINE.format(url=url, name=name, output=output.format(name=name))
        (self.folder / f"{name}.yaml").write_text(text)
        self.sent = Seen()
        self._gone = False
        admin = load().KafkaAdminClient(bootstrap_servers=url, proxy_url=direct())
        admin.create_topics(
            {f"{name}.{one}": {"num_partitions": PARTITIONS} for one in ("in", "out")}
        )
        admin.wait_for_topics([f"{name}.in", f"{name}.out"])
        admin.close()

    # ---- messages that keep coming, and somebody who reads along ---------------------------------

    def feed(self, rate: int, total: int | None = None) -> Thread:
        """Send numbers until there are enough kills, or `total` of them."""

        def work() -> None:
            producer: Any = load().KafkaProducer(
                bootstrap_servers=self.url, linger_ms=5, proxy_url=direct()
            )
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
                proxy_url=direct(),
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

    def settle(self, count: Callable[[], int], seconds: float) -> bool:
        """Wait until everything has come; whether it has."""
        end = time.monotonic() + seconds
        while count() < self.sent.count and time.monotonic() < end:
            time.sleep(0.1)
        return count() >= self.sent.count

    def stop(self) -> None:
        self._enough.set()
        for member in list(self.processes):
            self.strike(member, signal.SIGTERM)
        self._gone = True


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
