"""`penstock run --workers N`: a pipeline in several processes, which share what they read.

Each worker is a run of its own with the pipeline's name and its number, "shop@2": so it has its own
lease, checkpoint, letters and report, and nothing of a run had to change. What they share is the
consumer group of their inputs, which moves partitions, with their positions, between them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from threading import Thread
from typing import Any

from ..build import Pipeline
from ..components import Input, Output, Stage
from ..errors import EXIT_CHECK, EXIT_FAILED, EXIT_LETTERS, ConfigError, Problem, UsageError
from ..journal import Balance, Report
from ..made import Made
from ..options import options_of
from ..steps import pause
from ..supervise import RESTARTS
from .loading import find_file, store_of
from .showing import print_json

__all__ = ["follow_parent", "run_workers"]

_DEATHS = 5
_DRAINED = 128 + signal.SIGTERM
_SHORT = 10.0  # seconds: who dies sooner again and again is not started any more
_NAP = 0.05


def follow_parent() -> None:
    """End as after SIGTERM when the process that holds the other end of stdin is gone."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="parent", daemon=True).start()


def run_workers(options: Any, pipeline: Pipeline) -> int:
    """Run so many workers until all of them have ended; the exit code."""
    _check(options, pipeline)
    progress = _Progress(options, pipeline.name)
    workers = [_Worker(options, number) for number in range(1, options.workers + 1)]
    received = _run(workers, progress)
    reports = list(_reports(options, pipeline.name, workers))
    _show(options, pipeline.name, workers, reports)
    if received is not None:
        return 128 + received
    codes = {worker.code for worker in workers if worker.code is not None}
    failed = codes - {0, EXIT_LETTERS}
    if failed == {_DRAINED}:  # somebody has stopped one of them
        return _DRAINED
    if failed:  # those that were ended on the way do not say what was wrong
        return min((code for code in failed - {_DRAINED} if code > 0), default=EXIT_FAILED)
    return EXIT_LETTERS if EXIT_LETTERS in codes else 0


class _Progress:
    """How far the workers have come since they were started."""

    def __init__(self, options: Any, name: str) -> None:
        self.options = options
        self.names = [f"{name}@{number}" for number in range(1, options.workers + 1)]
        self.begun = self.now()

    def now(self) -> list[Any]:
        """Where the workers are; an epoch without records is a checkpoint, and no progress."""
        store = store_of(self.options)
        store.open()
        try:
            found = map(store.checkpoint, self.names)
            return [one and one.positions for one in found]
        finally:
            store.close()


class _Worker:
    """One process, and how often it died young, or has failed since anybody came further."""

    def __init__(self, options: Any, number: int) -> None:
        self.number = number
        self.command = [*_command(options), "--worker", str(number)]
        self.restarts = 0 if options.no_restart else RESTARTS
        self.code: int | None = None
        self.deaths = self.failures = 0
        self.failed_at: Any = None
        self.start()

    def start(self) -> None:
        self.wait_until: float | None = None
        self.started = time.monotonic()
        # A session of its own, as Ctrl-C would reach it twice: from the terminal and from us.
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, start_new_session=True)

    def look(self, progress: _Progress, *, stopping: bool) -> None:
        """Note that it has ended; one that was killed is started again, and so is one that found no
        connection where there was one before."""
        code = self.process.poll()
        if self.code is not None or code is None:
            return
        if self.wait_until is not None:
            if stopping:
                self.code = code
            elif time.monotonic() >= self.wait_until:
                self.start()
            return
        assert self.process.stdin is not None
        self.process.stdin.close()
        if code == EXIT_CHECK and not stopping and self._may_try_again(progress):
            return
        young = time.monotonic() - self.started < _SHORT
        self.deaths = self.deaths + 1 if young else 1
        if code >= 0 or stopping or self.deaths >= _DEATHS:
            self.code = code
            return
        what = f"worker {self.number} was ended by {signal.Signals(-code).name}"
        print(f"penstock: {what}; starting it again", file=sys.stderr)
        self.start()

    def _may_try_again(self, progress: _Progress) -> bool:
        """As with a run: a connection that fails before anything was done is a mistake that
        somebody has to mend; later, it is an accident."""
        now = progress.now()
        self.failures = self.failures + 1 if now == self.failed_at else 1
        self.failed_at = now
        if now == progress.begun or self.failures > self.restarts:
            return False
        delay = pause(self.failures, 1.0, random.random)
        what = f"worker {self.number} found no connection; starting it again in {delay:.1f} s"
        print(f"penstock: {what} ({self.failures} of {self.restarts})", file=sys.stderr)
        self.wait_until = time.monotonic() + delay
        return True


