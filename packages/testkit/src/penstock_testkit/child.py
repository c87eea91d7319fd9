"""Be another process: run what was packed into a file, and die where it says. A program.

    python -m penstock_testkit.child FOLDER '{"at": 12, "signal": 9}'

`job.pickle` in the folder is a `Job`; what came of it is put into `result.json` there.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from penstock import Input, Output, Plugins, Store
from penstock.build import Pipeline, pipeline_of
from penstock.cli.signals import Draining
from penstock.store import Checkpoint, encode_record
from penstock.stores.sqlite import SqliteStore

from .driving import PIPELINE, Writer, read

__all__ = ["Calls", "Fate", "Job", "Reading", "Running", "main"]

_QUIET = 20  # so often nothing from an input without an end, and there is nothing more
_FEW = 3
DRAINED = 143


@dataclass
class Job:
    """Something to do in another process; `do` gives what is to be known of it, as JSON."""

    def do(self, folder: Path, fate: Fate) -> tuple[int, Any]:
        raise NotImplementedError

    def components(self) -> Sequence[Any]:
        """Those that take part."""
        raise NotImplementedError


class Fate:
    """Counts the moments of a run and, when the chosen one has come, sends this process a signal.

    The moments are before and after every call that makes something durable or tells somebody.
    """

    def __init__(self, at: int | None = None, signal: int = signal.SIGKILL) -> None:
        self.at = at
        self.signal = signal
        self.moments = 0

    def __call__(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            os.kill(os.getpid(), self.signal)

    def around(self, owner: Any, *methods: str) -> None:
        """Make a moment before and after each call of these methods of one object."""
        for name in methods:
            if hasattr(owner, name):
                setattr(owner, name, partial(self._called, getattr(owner, name)))

    def _called(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        self()
        result = call(*args, **named)
        self()
        return result


@dataclass
class Running(Job):
    """Run a pipeline of these components, with its state in the folder, until it is complete or, if
    its input has no end, until there is nothing more."""

    pipes: Sequence[Sequence[Any]]
    engine: str = "inline"
    epoch: int = 7

    def components(self) -> Sequence[Any]:
        return [one for pipe in self.pipes for one in pipe]

    def do(self, folder: Path, fate: Fate) -> tuple[int, Any]:
        pipeline = self.pipeline()
        store = SqliteStore(folder / "state")
        store.open()
        fate.around(store, "save", "put_intent")
        try:
            with Draining() as draining:
                run = pipeline.start(store=store)
                for node in run.nodes.values():
                    self._watch(node.component, fate, run)
                draining.attend(run)
                report = run.execute()
        finally:
            letters = len(_letters(store))
            store.close()
        code = report.exit_code
        if report.status == "interrupted":  # by the signal, or because there is nothing more
            code = DRAINED if draining.received else 0
        about = {"status": report.status, "error": report.error, "letters": letters}
        about |= {"holds": report.balance.holds, "moments": fate.moments}
        return code, about

    def pipeline(self) -> Pipeline:
        pipeline = pipeline_of(
            self.pipes, Plugins(discover=False), name=PIPELINE, engine=self.engine
        )
        pipeline.spec.epoch = {"records": self.epoch}
        return pipeline

    @staticmethod
    def _watch(component: Any, fate: Fate, run: Any) -> None:
        if isinstance(component, Output):
            fate.around(component, "write", "flush", "prepare", "commit", "finish")
        if isinstance(component, Input):
            if hasattr(component, "batch_size"):
                component.batch_size = _FEW  # so that there are places to die at
            fate.around(component, "commit")
            component.read = partial(_reading, component.read, fate, run, component.finite)  # type: ignore[method-assign]


def _reading(
    read: Callable[[Any], Iterator[Any]], fate: Fate, run: Any, finite: bool, positions: Any
) -> Iterator[Any]:
    quiet = 0
    for batch in read(positions):
        quiet = quiet + 1 if batch is None else 0
        if quiet >= _QUIET and not finite:
            run.stopping = "nothing more"
        yield batch
        if batch is not None:
            fate()


def _letters(store: Store) -> list[Any]:
    return store.letters(PIPELINE)


@dataclass
class Reading(Job):
    """Read an input to its end; the result is its records, encoded."""

    input: Any
    positions: Mapping[str, Any] = field(default_factory=dict)
    enough: int | None = None

    def components(self) -> Sequence[Any]:
        return [self.input]

    def do(self, folder: Path, fate: Fate) -> tuple[int, Any]:
        batches = read(self.input, self.positions, enough=self.enough)
        return 0, [encode_record(record) for batch in batches for record in batch.records]


@dataclass
class Calls(Job):
    """Call methods of an output, opened and resumed, one after the other; the result is what the
    last of them gave. With `dies` the process is killed then, and nothing is closed."""

    output: Any
    calls: Sequence[tuple[str, Any]]
    mark: Any = None
    epoch: int = 0
    dies: bool = True

    def components(self) -> Sequence[Any]:
        return [self.output]

    def do(self, folder: Path, fate: Fate) -> tuple[int, Any]:
        writer = Writer(self.output, self.mark, self.epoch)
        given: Any = None
        for name, argument in self.calls:
            if name == "write":
                writer.write(argument)
            elif name == "commit":
                writer.output.commit(Checkpoint(**argument))  # type: ignore[attr-defined]
            else:
                given = getattr(writer.output, name)(*([] if argument is None else [argument]))
        if self.dies:
            _keep(folder, given)
            os.kill(os.getpid(), signal.SIGKILL)
        writer.close()
        return 0, given


def _keep(folder: Path, result: Any) -> None:
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def main(folder: Path, fate: Fate) -> int:
    with open(folder / "job.pickle", "rb") as file:
        job: Job = pickle.load(file)  # noqa: S301 - our own parent has just written it
    code, result = job.do(folder, fate)
    _keep(folder, result)
    return code


if __name__ == "__main__":
    # By its own name, so that the classes here are those that the pickle means.
    from penstock_testkit import child

    sys.exit(child.main(Path(sys.argv[1]), child.Fate(**json.loads(sys.argv[2]))))
