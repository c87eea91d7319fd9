"""The rules for transformers, inspectors and every other stage."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock import Batch, Inspector, Plugins, Stage
from penstock.build import pipeline_of
from penstock.testing import ListInput, ListOutput

from ..child import Running
from ..driving import Driven, cut, through_json
from ..fakes import LinesOutput, lines_of
from ..measuring import FEW, MANY, ROOM, grows, rate
from ..rules import not_applicable
from .base import ComponentSuite, Process, shown

__all__ = ["Records", "StageSuite"]

Records = Callable[[int], "list[Any]"]


class StageSuite(ComponentSuite):
    """An author gives the fixture `stage`, the component; and `records`, a function that gives so
    many records for it, where it does not take `{"id": 1, "name": "name 1", "amount": 0.25}`."""

    few = 11
    """Records in a stream of which every place is tried."""

    @pytest.fixture
    def stage(self) -> Stage:
        raise NotImplementedError("give the fixture `stage`")

    @pytest.fixture
    def records(self) -> Records:
        return lambda count: [
            {"id": number, "name": f"name {number % 5}", "amount": number / 4}
            for number in range(1, count + 1)
        ]

    @pytest.fixture
    def any_component(self, stage: Stage) -> Stage:
        return stage

    def in_a_pipe(self, component: Any) -> Sequence[Any]:
        return [ListInput(values=[{"id": 1}]), component, ListOutput()]

    # ---- one stream -----------------------------------------------------------------------------

    def test_every_record_is_answered_for(self, stage: Stage, records: Records) -> None:
        """By its end, a stage has answered for every record that it was given, once: passed on,
        dropped, merged, or set aside as a failure. Nothing is lost when it finishes.

        A batch answers for as many records as its `consumed` says.
        """
        driven = Driven(stage).push(cut(records(self.few), 3)).finish().close()
        assert driven.answered == driven.received, (
            f"it was given {driven.received} records and answered for {driven.answered}"
        )
        for batch in driven.batches:
            assert 0 <= batch.dropped <= batch.consumed, f"{batch!r} drops {batch.dropped}"

    def test_how_records_are_cut_into_batches_changes_nothing(
        self, stage: Stage, records: Records
    ) -> None:
        """The records that come out, their ordinals and the failures are the same however the
        records are cut into batches."""
        values = records(self.few)
        once = Driven(stage).push(cut(values, len(values))).finish().close()
        for size in (1, 2, 3, 7):
            again = Driven(stage).push(cut(values, size)).finish().close()
            assert again.rows == once.rows, (
                f"in batches of {size} it gave {shown(again.records)}; "
                f"in one it gave {shown(once.records)}"
            )
            assert again.failures == once.failures, f"in batches of {size} others failed"

    def test_ordinals_are_those_of_the_records_that_came(
        self, stage: Stage, records: Records
    ) -> None:
        """What comes out carries the ordinal and the source of a record that went in."""
        batches = cut(records(self.few), 3, first=101, source="orders")
        driven = Driven(stage).push(batches).finish().close()
        known = {("orders", ordinal) for batch in batches for ordinal in batch.ordinals}
        strange = [row[:2] for row in driven.rows if row[:2] not in known]
        assert strange == [], f"no record of these came in: {shown(strange)}"
        for batch in driven.batches:
            assert len(batch.ordinals) == len(batch.records), "a batch has an ordinal per record"
            failed = {one.ordinal for one in batch.failures}
            assert failed <= {ordinal for _, ordinal in known}, f"no such record failed: {failed}"

    def test_a_record_that_fails_costs_only_itself(self, stage: Stage, records: Records) -> None:
        """A record that a stage cannot process is set aside in `failures`; no exception leaves
        `process`, and every record is still answered for."""
        values = records(self.few)
        for strange in (object(), None, 0, "text", [], {}):
            mixed = [*values[:4], strange, *values[4:]]
            driven = Driven(stage)
            try:
                driven.push(cut(mixed, 3)).finish()
            except Exception as error:
                raise AssertionError(
                    f"the record {strange!r} ended everything: {type(error).__name__}: {error}"
                ) from error
            finally:
                driven.close()
            assert driven.answered == driven.received, (
                f"with the record {strange!r} among them, it was given {driven.received} records "
                f"and answered for {driven.answered}"
            )

    def test_an_inspector_cannot_change_data(self, stage: Stage, records: Records) -> None:
        """What an inspector passes on is what came, in the same order; it changes no record, not
        even one that it objects to, and adds none."""
        if not isinstance(stage, Inspector) and stage.mutates:
            not_applicable("it may change records")
        values = records(self.few)
        before = copy.deepcopy(values)
        driven = Driven(stage).push(cut(values, 3)).finish().close()
        assert values == before, "it changed a record that it was shown"
        if isinstance(stage, Inspector):
            failed = {ordinal for ordinal, _ in driven.failures}
            passed = [one for number, one in enumerate(before, 1) if number not in failed]
            assert driven.records == passed, (
                f"of {shown(passed)} it passed on {shown(driven.records)}"
            )

    def test_every_engine_gives_the_same(self, stage: Stage, records: Records) -> None:
        """A run gives the same records on every engine."""
        found = {}
        for engine in ("inline", "threads"):
            out = ListOutput()
            pipe = [ListInput(values=records(self.few), batch_size=3), copy.copy(stage), out]
            run = pipeline_of([pipe], Plugins(discover=False), engine=engine).start()
            report = run.execute()
            assert report.error is None, f"on the engine {engine}: {report.error}"
            found[engine] = out.values
        assert found["threads"] == found["inline"], (
            f"the engine threads gave {shown(found['threads'])}; "
            f"inline gave {shown(found['inline'])}"
        )

    def test_it_waits_without_losing_anything(self, stage: Stage, records: Records) -> None:
        """While nothing arrives a stage may give up what it holds, and loses none of it."""
        driven = Driven(stage)
        for batch in cut(records(self.few), 2):
            driven.push([batch]).idle(3600)
        driven.finish().close()
        assert driven.answered == driven.received, (
            f"with pauses, it was given {driven.received} records "
            f"and answered for {driven.answered}"
        )

    def test_memory_does_not_grow_with_the_records(
        self, stage: Stage, records: Records, record_property: Callable[[str, object], None]
    ) -> None:
        """Four times as many records take no more memory. A stage that has to hold them says so in
        a waiver."""

        def working(count: int) -> Callable[[], int]:
            def stream() -> Iterator[Batch]:
                pattern = records(64)
                for first in range(0, count, 64):
                    yield Batch(copy.deepcopy(pattern), "input", range(first + 1, first + 65))

            def work() -> int:
                driven = Driven(stage)
                given = 0
                for batch in stream():
                    given += len(batch.records)
                    driven.push([batch])
                    driven.batches.clear()
                driven.finish().close()
                return given

            return work

        small, large = grows(working(FEW), many := working(MANY))
        record_property("peak_bytes", large)
        record_property("records_per_second", round(rate(many)))
        assert large - small < ROOM, (
            f"{FEW} records took {small} bytes and {MANY} took {large}: it keeps what it was given"
        )

    # ---- going on -------------------------------------------------------------------------------

    def test_it_goes_on_from_a_snapshot_at_every_place(
        self, stage: Stage, records: Records
    ) -> None:
        """After any batch, a stage that is restored from the snapshot, as JSON, gives what the
        first one would have given; one without a snapshot has answered for all it was given."""
        batches = cut(records(self.few), 1)
        whole = Driven(stage).push(batches).finish().close()
        for done in range(len(batches) + 1):
            first = Driven(stage).push(batches[:done])
            state = first.stage.snapshot()
            second = Driven(stage, state).push(batches[done:]).finish().close()
            first.close()
            if state is None:
                assert first.answered == first.received, (
                    f"after {done} records it has no state and holds "
                    f"{first.received - first.answered} of them"
                )
            assert first.rows + second.rows == whole.rows, (
                f"restored after {done} records it gave {shown(second.records)}; "
                f"otherwise it gives {shown(whole.records[len(first.records) :])}"
            )
            assert first.failures + second.failures == whole.failures, (
                f"restored after {done} records, others failed"
            )

    def test_a_snapshot_changes_nothing(self, stage: Stage, records: Records) -> None:
        """Taking a snapshot, as happens at the end of every epoch, changes nothing that a stage
        gives; and the snapshot is JSON."""
        batches = cut(records(self.few), 2)
        whole = Driven(stage).push(batches).finish().close()
        driven = Driven(stage)
        for batch in batches:
            driven.push([batch])
            state = driven.stage.snapshot()
            assert through_json(state) == state, "the snapshot is another one as JSON"
            assert through_json(driven.stage.snapshot()) == through_json(state), (
                "two snapshots at the same place differ"
            )
        assert driven.finish().close().rows == whole.rows, "with snapshots taken it gave others"

    # ---- dying ----------------------------------------------------------------------------------

    def test_a_killed_run_is_resumed(
        self,
        stage: Stage,
        records: Records,
        process: Process,
        tmp_path: Path,
        record_property: Callable[[str, object], None],
    ) -> None:
        """A run that is killed again and again, and started again, gives in the end what one run
        gives that nothing happened to."""
        expected = self._by_processes(stage, records, process, tmp_path / "whole", "whole")
        lives = process(self._job(stage, records, tmp_path / "killed"), "killing")
        lives.killed()
        record_property("kills_survived", lives.kills)
        found = list(lines_of(tmp_path / "killed"))
        assert found == expected, (
            f"after {lives.kills} kills there are {shown(found)}; otherwise {shown(expected)}"
        )

    def test_a_run_that_was_asked_to_stop_is_resumed(
        self, stage: Stage, records: Records, process: Process, tmp_path: Path
    ) -> None:
        """A run that is asked to stop finishes what it has read, and the next one goes on there."""
        expected = self._by_processes(stage, records, process, tmp_path / "whole", "whole")
        process(self._job(stage, records, tmp_path / "drained"), "draining").drained()
        found = list(lines_of(tmp_path / "drained"))
        assert found == expected, (
            f"after a stop there are {shown(found)}; otherwise {shown(expected)}"
        )

    def _by_processes(
        self, stage: Stage, records: Records, process: Process, path: Path, name: str
    ) -> list[Any]:
        process(self._job(stage, records, path), f"running {name}").whole()
        return list(lines_of(path))

    def _job(self, stage: Stage, records: Records, path: Path) -> Running:
        given = ListInput(values=records(6 * self.few), batch_size=3)
        return Running([[given, stage, LinesOutput(path=path)]])
