"""The rules for inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import Batch, Input, Plugins
from penstock.build import pipeline_of
from penstock.store import decode_record
from penstock.testing import ListOutput

from ..child import Reading, Running
from ..driving import (
    batches_of,
    fresh,
    opened,
    positions_after,
    read,
    rows_of,
    through_json,
)
from ..fakes import LinesOutput, lines_of
from ..measuring import FEW, MANY, ROOM, grows, rate
from ..rules import not_applicable
from .base import ComponentSuite, Process, shown

__all__ = ["InputSuite", "Source"]

Source = Callable[[int], "tuple[Input, list[Any]]"]


class InputSuite(ComponentSuite):
    """An author gives the fixture `source`: a function that, given a number, makes a source of so
    many records, and returns an input that reads it and the records that it must give.

    Each call makes a new source. `ordered = False` is for inputs that read several partitions.
    """

    ordered = True
    few = 11
    """Records in a source of which every place is tried."""

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError("give the fixture `source`")

    @pytest.fixture
    def any_component(self, source: Source) -> Input:
        return source(3)[0]

    def in_a_pipe(self, component: Any) -> Sequence[Any]:
        return [component, ListOutput()]

    def same(self, found: Sequence[Any], expected: Sequence[Any], what: str) -> None:
        """Fail unless these are the same records, in the same order where there is one."""
        if not self.ordered:
            found, expected = sorted(found, key=repr), sorted(expected, key=repr)
        assert list(found) == list(expected), (
            f"{what} gave {shown(list(found))}; there are {shown(list(expected))}"
        )

    def truth(self, component: Input, expected: list[Any]) -> list[Any]:
        """What an input gives when nothing happens, so that each rule is about one thing; where it
        cannot be read twice, what it should give."""
        if component.capability != "replayable":
            return expected
        return [row.record for row in rows_of(read(component, enough=len(expected)))]

    # ---- reading --------------------------------------------------------------------------------

    def test_every_record_is_read_once(self, source: Source) -> None:
        """An input gives every record of its source once, and in the order of the source."""
        component, expected = source(self.few)
        batches = read(component, enough=self.few)
        self.same([row.record for row in rows_of(batches)], expected, "it")

    def test_ordinals_count_from_one(self, source: Source) -> None:
        """The records of each source are numbered from 1 without a gap, the ones that could not be
        read included.

        A message such as `orders:17` and a dead letter name a record by its number.
        """
        component, _ = source(self.few)
        numbers: dict[str, list[int]] = {}
        for batch in read(component, enough=self.few, size=3):
            kept = numbers.setdefault(batch.source, [])
            assert len(batch.ordinals) == len(batch.records), "a batch has an ordinal per record"
            kept.extend(sorted([*batch.ordinals, *(one.ordinal for one in batch.failures)]))
        for name, found in numbers.items():
            assert found == list(range(1, len(found) + 1)), f"{name} is numbered {found}"

    @pytest.mark.parametrize("size", [1, 2, 7])
    def test_how_records_are_cut_into_batches_changes_nothing(
        self, source: Source, size: int
    ) -> None:
        """Whatever the size of a batch, the records and their ordinals are the same."""
        component, _ = source(self.few)
        if not hasattr(component, "batch_size"):
            not_applicable("nobody says how large its batches are")
        if component.capability != "replayable":
            not_applicable(f"it is {component.capability}: what was read is not read again")
        once = rows_of(read(component, enough=self.few))
        again = rows_of(read(component, enough=self.few, size=size))
        assert sorted(again, key=repr) == sorted(once, key=repr), (
            f"in batches of {size} it gave {shown(again)}; otherwise {shown(once)}"
        )

    def test_every_engine_reads_the_same(self, source: Source) -> None:
        """A run gives the same records on every engine; a component may be opened on one thread and
        read on another."""
        for engine in ("inline", "threads"):
            component, expected = source(self.few)
            if not component.finite:
                not_applicable("it has no end")
            out = ListOutput()
            pipe = [fresh(component), out]
            run = pipeline_of([pipe], Plugins(discover=False), engine=engine).start()
            report = run.execute()
            assert report.error is None, f"on the engine {engine}: {report.error}"
            self.same(out.values, self.truth(component, expected), f"the engine {engine}")

    def test_it_reads_the_same_in_another_process(self, source: Source, process: Process) -> None:
        """An input that was sent to another process, started anew and not forked, reads there what
        it reads here."""
        component, expected = source(self.few)
        life = process(Reading(component, enough=self.few)).whole(anew=True)
        found = [decode_record(text) for text in life.result]
        self.same(found, self.truth(component, expected), "another process")

    def test_it_is_closed_whatever_happened(self, source: Source) -> None:
        """An input can be closed before anything was read, in the middle and at the end, and is
        then of no hindrance to the next one."""
        component, expected = source(self.few)
        before = self.truth(component, expected)
        with opened(component):
            pass
        if component.capability != "ephemeral":
            with opened(component) as made:
                next(batches_of(made, enough=1), None)
            self.same(
                [row.record for row in rows_of(read(component, enough=self.few))],
                before,
                "after another one was closed half-way, it",
            )

    def test_progress_is_a_part_of_the_whole(self, source: Source) -> None:
        """What an input says of its progress lies between 0 and 1 and never goes back; None when it
        cannot know."""
        component, _ = source(self.few)
        told: list[float] = []
        with opened(component) as made:
            if hasattr(made, "batch_size"):
                made.batch_size = 2
            for _ in batches_of(made, enough=self.few):
                progress = made.progress()
                if progress is not None:
                    told.append(progress)
        assert all(0 <= one <= 1 for one in told), f"it said {told}"
        assert told == sorted(told), f"it went back: {told}"

    def test_memory_does_not_grow_with_the_records(
        self, source: Source, record_property: Callable[[str, object], None]
    ) -> None:
        """A source of four times as many records takes no more memory."""

        def reading(count: int) -> Callable[[], int]:
            component, _ = source(count)

            def work() -> int:
                with opened(component) as made:
                    batches = batches_of(made, enough=count)
                    return sum(len(batch.records) for batch in batches)

            return work

        if source(1)[0].capability != "replayable":
            not_applicable("what was read is not read again")
        small, large = grows(reading(FEW), many := reading(MANY))
        record_property("peak_bytes", large)
        record_property("records_per_second", round(rate(many)))
        assert large - small < ROOM, (
            f"{FEW} records took {small} bytes and {MANY} took {large}: it keeps what it has read"
        )

    # ---- going on -------------------------------------------------------------------------------

    def test_positions_are_json(self, source: Source) -> None:
        """Every batch says where to go on after it, as JSON."""
        component, _ = source(self.few)
        if component.capability == "ephemeral":
            not_applicable("it cannot go on anywhere")
        for batch in read(component, enough=self.few, size=2):
            assert batch.resume is not None, f"{batch!r} has no position"
            assert through_json(batch.resume) == batch.resume, (
                f"the position {batch.resume!r} is another one when it was kept as JSON"
            )

    def test_it_resumes_at_every_position_it_gave(self, source: Source) -> None:
        """Read from the position after any batch, an input gives the records after that batch, each
        with the ordinal it has: none is lost and none comes again."""
        component, _ = source(self.few)
        _must_replay(component)
        for size in (1, 3):
            batches = read(component, enough=self.few, size=size)
            for done in range(1, len(batches) + 1):
                before, after = batches[:done], rows_of(batches[done:])
                rest = read(
                    component, positions_after(before), enough=len(after), size=size + done % 2
                )
                found = rows_of(rest)
                if not self.ordered:
                    found, after = sorted(found, key=repr), sorted(after, key=repr)
                assert found == after, (
                    f"from {positions_after(before)} it gave {shown(found)}; "
                    f"after that there are {shown(after)}"
                )

    def test_a_commit_is_only_a_hint(self, source: Source) -> None:
        """Whether an input is told of checkpoints once, twice, late or never changes nothing that
        it gives; and it still goes on at the last position it was told."""
        for told in ("never", "once", "twice", "late"):
            component, expected = source(self.few)
            before = self.truth(component, expected)
            batches: list[Batch] = []
            with opened(component) as made:
                if hasattr(made, "batch_size"):
                    made.batch_size = 2
                for batch in batches_of(made, enough=self.few):
                    if told in ("once", "twice"):
                        for _ in range(1 if told == "once" else 2):
                            made.commit(positions_after([*batches, batch]))
                    elif told == "late" and batches:
                        made.commit(positions_after(batches[:1]))
                    batches.append(batch)
            what = f"told {told}, it"
            self.same([row.record for row in rows_of(batches)], before, what)
            if component.capability == "replayable" and told in ("once", "twice"):
                rest = rows_of(read(component, positions_after(batches), enough=0))
                assert rest == [], f"{what} gave {shown(rest)} again"

    def test_what_was_not_confirmed_comes_again(self, source: Source) -> None:
        """A redelivering input gives again what was not confirmed by a commit, and not what was."""
        component, expected = source(self.few)
        if component.capability != "redelivering":
            not_applicable(f"it is {component.capability}")
        with opened(component) as made:
            for _ in batches_of(made, enough=self.few):
                pass  # read, and never confirmed
        with opened(component) as made:
            batches = list(batches_of(made, enough=self.few))
            made.commit(positions_after(batches))
        again = [row.record for row in rows_of(batches)]
        self.same(again, expected, "after nothing was confirmed, it")
        rest = [row.record for row in rows_of(read(component, enough=0))]
        assert rest == [], f"what was confirmed came again: {shown(rest)}"

    def test_parts_together_read_the_same_records(self, source: Source) -> None:
        """The parts of an input that is split read every record once between them."""
        component, expected = source(self.few)
        before = self.truth(component, expected)
        with opened(component) as made:
            parts = list(made.split(3))
        assert 1 <= len(parts) <= 3, f"asked for 3 parts at most, it gave {len(parts)}"
        if len(parts) == 1:
            not_applicable("it has one part")
        found = [row for part in parts for row in rows_of(read(part, enough=0))]
        assert sorted((row.record for row in found), key=repr) == sorted(before, key=repr), (
            f"the parts gave {shown([row.record for row in found])}"
        )

    # ---- dying ----------------------------------------------------------------------------------

    def test_a_killed_run_is_resumed(
        self,
        source: Source,
        process: Process,
        tmp_path: Path,
        record_property: Callable[[str, object], None],
    ) -> None:
        """A run that is killed again and again, and started again, has in the end read every
        record; once, if the input can be read again at any position."""
        component, expected = self._long(source)
        _must_not_be_ephemeral(component)
        expected = self._whole(component, expected, process, tmp_path)
        lives = process(Running([[component, LinesOutput(path=tmp_path / "out")]]))
        lives.killed()
        record_property("kills_survived", lives.kills)
        self._all_there(component, list(lines_of(tmp_path / "out")), expected, lives.kills)

    def test_a_run_that_was_asked_to_stop_is_resumed(
        self, source: Source, process: Process, tmp_path: Path
    ) -> None:
        """A run that is asked to stop finishes what it has read, and the next one goes on there."""
        component, expected = self._long(source)
        _must_not_be_ephemeral(component)
        expected = self._whole(component, expected, process, tmp_path)
        lives = process(Running([[component, LinesOutput(path=tmp_path / "out")]]))
        lives.drained()
        self.same(list(lines_of(tmp_path / "out")), expected, "after a stop, the runs")

    def _long(self, source: Source) -> tuple[Input, list[Any]]:
        """A source of several epochs: of many records, where the size of a batch is not to be
        had."""
        component, expected = source(6 * self.few)
        if component.capability != "replayable" or hasattr(component, "batch_size"):
            return component, expected
        return source(4_000)

    def _whole(
        self, component: Input, expected: list[Any], process: Process, folder: Path
    ) -> list[Any]:
        if component.capability != "replayable":
            return expected
        whole = Running([[component, LinesOutput(path=folder / "whole.out")]])
        process(whole, "whole").whole()
        return list(lines_of(folder / "whole.out"))

    def _all_there(
        self, component: Input, found: list[Any], expected: list[Any], kills: int
    ) -> None:
        if component.capability == "replayable":
            self.same(found, expected, f"after {kills} kills, the runs")
            return
        missing = [record for record in expected if record not in found]
        assert missing == [], f"after {kills} kills, these are lost: {shown(missing)}"


def _must_replay(component: Input) -> None:
    if component.capability != "replayable":
        not_applicable(f"it is {component.capability}")


def _must_not_be_ephemeral(component: Input) -> None:
    if component.capability == "ephemeral":
        not_applicable("it is ephemeral: what was read is gone")
