"""Everything durable around a run, in memory: what is here outlives the process that dies.

`Fate` strikes at a durable step; a `World` holds the store and what every output has.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock import (
    Batch,
    Checkpoint,
    ConnectError,
    Failure,
    Input,
    MemoryStore,
    Output,
    Stage,
    Transformer,
)
from penstock.components import TransactionalOutput
from penstock.store import FencedError


class Killed(BaseException):
    """Stands for kill -9: no handler of the run may catch it."""


class Fate:
    """At the n-th durable step, does `what`; by default the process dies there."""

    def __init__(self, step: int | None = None, what: Callable[[], None] | None = None) -> None:
        self.step, self.steps, self.what = step, 0, what or self.die

    @staticmethod
    def die() -> None:
        raise Killed

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.step:
            self.what()


@dataclass
class Disk:
    """What the outputs have."""

    files: dict[str, list[Any]] = field(default_factory=dict)
    finished: dict[str, list[Any]] = field(default_factory=dict)
    tables: dict[str, tuple[list[Any], Checkpoint | None]] = field(default_factory=dict)
    maps: dict[str, dict[Any, Any]] = field(default_factory=dict)
    logs: dict[str, list[Any]] = field(default_factory=dict)
    trimmed: int = 0  # how far a queue has forgotten its records


class MortalStore(MemoryStore):
    """A store in memory with a folder; fate may strike before and after every durable step."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.fate = Fate()
        self.inside = False

    def let_go(self) -> None:
        """The process that held the leases has died, or its leases have run out elsewhere."""
        self._leases = {name: ("", n, 0.0) for name, (_, n, _) in self._leases.items()}

    def copy(self) -> MortalStore:
        made = MortalStore(self.folder)
        for name, value in vars(self).items():
            if isinstance(value, (dict, list)):
                setattr(made, name, copy.deepcopy(value))
        return made


def _durable(name: str) -> Any:
    step = getattr(MemoryStore, name)

    def mortal(self: MortalStore, *args: Any, **named: Any) -> Any:
        if self.inside:  # a step of the memory store within another, which is one
            return step(self, *args, **named)
        self.fate()
        self.inside = True
        try:
            result = step(self, *args, **named)
        finally:
            self.inside = False
        self.fate()
        return result

    return mortal


for _name in ("save", "keep", "put_intent", "attempt", "outrank", "forget"):
    setattr(MortalStore, _name, _durable(_name))


# ---- inputs and stages --------------------------------------------------------------------------


class Source(Input):
    """Numbers; negative ones cannot be read. With `trims`, a commit makes it forget."""

    def __init__(
        self, disk: Disk, fate: Fate, values: Sequence[int], size: int, trims: bool
    ) -> None:
        self.disk, self.fate, self.values, self.size, self.trims = disk, fate, values, size, trims

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = positions.get(self.context.name, 0)
        if done < self.disk.trimmed:
            raise AssertionError(
                f"record {done + 1} is gone: it was committed up to {self.disk.trimmed}"
            )
        while done < len(self.values):
            part = self.values[done : done + self.size]
            ordinals = range(done + 1, done + len(part) + 1)
            pairs = list(zip(part, ordinals, strict=True))
            good = [(value, ordinal) for value, ordinal in pairs if value >= 0]
            done += len(part)
            yield Batch(
                [value for value, _ in good],
                "",
                [ordinal for _, ordinal in good],
                done,
                [Failure(value, o, ValueError("negative")) for value, o in pairs if value < 0],
            )

    def commit(self, positions: Mapping[str, Any]) -> None:
        if self.trims:
            self.fate()
            self.disk.trimmed = max(self.disk.trimmed, *positions.values(), 0)
            self.fate()


class Deadly(Transformer):
    """Some records kill the process, others fail, others are dropped."""

    def __init__(self, deadly: Iterable[int]) -> None:
        self.deadly = set(deadly)

    def transform(self, record: int) -> int | None:
        if record in self.deadly:
            raise Killed
        if fails(record):
            raise ValueError("seven")
        return None if drops(record) else record


