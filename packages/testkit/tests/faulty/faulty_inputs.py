"""Inputs that each break one rule; `Good` breaks none."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock import Batch, Context, Input, component, option

IN_THE_TESTS = "pytest" in sys.modules
LIMIT = None  # set by the tests, so not in another process


def make(path: Path, count: int) -> list[Any]:
    records = [{"id": number, "text": f"text {number} " * 5} for number in range(1, count + 1)]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return records


@component
class Good(Input):
    """Reads the records in the lines of a file."""

    path: Path = option(help="File to read.")
    batch_size: int = option(help="Records in a batch.", default=4)
    note: str = option(help="Nothing that matters.", default="")

    def open(self, context: Context) -> None:
        super().open(context)
        self.lines = self.path.open(encoding="utf-8")

    def close(self) -> None:
        if "lines" in vars(self):
            self.__dict__.pop("lines").close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        done = self.begin(next(iter(positions.values()), None) or 0)
        for _ in range(done):
            self.lines.readline()
        while records := self.some():
            first, done = done + 1, done + len(records)
            yield Batch(records, "", self.ordinals(first, done), self.position(done))
            self.given(done)

    def begin(self, position: Any) -> int:
        return position

    def some(self) -> list[Any]:
        lines = [self.lines.readline() for _ in range(self.batch_size)]
        return [json.loads(line) for line in lines if line]

    def ordinals(self, first: int, last: int) -> range:
        return range(first, last + 1)

    def position(self, done: int) -> Any:
        return done

    def given(self, done: int) -> None:
        pass


class LosesOne(Good):
    breaks = "every_record_is_read_once"

    def some(self) -> list[Any]:
        return [{**one, "id": 5} if one["id"] == 6 else one for one in super().some()]


class CountsFromZero(Good):
    breaks = "ordinals_count_from_one"

    def ordinals(self, first: int, last: int) -> range:
        return range(first - 1, last)


class CutsBadly(Good):
    breaks = "how_records_are_cut_into_batches_changes_nothing"

    def some(self) -> list[Any]:
        found = super().some()
        return [*found[:6], found[0]] if len(found) == 7 else found


class KnowsOneThread(Good):
    breaks = "every_engine_reads_the_same"

    def open(self, context: Context) -> None:
        super().open(context)
        self.thread = threading.get_ident()

    def some(self) -> list[Any]:
        assert threading.get_ident() == self.thread, "opened on another thread"
        return super().some()


class KnowsOneProcess(Good):
    breaks = "it_reads_the_same_in_another_process"

    def some(self) -> list[Any]:
        return super().some() if LIMIT else []


class StaysOpen(Good):
    breaks = "it_is_closed_whatever_happened"
    busy: set[str] = set()

    def begin(self, position: Any) -> int:
        if str(self.path) in self.busy:
            raise RuntimeError("somebody is reading")
        self.busy.add(str(self.path))
        return super().begin(position)

    def some(self) -> list[Any]:
        found = super().some()
        if not found:
            self.busy.discard(str(self.path))
        return found


class GoesBack(Good):
    breaks = "progress_is_a_part_of_the_whole"
    told = 1.0

    def progress(self) -> float | None:
        self.told -= 0.1
        return self.told


class Hoards(Good):
    breaks = "memory_does_not_grow_with_the_records"

    def open(self, context: Context) -> None:
        super().open(context)
        self.hoard: list[Any] = []

    def some(self) -> list[Any]:
        found = super().some()
        self.hoard.extend(found)
        return found


class PositionIsNoJson(Good):
    breaks = "positions_are_json"

    def position(self, done: int) -> Any:
        return (done,)

    def begin(self, position: Any) -> int:
        return position[0] if position else 0


class ComesAgain(Good):
    breaks = "it_resumes_at_every_position_it_gave"

    def begin(self, position: Any) -> int:
        return position - 1 if 0 < position < 8 else position


class ForgetsWhatComes(Good):
    breaks = "a_commit_is_only_a_hint"
    told = 0

    def commit(self, positions: Mapping[str, Any]) -> None:
        known = next(iter(positions.values()), 0)
        if known <= self.told:
            self.lines.read()
        self.told = known


class HasForgotten(Good):
    breaks = "what_was_not_confirmed_comes_again"
    capability = "redelivering"
    seen: dict[str, int] = {}

    def begin(self, position: Any) -> int:
        mark = Path(f"{self.path}.confirmed")
        confirmed = int(mark.read_text()) if mark.exists() else 0
        self.skipped = max(confirmed, self.seen.get(str(self.path), 0))
        return self.skipped

    def ordinals(self, first: int, last: int) -> range:
        return range(first - self.skipped, last - self.skipped + 1)

    def some(self) -> list[Any]:
        found = super().some()
        if not found:
            self.seen[str(self.path)] = 1_000_000
        return found

    def commit(self, positions: Mapping[str, Any]) -> None:
        for position in positions.values():
            Path(f"{self.path}.confirmed").write_text(str(position))


class SplitsBadly(Good):
    breaks = "parts_together_read_the_same_records"

    def split(self, n: int) -> list[Input]:
        return [Good(path=self.path), Good(path=self.path)]


class KeepsItsOwnPlace(Good):
    breaks = "a_killed_run_is_resumed"

    def begin(self, position: Any) -> int:
        mark = Path(f"{self.path}.place")
        if IN_THE_TESTS or not (position and mark.exists()):
            return position
        return max(position, int(mark.read_text()))

    def given(self, done: int) -> None:
        if not IN_THE_TESTS:
            Path(f"{self.path}.place").write_text(str(done))


class LosesWhenItIsClosed(Good):
    breaks = "a_run_that_was_asked_to_stop_is_resumed"

    def begin(self, position: Any) -> int:
        return position + Path(f"{self.path}.closed").exists() if position else 0

    def some(self) -> list[Any]:
        found = super().some()
        self.ended = not found
        return found

    def close(self) -> None:
        super().close()
        if not IN_THE_TESTS and not self.__dict__.get("ended"):
            Path(f"{self.path}.closed").touch()


class IsNotItsOptions(Good):
    breaks = "constructors_only_keep_options"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "note": "sent"}


@component
class Leaks(Good):
    breaks = "secrets_are_shown_nowhere"
    token: str = option(help="Who we are.", default="", secret=True)

    def open(self, context: Context) -> None:
        super().open(context)
        context.logger.debug("we are %s", self.token)


@component
class LeaksInRepr(Good):
    breaks = "secrets_are_shown_nowhere"
    token: str = option(help="Who we are.", default="", secret=True)


def _plain(self: Any) -> str:
    return f"LeaksInRepr(token={self.token!r})"


LeaksInRepr.__repr__ = _plain  # type: ignore[method-assign]

FAULTY = [cls for cls in vars().copy().values() if hasattr(cls, "breaks")]