def _run(workers: list[_Worker], progress: _Progress) -> int | None:
    """Until every worker has ended; the signal that came, if one did."""
    received: list[int] = []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)

    before = {one: signal.signal(one, pass_on) for one in (signal.SIGINT, signal.SIGTERM)}
    failed = False
    try:
        while any(worker.code is None for worker in workers):
            for worker in workers:
                worker.look(progress, stopping=bool(received) or failed)
            if not failed and any(worker.code not in (None, 0, EXIT_LETTERS) for worker in workers):
                failed = True  # what is wrong for one is wrong for all
                for worker in workers:
                    if worker.process.poll() is None:
                        worker.process.send_signal(signal.SIGTERM)
            time.sleep(_NAP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return received[0] if received else None


def _check(options: Any, pipeline: Pipeline) -> None:
    """Refuse a pipeline that several processes cannot run together, with every reason."""
    for name in ("fresh", "reparse"):
        if getattr(options, name, False):
            raise UsageError(
                "workers cannot start over together",
                where=f"--{name}",
                hint="give the inputs another group, or run without --workers",
            )
    names = {step.name for pipe in pipeline.spec.pipes.values() for step in pipe}
    used = {name: made.component() for name, made in pipeline.made.items() if name in names}
    problems = []
    for name, made in pipeline.made.items():
        wrong = _wrong(made, used[name], used) if name in used else None
        if wrong is not None:
            what, hint = wrong
            document = pipeline.spec.document
            path = made.spec.path or (name,)
            problems.append(
                document.problem(what, *path, hint=hint)
                if document is not None
                else Problem(what, ".".join(map(str, path)), hint=hint)
            )
    if problems:
        raise ConfigError(problems)


def _wrong(made: Made, component: Any, all_of_them: Mapping[str, Any]) -> tuple[str, str] | None:
    """What keeps a component from being in several workers, and what to do."""
    if made.parts:
        return (
            "is made of inputs, and several workers would each read all of them",
            "do this in a pipeline of its own that writes to a stream, and read that stream with a "
            "group here, or run without --workers",
        )
    if isinstance(component, Input) and not component.shared:
        return (
            "several workers would each read all of it",
            "read a stream with a group, or run without --workers",
        )
    if isinstance(component, Output) and component.delivery == "rewindable":
        return "takes one writer, not several workers", "write to a stream or a table"
    if isinstance(component, Stage) and component.keeps_state:
        if not component.partitioned:
            can = "partitioned" in options_of(type(component))
            return (
                "keeps state, which cannot move to another worker with its partition",
                ("give each partition a state of its own with partitioned: true, " if can else "")
                + "run without --workers, or do this in a pipeline behind it",
            )
        return _keeps(list(all_of_them.values()))
    return None


def _keeps(components: Sequence[Any]) -> tuple[str, str] | None:
    """What keeps the states of partitions from moving between workers, and what to do."""
    inputs = [one for one in components if isinstance(one, Input)]
    parties = [
        one for one in components if isinstance(one, Output) and one.delivery == "transactional"
    ]
    if not all(one.hands_over for one in inputs):
        return (
            "keeps a state for each partition, and an input cannot hand it over",
            "read a stream of a broker that can, or run without --workers",
        )
    if len(parties) != 1 or not all(map(parties[0].settles, inputs)):
        return (
            "keeps a state for each partition, which must be committed where no worker that has "
            "lost the partition still can",
            "write to one stream of the same broker, and from there in a pipeline behind it",
        )
    return None


def _command(options: Any) -> list[str]:
    """The command line of a worker."""
    made = [sys.executable, "-m", "penstock", "run", str(find_file(options.pipeline)), "--quiet"]
    for text in options.set:
        made += ["--set", text]
    for file in options.plugin:
        made += ["--plugin", file]
    for name in ("max_records", "max_seconds", "engine", "state", "grace"):
        value = getattr(options, name)
        if value is not None:
            made += [f"--{name.replace('_', '-')}", f"{value}s" if name == "grace" else str(value)]
    for name in ("no_plugins", "no_restart", "verbose"):
        if getattr(options, name):
            made.append(f"--{name.replace('_', '-')}")
    return made


def _reports(options: Any, name: str, workers: list[_Worker]) -> Iterator[Report]:
    """The last report of each worker that left one."""
    store = store_of(options)
    store.open()
    try:
        for worker in workers:
            found = store.reports(f"{name}@{worker.number}", 1)
            if found:
                yield Report.from_dict(found[0])
    finally:
        store.close()


def _show(options: Any, name: str, workers: list[_Worker], reports: list[Report]) -> None:
    if options.json:
        print_json({"pipeline": name, "workers": [report.to_dict() for report in reports]})
        return
    if options.quiet:
        return
    for report in reports:
        number = report.pipeline.rpartition("@")[2]
        print(f"worker {number}: {report.balance}; {report.status}", file=sys.stderr)
    total = Balance(
        **{
            one.name: sum(getattr(report.balance, one.name) for report in reports)
            for one in fields(Balance)
            if one.name != "errors"
        }
    )
    print(f"{name}: {len(workers)} workers, {total}", file=sys.stderr)
    letters = [report.pipeline for report in reports if report.letters]
    for one in letters:
        number = one.rpartition("@")[2]
        command = f"penstock errors {find_file(options.pipeline)} --worker {number}"
        print(f"records were set aside; see them with: {command}", file=sys.stderr)