def fails(record: int) -> bool:
    return record % 7 == 0


def drops(record: int) -> bool:
    return record % 5 == 0


class Pairs(Stage):
    """Holds every other record: a window of two."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def process(self, batch: Batch) -> Iterable[Batch]:
        out, ordinals = [], []
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self.held.append(record)
            if len(self.held) == 2:
                out.append(tuple(self.held))
                ordinals.append(ordinal)
                self.held.clear()
        yield Batch(out, batch.source, ordinals, consumed=2 * len(out), dropped=0)

    def finish(self) -> Iterable[Batch]:
        if self.held:
            yield Batch([tuple(self.held)], "pairs", [0], consumed=len(self.held), dropped=0)
            self.held = []

    def snapshot(self) -> Any:
        return {"held": self.held}

    def restore(self, state: Any) -> None:
        self.held = list(state["held"])


# ---- outputs ------------------------------------------------------------------------------------


SHORTER = "is shorter than what was durable"


class File(Output):
    """Rewindable. A file that another process has opened since is no longer this one's. Once it is
    complete, nothing is added to it."""

    delivery = "rewindable"

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.disk, self.name, self.fate = disk, name, fate
        self.lines: list[Any] = []
        self.complete = False

    def resume(self, mark: Any, epoch: int) -> None:
        begun, finished = self.disk.files.get(self.name, []), self.disk.finished.get(self.name, [])
        if len(begun) < (mark or 0):
            if len(finished) < mark:
                raise ConnectError(SHORTER)
            self.complete = True
            begun = list(finished)
        self.lines = self.disk.files[self.name] = begun[: mark or 0]

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if self.complete:
            raise ConnectError(SHORTER)
        for record in batch.records:
            self.fate()
            self.lines.append(record)
        return None

    def prepare(self, epoch: int) -> Any:
        self.fate()
        return len(self.lines)

    def finish(self) -> None:
        self.fate()
        if self.disk.files.get(self.name) is self.lines:
            self.disk.finished[self.name] = self.disk.files.pop(self.name)
        self.fate()


class Table(TransactionalOutput):
    """Transactional: rows and checkpoint become visible together."""

    compares = True

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.disk, self.name, self.fate = disk, name, fate
        self.written: list[Any] = []

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.disk.tables.get(self.name, ([], None))[1]

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.written.extend(batch.records)
        return None

    def commit(self, checkpoint: Checkpoint) -> None:
        self.fate()
        rows, there = self.disk.tables.get(self.name, ([], None))
        if (
            self.compares
            and there is not None
            and (there.generation > checkpoint.generation or there.epoch >= checkpoint.epoch)
        ):
            raise FencedError(checkpoint.pipeline)
        made = Checkpoint.from_json(checkpoint.to_json())  # the stage may go on changing its state
        self.disk.tables[self.name] = ([*rows, *self.written], made)
        self.written = []
        self.fate()


class Keyed(Output):
    """Writing the same key twice is writing it once."""

    delivery = "keyed"

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.rows, self.fate = disk.maps.setdefault(name, {}), fate
        self.waiting: list[Any] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.waiting.extend(batch.records)
        return None

    def flush(self) -> None:
        for record in self.waiting:
            self.rows[record[0]] = record
            self.fate()
        self.waiting.clear()


class Log(Output):
    """What is written is there, and cannot be taken back."""

    delivery = "append"

    def __init__(self, disk: Disk, name: str, fate: Fate) -> None:
        self.lines, self.fate = disk.logs.setdefault(name, []), fate
        self.waiting: list[Any] = []

    write = Keyed.write

    def flush(self) -> None:
        for record in self.waiting:
            self.lines.append(record)
            self.fate()
        self.waiting.clear()


KINDS: dict[str, type[Output]] = {
    "rewindable": File,
    "transactional": Table,
    "keyed": Keyed,
    "append": Log,
}
