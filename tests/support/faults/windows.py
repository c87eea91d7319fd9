"""Windows of a stream in a folder, made by workers that share its partitions: what they are to be,
and what has become of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from threading import Thread
from zlib import crc32

from penstock_broker_file.stream import Limits, Staged, Stream

from .members import Members
from .oracle import Verdict

__all__ = ["Herd"]

PARTITIONS = 6
_LIMITS = Limits(1 << 20)

_PIPELINE = """
name: {name}
brokers:
  bus: {{use: file, path: streams, partitions: 6}}
inputs:
  clicks: {{use: stream, broker: bus, stream: in, group: {group}}}
transformers:
  minutes:
    use: window
    kind: tumbling
    time: t
    size: 1m
    by: user
    aggregate: {{clicks: count(), total: sum(n), first: min(n), last: max(n)}}
    partitioned: true
outputs:
  out: {{use: stream, broker: bus, stream: {out}}}
pipes:
  main: [clicks, minutes, out]
epoch: {{seconds: 0.2}}
"""


class Herd(Members):
    """Members that count the clicks of each user in each minute of a stream that grows."""

    def __init__(self, folder: Path, name: str, *, seed: int, variant: str = "") -> None:
        super().__init__(name, folder, seed=seed, variant=variant)
        self._write(name, group="herd", out="out")
        self._write("alone", group="alone", out="wanted")
        self.fed = 0
        self._stream = Stream(self.folder / "streams" / "in")
        self._stream.create(PARTITIONS)
        self._out = Stream(self.folder / "streams" / "out")
        self._out.create(PARTITIONS)

    def _write(self, name: str, *, group: str, out: str) -> None:
        text = _PIPELINE.format(name=name, group=group, out=out)
        (self.folder / f"{name}.yaml").write_text(text)

    def feed(self, rate: int) -> Thread:
        """Clicks of 37 users, one each 100 ms of their time, until there are enough kills; then the
        end of the stream."""

        def work() -> None:
            while not self._enough.is_set():
                self._append(range(self.fed + 1, self.fed + rate // 20 + 1))
                time.sleep(0.05)
            self._end()

        thread = Thread(target=work)
        thread.start()
        return thread

    def _append(self, numbers: range) -> None:
        lines: dict[int, list[str]] = {}
        for n in numbers:
            user = f"u{n % 37}"
            line = json.dumps({"n": n, "user": user, "t": n / 10})
            lines.setdefault(crc32(user.encode()) % PARTITIONS, []).append(line)
        self._commit({number: "\n".join(some) + "\n" for number, some in lines.items()})
        self.fed = numbers[-1]

    def _end(self) -> None:
        self._commit(dict.fromkeys(range(PARTITIONS), '{"eos__":true}\n'))

    def _commit(self, texts: dict[int, str]) -> None:
        with self._stream.committing() as head:
            staged = {
                number: Staged(BytesIO(text.encode()), text.count("\n"))
                for number, text in texts.items()
            }
            self._stream.append(head, staged, _LIMITS)
            self._stream.publish(head, _LIMITS)

    @property
    def made(self) -> int:
        """How many windows there are by now."""
        return sum(tip.records for tip in self._out.head().tips)

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
        """The windows against those of one process that nobody disturbs."""
        command = [sys.executable, "-m", "penstock", "run", "alone.yaml", "--quiet"]
        subprocess.run(command, cwd=self.folder, check=True)
        wanted = _windows(self.folder / "streams" / "wanted")
        assert sum(json.loads(line)["clicks"] for line in wanted.elements()) == self.fed
        found = _windows(self.folder / "streams" / "out")
        return Verdict(lost=(wanted - found).total(), repeated=(found - wanted).total())


def _windows(folder: Path) -> Counter[bytes]:
    """What is committed of a stream; each window of a user ought to be there once."""
    stream, found = Stream(folder), Counter[bytes]()
    for number, tip in enumerate(stream.head().tips):
        for one in stream.segments(number):
            if int(one.stem) <= tip.segment:
                end = tip.size if int(one.stem) == tip.segment else None
                found.update(one.read_bytes()[:end].splitlines())
    return found
