"""The public API in the hands of its users. mypy reads this, nothing runs it.

A line with `type: ignore` is a mistake that mypy must find: with strict settings, an ignore that
hides nothing is an error itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import penstock
from penstock import (
    Batch,
    Clock,
    Component,
    Context,
    Duration,
    Failure,
    Input,
    Inspector,
    Output,
    RecordError,
    RecordInput,
    Report,
    Scheduler,
    Stage,
    Tick,
    Transformer,
    component,
    each,
    hookimpl,
    option,
)


@component
class Lines(RecordInput):
    """The lines of a text file."""

    path: Path = option(help="File to read.")
    encoding: str = option(default="utf-8", help="Encoding of the file.")
    ends: Literal["keep", "strip"] = option(default="strip", help="What happens to line ends.")

    def records(self, skip: int) -> Iterator[str]:
        with self.path.open(encoding=self.encoding) as lines:
            for number, line in enumerate(lines):
                if number >= skip:
                    yield line if self.ends == "keep" else line.rstrip("\n")


@component
class Pages(Input):
    url: str = option(help="Where the pages are.")
    token: str = option(default="", help="Password.", secret=True)
    timeout: Duration = option(default=30.0, help="Longest wait for a page.")

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        yield None
        yield Batch([{"page": 1}], resume=1)


@component
class Upper(Transformer):
    field: str = option(help="Field to change.")

    def transform(self, record: dict[str, str]) -> dict[str, str] | None:
        return {**record, self.field: record[self.field].upper()}


@component
class Words(Transformer):
    def transform(self, record: str) -> Iterator[str]:
        yield from record.split()


@component
class Short(Inspector):
    most: int = option(default=80, help="Longest line.", example=100)

    def inspect(self, record: str) -> None:
        if len(record) > self.most:
            raise RecordError(f"is {len(record)} long; shorten it to {self.most}")


@component
class Latest(Stage):
    """Keeps the last record."""

    def open(self, context: Context) -> None:
        super().open(context)
        self.kept: list[Any] = []
        self.source: random.Random = context.random
        context.logger.info("opened at %s", context.clock.now())

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.kept = list(batch.records[-1:])
        return ()

    def finish(self) -> Iterable[Batch]:
        yield Batch(self.kept)

    def snapshot(self) -> list[Any]:
        return self.kept

    def restore(self, state: list[Any]) -> None:
        self.kept = state


@component
class Memory(Output):
    delivery = "append"

    def open(self, context: Context) -> None:
        super().open(context)
        self.records: list[Any] = []

    def write(self, batch: Batch) -> list[Failure]:
        self.records += batch.records
        return []


class Hourly:
    def ticks(self, clock: Clock) -> Iterator[Tick]:
        yield Tick(1, clock.now())


@hookimpl
def penstock_inputs() -> dict[str, str]:
    return {"lines": "acme.lines:Lines"}


def run_a_file() -> Report:
    return penstock.run("pipeline.yaml", settings=["orders.path=other.csv"], engine="threads")


def run_components(path: Path) -> int:
    report = penstock.run(Lines(path=path), Upper(field="name"), Short(most=10), Memory())
    return report.exit_code


def run_two_pipes(path: Path) -> Report:
    first: list[Component] = [Lines(path=path), Memory()]
    return penstock.run(first, [Pages(url="x"), Memory()])


def work_on_a_batch(batch: Batch) -> Batch:
    return each(str.upper, batch).keep([True] * len(batch))


def schedule() -> Scheduler:
    return Hourly()


def mistakes_that_are_found() -> None:
    Lines()  # type: ignore[call-arg]
    Lines(Path("a.txt"))  # type: ignore[call-arg]
    Lines(path=Path("a.txt"), pth="b.txt")  # type: ignore[call-arg]
    Short(most="eighty")  # type: ignore[arg-type]
    Lines(path=Path("a.txt"), ends="drop")  # type: ignore[arg-type]
