"""Ways to hurt a run that writes to a database, and a judge who knows what must be in it.

As a program it reads one request per line of standard input, runs the command line in a fork of
itself, kills it after a time if asked to, and answers with one line; both are JSON. It has
imported everything, so each run starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["LostReplies", "Outcome", "Runner", "Tally", "judge", "make", "payload"]


# ---- what must be there -------------------------------------------------------------------------


def payload(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Tally:
    lost: int = 0
    repeated: int = 0
    torn: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.lost + other.lost, self.repeated + other.repeated, self.torn + other.torn)


def judge(rows: Iterable[tuple[Any, Any]], count: int) -> Tally:
    """Whether a table has each of `count` records once; a row carries a checksum of its number."""
    found: Counter[int] = Counter()
    torn = 0
    for number, text in rows:
        if text == payload(int(number)):
            found[int(number)] += 1
        else:
            torn += 1
    wanted = set(range(1, count + 1))
    return Tally(len(wanted - set(found)), sum(found.values()) - len(found), torn)


def make(folder: Path, url: str, table: str, count: int, *, engine: str = "inline") -> None:
    """A folder with a pipeline and its rows; many small epochs give a fault many places."""
    folder.mkdir(parents=True)
    lines = [f"{number},{payload(number)}\n" for number in range(1, count + 1)]
    (folder / "in.csv").write_text("id,payload\n" + "".join(lines))
    (folder / "pipeline.yaml").write_text(
        f"name: {table}\n"
        "inputs:\n  rows: {use: csv, path: in.csv, batch_size: 50}\n"
        f'outputs:\n  out: {{use: sql, url: "{url}", table: {table}}}\n'
        "pipes:\n  rows: [rows, out]\n"
        f"engine: {engine}\nepoch: {{records: 250}}\n"
    )


# ---- runs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code, negative after a signal, and what it said."""

    code: int
    seconds: float
    said: str


class Runner:
    """Runs the command line in folders, one run at a time. Use it in a `with`."""

    def __enter__(self) -> Runner:
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "NO_COLOR": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(10)

    def run(self, folder: Path, *, kill_after: float | None = None, naive: bool = False) -> Outcome:
        """One run; `naive` ones keep their position elsewhere than their rows."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"folder": str(folder), "kill_after": kill_after, "naive": naive}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def _naively() -> None:
    """Rows are committed by themselves, and the position is noted by the store afterwards."""
    from penstock_sink_sql.output import SqlOutput

    def prepare(self: SqlOutput, epoch: int) -> None:
        session = self._session
        session.begin(self._checkpoints).commit()
        session._begun = False
        session.dirty.clear()

    SqlOutput.delivery = "append"
    SqlOutput.prepare = prepare  # type: ignore[method-assign]
    SqlOutput.finish = lambda self: None  # type: ignore[method-assign]


def _child(request: dict[str, Any]) -> int:
    from penstock.cli import main

    os.chdir(request["folder"])
    said = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if request["naive"]:
        _naively()
    code = main(["run", "pipeline.yaml", "-q"])
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if not child:
        code = 70
        try:
            code = _child(request)
        finally:
            os._exit(code)
    started = time.monotonic()
    limit = 60.0 if request["kill_after"] is None else request["kill_after"]
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        now = time.monotonic()
        if done:
            said = Path(request["folder"], "said.txt")
            text = said.read_text() if said.exists() else ""
            code = os.waitstatus_to_exitcode(status)
            return {"code": code, "seconds": now - started, "said": text}
        if now - started >= limit:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.0005)


def _serve() -> None:
    modules = (
        "penstock.cli.run penstock.engines.inline penstock.engines.threads penstock.stores.sqlite "
        "penstock.syntaxes.yaml penstock_input_csv.input penstock_sink_sql.output "
        "penstock_sink_sql.session penstock_sink_sql.checkpoints penstock_sink_sql.writer psycopg "
        "penstock_sink_sql.table sqlalchemy.dialects.postgresql.psycopg"
    )
    for module in modules.split():
        __import__(module)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


# ---- a network that loses answers ---------------------------------------------------------------


class LostReplies:
    """Between client and server: with a probability an answer of the server is dropped, and the
    connection reset, so the client cannot know whether its request was done."""

    def __init__(self, target: int, chance: float, seed: int) -> None:
        self.target = target
        self.chance = chance
        self.lost = 0
        self._random = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> LostReplies:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for one, other, answers in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(one, other, answers), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            for data in _chunks(one):
                if answers and self._random.random() < self.chance:
                    self.lost += 1
                    break
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                # Reset, not closed: nobody may take it for a clean end.
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
                end.close()


def _chunks(source: socket.socket) -> Iterator[bytes]:
    while data := source.recv(65536):
        yield data


if __name__ == "__main__":
    _serve()
