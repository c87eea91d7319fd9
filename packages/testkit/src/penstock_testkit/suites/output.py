"""The rules for outputs, each level of delivery with its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from penstock import Checkpoint, FencedError, Output, Plugins
from penstock.build import pipeline_of
from penstock.testing import ListInput

from ..child import Calls, Running
from ..driving import PIPELINE, Writer, checkpoint, cut, fresh, opened
from ..measuring import FEW, MANY, ROOM, grows, rate
from ..rules import not_applicable
from .base import ComponentSuite, Process, shown
from .stage import Records

__all__ = ["Destination", "OutputSuite"]

Destination = Callable[[], "tuple[Output, Callable[[], list[Any]]]"]


class OutputSuite(ComponentSuite):
    """An author gives the fixture `destination`: a function that makes a new, empty destination,
    and returns an output that writes to it and a function that reads the records that are there.

    `records` is a function that gives so many records, where `{"id": 1, "name": "name 1"}` will not
    do; `seen` says how a record looks when it is read back. `ordered = False` is for destinations
    that keep no order.
    """

    ordered = True

    @pytest.fixture
    def destination(self) -> Destination:
        raise NotImplementedError("give the fixture `destination`")

    @pytest.fixture
    def records(self) -> Records:
        return lambda count: [{"id": n, "name": f"name {n}"} for n in range(1, count + 1)]

    def seen(self, record: Any) -> Any:
        """A record as it comes back from the destination."""
        return record

    @pytest.fixture
    def any_component(self, destination: Destination) -> Output:
        return destination()[0]

    def in_a_pipe(self, component: Any) -> Sequence[Any]:
        return [ListInput(values=[{"id": 1, "name": "name 1"}]), component]

    def same(self, found: Sequence[Any], written: Sequence[Any], what: str) -> None:
        """Fail unless exactly these records are there."""
        expected = [self.seen(record) for record in written]
        if not self.ordered:
            found, expected = sorted(found, key=repr), sorted(expected, key=repr)
        assert list(found) == expected, (
            f"{what} there are {shown(list(found))}; written were {shown(expected)}"
        )

    # ---- writing --------------------------------------------------------------------------------

    def test_every_record_is_written(self, destination: Destination, records: Records) -> None:
        """When a run has ended well, every record is at the destination once. Nothing stays behind
        in a buffer."""
        output, there = destination()
        self._run(output, records(13))
        self.same(there(), records(13), "after a run")

    def test_how_records_are_cut_into_batches_changes_nothing(
        self, destination: Destination, records: Records
    ) -> None:
        """The same records are there however they were cut into batches and epochs."""
        for size in (1, 3, 11):
            output, there = destination()
            self._run(output, records(11), size=size)
            self.same(there(), records(11), f"in batches of {size}")

    def test_records_are_left_as_they_are(self, destination: Destination, records: Records) -> None:
        """An output does not change the records that it writes: another branch may have the same
        ones."""
        output, _ = destination()
        values = records(11)
        before = copy.deepcopy(values)
        with opened(output) as made:
            made.resume(None, 0)
            for batch in cut(values, 3):
                made.write(batch)
        assert values == before, "a record was changed by writing it"

    def test_a_record_that_cannot_be_written_costs_only_itself(
        self, destination: Destination, records: Records
    ) -> None:
        """What an output cannot write it returns as failures, having written all others; an
        exception means that the output itself has failed."""
        output, there = destination()
        values = records(7)
        strange = object()
        try:
            report = self._run(output, [*values[:4], strange, *values[4:]])
        except Exception as error:
            raise AssertionError(f"the record {strange!r} ended everything: {error}") from error
        written = list(there())
        missing = [one for one in map(self.seen, values) if one not in written]
        assert missing == [], f"with {strange!r} among them, these are missing: {shown(missing)}"
        letters = report.letters
        assert len(written) + letters == 8, (
            f"of 8 records {len(written)} were written and {letters} set aside"
        )

    def test_opening_changes_nothing(self, destination: Destination, records: Records) -> None:
        """Opening and closing an output, as `penstock check --connect` does, leaves what is there
        as it is."""
        output, there = destination()
        self._run(output, records(5))
        with opened(output):
            pass
        self.same(there(), records(5), "after it was opened and closed")

    def test_every_engine_writes_the_same(self, destination: Destination, records: Records) -> None:
        """A run writes the same records on every engine; a component may be opened on one thread
        and called on another."""
        for engine in ("inline", "threads"):
            output, there = destination()
            self._run(output, records(11), engine=engine)
            self.same(there(), records(11), f"with the engine {engine}")

    def test_it_writes_the_same_in_another_process(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """An output that was sent to another process, started anew and not forked, writes there
        what it writes here."""
        output, there = destination()
        values = records(11)
        process(Running([[ListInput(values=values, batch_size=3), output]])).whole(anew=True)
        self.same(there(), values, "after a run in another process")

    def test_memory_does_not_grow_with_the_records(
        self,
        destination: Destination,
        records: Records,
        record_property: Callable[[str, object], None],
    ) -> None:
        """Four times as many records take no more memory."""

        def working(count: int) -> Callable[[], int]:
            output, _ = destination()
            values = records(100)

            def work() -> int:
                writer = Writer(output)
                for epoch in range(1, count // 100 + 1):
                    writer.write(values, 50)  # copies of them
                    writer.end_epoch(epoch)
                writer.output.finish()
                writer.close()
                return count

            return work

        small, large = grows(lambda: working(FEW)(), working(MANY))
        record_property("peak_bytes", large)
        record_property("records_per_second", round(rate(working(MANY))))
        assert large - small < ROOM, (
            f"{FEW} records took {small} bytes and {MANY} took {large}: it keeps what it has "
            "written"
        )

    # ---- what its level promises ----------------------------------------------------------------

    def test_what_was_flushed_is_there(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """append, keyed: when `flush` has returned, what was written is durable, and there though
        the process is killed at once."""
        output, there = destination()
        if output.delivery not in ("append", "keyed"):
            not_applicable(f"it is {output.delivery}")
        values = records(7)
        process(Calls(output, [("write", values), ("flush", None)])).live()
        found = there()
        missing = [one for one in map(self.seen, values) if one not in found]
        assert missing == [], f"after a flush and a kill these are missing: {shown(missing)}"

    def test_writing_twice_is_writing_once(
        self, destination: Destination, records: Records
    ) -> None:
        """keyed: a record that is written again, as after a crash, is there once."""
        output, there = destination()
        if output.delivery != "keyed":
            not_applicable(f"it is {output.delivery}")
        for values in (records(7), records(5)):
            self._run(output, values)
        self.same(there(), records(7), "written twice")

    def test_it_is_cut_back_to_its_mark(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """rewindable: `prepare` makes what was written durable and gives a mark, as JSON; an output
        that resumes at the mark has what was there then, and nothing that was written later."""
        if destination()[0].delivery != "rewindable":
            not_applicable(f"it is {destination()[0].delivery}")
        values = records(9)
        for kept in (0, 1, 5):
            output, there = destination()
            calls = [("write", values[:kept]), ("prepare", 1)]
            mark = process(Calls(output, calls), f"kept {kept}").live().result
            assert mark is not None, "prepare gave no mark"
            lost = [("write", values[:2]), ("flush", None)]
            process(Calls(output, lost, mark=mark, epoch=1), f"lost after {kept}").live()
            writer = Writer(output, mark, 1)
            writer.count = kept
            writer.write(values[kept:])
            writer.output.prepare(2)
            writer.output.finish()
            writer.close()
            self.same(there(), values, f"cut back to the mark after {kept} records,")

    def test_without_a_mark_it_begins_with_nothing(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """rewindable: an output that resumes without a mark has nothing of a run before it that was
        cut off before its first checkpoint."""
        output, there = destination()
        if output.delivery != "rewindable":
            not_applicable(f"it is {output.delivery}")
        process(Calls(output, [("write", records(5)), ("flush", None)])).live()
        self._run(output, records(3))
        self.same(there(), records(3), "after a run that began with nothing,")

    def test_finishing_twice_is_finishing_once(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """`finish` is called again when a run died before it could note that it was done; nothing
        is lost or written twice by that."""
        output, there = destination()
        last = ("commit", checkpoint(1)) if output.delivery == "transactional" else ("prepare", 1)
        calls: list[tuple[str, Any]] = [("write", records(5)), last]
        mark = process(Calls(output, calls), "writing").live().result
        for turn in ("once", "twice"):
            finishing = Calls(output, [("finish", None)], mark=mark, epoch=1)
            process(finishing, f"finishing {turn}").live()
        self.same(there(), records(5), "finished twice")

    def test_data_and_checkpoint_become_visible_together(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """transactional: `commit` makes data and checkpoint visible in one step, `checkpoint` reads
        it back, and of what was not committed nothing is there after a kill."""
        output, there = destination()
        _must_be_transactional(output)
        values = records(9)
        with opened(output) as made:
            assert _checkpoint_of(made) is None, "before the first commit there is a checkpoint"
        calls = [("write", values[:5]), ("commit", checkpoint(1)), ("write", values[5:7])]
        process(Calls(output, calls)).live()
        self.same(there(), values[:5], "after one commit and a kill")
        with opened(output) as made:
            found = _checkpoint_of(made)
            assert found == Checkpoint(**checkpoint(1)), f"read back, the checkpoint is {found}"
            assert made.checkpoint("another") is None, "another pipeline has this checkpoint"  # type: ignore[attr-defined]
            made.resume(None, 1)
            writer = _around(made, 5)
            writer.write(values[5:])
            made.commit(Checkpoint(**checkpoint(2)))  # type: ignore[attr-defined]
        self.same(there(), values, "after two commits")

    @pytest.mark.parametrize(
        ("generation", "epoch"), [(1, 3), (2, 2), (2, 1)], ids=["overtaken", "again", "earlier"]
    )
    def test_a_stale_commit_is_refused(
        self, destination: Destination, records: Records, generation: int, epoch: int
    ) -> None:
        """transactional: a commit is refused with FencedError, and leaves nothing, when the
        checkpoint that is there has a higher generation, or an epoch that is not lower."""
        output, there = destination()
        _must_be_transactional(output)
        values = records(6)
        with opened(output) as made:
            made.resume(None, 0)
            _around(made, 0).write(values[:4])
            made.commit(Checkpoint(**checkpoint(2, generation=2)))  # type: ignore[attr-defined]
        with opened(output) as made:
            made.resume(None, 2)
            _around(made, 4).write(values[4:])
            try:
                made.commit(Checkpoint(**checkpoint(epoch, generation=generation)))  # type: ignore[attr-defined]
            except FencedError:
                refused = True
            else:
                refused = False
        assert refused, (
            f"epoch 2 of generation 2 is there; epoch {epoch} of generation {generation} was taken"
        )
        self.same(there(), values[:4], "after a commit that was refused")

    # ---- dying ----------------------------------------------------------------------------------

    def test_a_killed_run_is_resumed(
        self,
        destination: Destination,
        records: Records,
        process: Process,
        record_property: Callable[[str, object], None],
    ) -> None:
        """A run that is killed again and again, and started again, has in the end written what its
        level promises: every record once, or, for append, every record at least once."""
        output, there = destination()
        values = records(66)
        lives = process(Running([[ListInput(values=values, batch_size=3), output]]))
        lives.killed()
        record_property("kills_survived", lives.kills)
        self._as_promised(output, list(there()), values, lives.kills)

    def test_a_run_that_was_asked_to_stop_is_resumed(
        self, destination: Destination, records: Records, process: Process
    ) -> None:
        """A run that is asked to stop finishes what it has read, and the next one goes on there:
        every record is written once."""
        output, there = destination()
        values = records(66)
        process(Running([[ListInput(values=values, batch_size=3), output]])).drained()
        self.same(there(), values, "after a stop")

    def _as_promised(self, output: Output, found: list[Any], values: list[Any], kills: int) -> None:
        if output.delivery != "append":
            self.same(found, values, f"after {kills} kills")
            return
        missing = [one for one in map(self.seen, values) if one not in found]
        assert missing == [], f"after {kills} kills these are lost: {shown(missing)}"

    # ---- helpers --------------------------------------------------------------------------------

    def _run(
        self, output: Output, values: Sequence[Any], *, size: int = 3, engine: str = "inline"
    ) -> Any:
        given = copy.deepcopy(list(values))
        pipe = [ListInput(values=given, batch_size=size), fresh(output)]
        pipeline = pipeline_of([pipe], Plugins(discover=False), engine=engine, name=PIPELINE)
        pipeline.spec.epoch = {"records": 4}
        run = pipeline.start()
        report = run.execute()
        assert run.error is None, f"a run failed: {report.error}"
        return report


def _checkpoint_of(output: Any) -> Checkpoint | None:
    found: Checkpoint | None = output.checkpoint(PIPELINE)
    return found


def _around(made: Output, count: int) -> Writer:
    """A writer around an output that is open already."""
    writer = object.__new__(Writer)
    writer.output, writer.count = made, count
    return writer


def _must_be_transactional(output: Output) -> None:
    if output.delivery != "transactional":
        not_applicable(f"it is {output.delivery}")
