"""Records that failed: what becomes of each, and when there are so many that a run must stop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from threading import Lock
from typing import TYPE_CHECKING

from .batch import Failure
from .errors import PenstockError, RecordError, RunError
from .journal import FailureGroup
from .options import mask
from .store import DeadLetter, encode_record

if TYPE_CHECKING:
    from .nodes import NodeRun
    from .schedule import Clock

__all__ = ["Failures", "describe", "shape_of"]

_BREAKER_LEAST = 100
_BREAKER_SHARE = 0.10
_BREAKER_READ = 1000
_PENDING = 1000
_GROUPS = 50


def describe(error: BaseException) -> str:
    """An error as part of a sentence: the class is named unless the text was written for people.

    Control characters are shown as escapes: what stood in the data must not reach a terminal."""
    text = str(error)
    if isinstance(error, PenstockError) and not isinstance(error, RunError):
        return "\n".join(map(_visible, text.split("\n")))  # a line for each problem
    text = _visible(text)
    if isinstance(error, (PenstockError, RecordError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_DIGITS = re.compile(r"\d+(?:\.\d+)?")


def shape_of(message: str) -> str:
    """A message without what differs from record to record: quoted values and numbers."""
    return _DIGITS.sub("…", _QUOTED.sub("…", message))


class Failures:
    """The failed records of one run. Nodes on several threads report to it.

    `keep` is called, with no lock held, when so many letters are pending that memory matters.
    `breaker` may be switched off where most records are expected to fail.
    """

    def __init__(
        self,
        pipeline: str,
        run_id: str,
        clock: Clock,
        listener: Callable[..., None],
        keep: Callable[[], None],
    ) -> None:
        self.pipeline = pipeline
        self.run_id = run_id
        self.clock = clock
        self.groups: dict[tuple[str, str, str], FailureGroup] = {}
        self.since = 0.0
        self.total = 0
        self.letters = 0
        self.breaker = True
        self._listener = listener
        self._keep = keep
        self._pending: list[DeadLetter] = []
        self._lock = Lock()
        self.reserved: set[tuple[str, str, int, str, int]] = set()
        """The identities of letters that this run must not overwrite."""
        self._parts: dict[tuple[str, str, int], int] = {}
        self._total_before = self._read_before = 0

    def set_aside(self, node: NodeRun, source: str, failures: Iterable[Failure]) -> None:
        """Do with failed records what the node's `on_error` says."""
        for failure in failures:
            message = mask(describe(failure.error), node.secrets)
            where = f"{source}:{failure.ordinal}"
            if node.settings.on_error == "stop":
                raise RunError(
                    message,
                    where=f"{node.name} at {where}",
                    node=node.name,
                    hint="on_error is 'stop'",
                ) from failure.error
            self._count(node, failure, message, where)
            if node.settings.on_error == "skip":
                node.skipped += 1
                continue
            node.dead += 1
            letter = self._letter(node, source, failure, message)
            with self._lock:
                self._pending.append(letter)
                self.letters += 1
            self._listener(self, node, letter)
        if len(self._pending) >= _PENDING:
            self._keep()

    def take(self) -> list[DeadLetter]:
        """The letters that are not kept yet; they are the caller's from now on."""
        with self._lock:
            taken, self._pending = self._pending, []
        return taken

    def begin_epoch(self, read: int) -> None:
        """The breaker looks at one epoch at a time; `read` is what the run has read so far."""
        self._total_before, self._read_before = self.total, read
        self._parts.clear()

    def check_breaker(self, read: int, *, final: bool = False) -> None:
        """Stop a run in which most records fail: a wrong column name must not turn a whole file
        into dead letters."""
        failed = self.total - self._total_before
        if failed < _BREAKER_LEAST or not self.breaker:
            return
        read -= self._read_before
        if failed <= read * _BREAKER_SHARE or (read < _BREAKER_READ and not final):
            return
        worst = max(self.groups.values(), key=lambda group: group.count)
        raise RunError(
            f"{failed} of {read} records failed, most as at {worst.example}: {worst.message}",
            where=worst.node,
            node=worst.node,
            hint="mend the pipeline or the data; a run stops when more than 10 % fail",
        )

    def _count(self, node: NodeRun, failure: Failure, message: str, where: str) -> None:
        name = type(failure.error).__name__
        key = (node.name, name, shape_of(message))
        with self._lock:
            self.total += 1
            if len(self.groups) >= _GROUPS:
                key = (node.name, name, "")  # messages that never repeat must not fill the memory
            group = self.groups.get(key)
            if group is None:
                self.groups[key] = FailureGroup(node.name, name, 1, message, where)
            else:
                group.count += 1

    def _letter(self, node: NodeRun, source: str, failure: Failure, message: str) -> DeadLetter:
        # Letters from before the run are settled at its end; a clock that was put back makes none.
        now = max(self.clock.now(), self.since)
        return DeadLetter(
            pipeline=self.pipeline,
            source=source,
            ordinal=failure.ordinal,
            node=node.name,
            error=type(failure.error).__name__,
            message=message,
            record=mask(encode_record(failure.record), node.secrets),
            run_id=self.run_id,
            plugin=node.node.plugin,
            version=node.node.version,
            config_hash=node.node.config_hash,
            attempts=getattr(failure.error, "attempts", 1),
            first=now,
            last=now,
            part=self._part(node, source, failure.ordinal),
        )

    def _part(self, node: NodeRun, source: str, ordinal: int) -> int:
        """Which of the results of one source record this is, among those that failed at the node.
        They fail in one epoch and always in the same order, so a repeat counts them the same."""
        place = (node.name, source, ordinal)
        part = self._parts.get(place, 0)
        while (self.pipeline, source, ordinal, node.name, part) in self.reserved:
            part += 1
        self._parts[place] = part + 1
        return part
