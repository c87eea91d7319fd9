"""A pipeline that dies at any durable step, again and again, ends as one that was never touched.

The run is the real one; the store, the outputs and the input live in memory, and chance decides
where it dies, how it is started again, who else runs it and what is put back in between. Six
protocols with one mistake each go through the same: all of them must be caught.

`PENSTOCK_FAULTS=long`, as `nox -s faults` sets it, tries 1 000 histories of 30 steps.
"""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from parties import (
    KINDS,
    SHORTER,
    Deadly,
    Disk,
    Fate,
    File,
    Killed,
    MortalStore,
    Pairs,
    Source,
    Table,
    drops,
    fails,
)

from penstock.build import pipeline_of
from penstock.delivery import Delivery, Pending
from penstock.plugins import Plugins
from penstock.runs import Run
from penstock.store import Checkpoint, FencedError

LONG = os.environ.get("PENSTOCK_FAULTS") == "long"
HISTORIES, STEPS = (1000, 30) if LONG else (60, 20)
VALUES = [-n if n % 11 == 0 else n for n in range(1, 46)]
PLUGINS = Plugins(discover=False)
pytestmark = pytest.mark.timeout(3600 if LONG else 120)
Mistake = Callable[[Run, "Machine"], None]


class Machine(RuleBasedStateMachine):
    """One pipeline and everything that may happen to it."""

    mistake: Mistake | None = None

    @initialize(
        kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=3),
        deadly=st.lists(st.integers(1, 45), max_size=2),
        trims=st.booleans(),
        engine=st.sampled_from(["inline"] * 9 + ["threads"]),
    )
    def begin(self, kinds: list[str], deadly: list[int], trims: bool, engine: str) -> None:
        self.kinds = {f"out{n}": kind for n, kind in enumerate(kinds)}
        self.deadly = {n for n in deadly if n in VALUES and not fails(n) and not drops(n)}
        self.trims, self.engine = trims, engine
        self.temporary = tempfile.TemporaryDirectory()
        self.reset()

    def reset(self) -> None:
        self.disk = Disk()
        self.store = MortalStore(Path(self.temporary.name))
        self.condemned: set[int] = set()
        self.rewound = False
        self.most_repeats = 0
        self.kept: list[tuple[MortalStore, dict[Path, bytes], Disk]] = []

    # ---- what may happen ------------------------------------------------------------------------

    @rule(step=st.integers(1, 60), size=st.integers(1, 9), epoch=st.integers(1, 20))
    def die(self, step: int, size: int, epoch: int) -> None:
        """Start, and die at a durable step."""
        if self.is_finished():
            self.check()
            self.reset()
        careful = any(not place.startswith("epoch") for place in self.attempts())
        if self.rewound and (careful or max(self.attempts().values(), default=0) >= 3):
            step = 10**9  # innocent records would be set aside; see `condemned`
        self.live(Fate(step), size, epoch)

    @precondition(lambda self: self.engine == "inline" and not self.condemned)
    @rule(step=st.integers(1, 60), other=st.integers(1, 40), size=st.integers(1, 9))
    def be_overtaken(self, step: int, other: int, size: int) -> None:
        """Another process takes the lease over while this one stands still; then both go on."""
        if self.is_finished() or self.attempts():
            return
        before = self.store.fate

        def overtake() -> None:
            self.store.let_go()
            if not self.is_finished():  # or it would be a run of its own
                self.live(Fate(other), size, 4)
            self.store.fate = before

        self.live(Fate(step, overtake), size, 7, stale=True)

    @precondition(lambda self: not self.kept or self.kept[-1][2] != self.disk)
    @rule()
    def keep(self) -> None:
        """Make a copy of everything."""
        spools = {path: path.read_bytes() for path in self.spools()}
        self.kept.append((self.store.copy(), spools, copy.deepcopy(self.disk)))

    @precondition(lambda self: self.kept and not self.trims and not self.condemned)
    @rule(which=st.integers(0, 9))
    def put_store_back(self, which: int) -> None:
        which %= len(self.kept)
        if self.is_torn(self.disk.tables):
            self.must_refuse(which)
            return
        self.rewound = True
        del self.kept[which + 1 :]  # what came later is another history from now on
        self.put_back(*self.kept[which][:2])

    def must_refuse(self, which: int) -> None:
        """Some tables have an epoch that the others lack, and with the store went the only copy of
        it: told, and nothing is written. With the store as it was, the run goes on."""
        store, spools, _ = self.kept[which]
        now = self.store.copy(), {path: path.read_bytes() for path in self.spools()}
        if store.intent("pipeline") is not None:
            return  # it may be this very epoch, which is then completed
        before = copy.deepcopy(self.disk)
        self.put_back(store, spools)
        run = self.live(Fate(), 5, 10)
        assert "do not agree on what was committed" in str(run.error)
        assert self.disk == before
        self.put_back(*now)

    def must_refuse_tables(self, older: dict[str, Any]) -> None:
        """They were copied in the middle of a commit."""
        if self.is_finished() or self.store.intent("pipeline") is not None:
            return
        before = copy.deepcopy(self.disk)
        self.disk.tables = copy.deepcopy(older)
        run = self.live(Fate(), 5, 10)
        assert "do not agree on what was committed" in str(run.error)
        assert self.disk.tables == older
        self.disk.tables = before.tables
        assert self.disk == before

    def put_back(self, store: MortalStore, spools: dict[Path, bytes]) -> None:
        self.store = store.copy()
        for path in self.spools():
            path.unlink()
        for path, spool in spools.items():
            path.write_bytes(spool)

    def is_torn(self, tables: dict[str, Any]) -> bool:
        """Whether a run has died between the first and the last commit of an epoch."""
        names = [name for name, kind in self.kinds.items() if kind == "transactional"]
        there = [tables.get(name, ([], None))[1] for name in names]
        return len({one and (one.run_id, one.epoch) for one in there}) > 1

    @precondition(lambda self: self.kept and not self.trims and not self.condemned)
    @rule(which=st.integers(0, 9))
    def put_tables_back(self, which: int) -> None:
        """All of them, to the same moment: what one database holds."""
        which %= len(self.kept)
        older = self.kept[which][2].tables
        if self.is_torn(older):
            self.must_refuse_tables(older)
        elif self.store.intent("pipeline") is None:
            self.rewound = True
            del self.kept[which + 1 :]
            self.disk.tables = copy.deepcopy(self.kept[which][2].tables)

    @precondition(lambda self: self.kept and list(self.kinds.values()).count("transactional") > 1)
    @rule(which=st.integers(0, 9), size=st.integers(1, 9))
    def put_one_table_back(self, which: int, size: int) -> None:
        """The outputs cannot be made to agree: told, and nothing is written."""
        if self.is_finished() or self.store.intent("pipeline") is not None:
            return
        before = copy.deepcopy(self.disk)
        name = next(name for name, kind in self.kinds.items() if kind == "transactional")
        older = self.kept[which % len(self.kept)][2].tables.get(name, ([], None))
        epochs = [checkpoint.epoch for _, checkpoint in self.disk.tables.values() if checkpoint]
        if not epochs or (older[1].epoch if older[1] else 0) in epochs:
            return
        self.disk.tables[name] = copy.deepcopy(older)
        run = self.live(Fate(), size, 5)
        assert "do not agree on what was committed" in str(run.error)
        self.disk.tables[name] = before.tables[name]
        assert self.disk == before

    def teardown(self) -> None:
        if hasattr(self, "store"):
            with self.temporary:
                self.check()

    # ---- lives ----------------------------------------------------------------------------------

    def live(self, fate: Fate, size: int, epoch: int, *, stale: bool = False) -> Run:
        """Start and go on until the end or until fate strikes. One that is overtaken may find that
        its input has forgotten what the other has committed."""
        self.store.fate = fate
        outputs = [KINDS[kind](self.disk, name, fate) for name, kind in self.kinds.items()]
        source = Source(self.disk, fate, VALUES, size, self.trims)
        stages = [Deadly(self.deadly), Pairs()]
        pipes = [[source, *stages, outputs[0]], *([stages[-1], one] for one in outputs[1:])]
        pipeline = pipeline_of(pipes, PLUGINS, engine=self.engine)
        pipeline.spec.epoch = {"records": epoch}
        run = pipeline.start(store=self.store)
        if self.mistake is not None:
            type(self).mistake(run, self)
        try:
            run.execute()
            fenced = isinstance(run.error, FencedError)
            refused = "do not agree" in str(run.error)
            forgotten = stale and "is gone" in str(run.error)
            if self.rewound and SHORTER in str(run.error):
                self.put_files_back()
            else:
                assert run.error is None or fenced or refused or forgotten, run.error
        except Killed:
            self.condemned |= self.noted() - self.deadly
        finally:
            self.most_repeats += epoch + size
            self.store.let_go()
        return run

    def put_files_back(self) -> None:
        """What a person does who is told that a file is no longer as the older state knows it: one
        that was put into place since becomes the unfinished one again."""
        for name, lines in self.disk.finished.items():
            if len(lines) > len(self.disk.files.get(name, [])):
                self.disk.files[name] = list(lines)

    def spools(self) -> list[Path]:
        return list(self.store.folder.glob("*.epoch"))

    def attempts(self) -> dict[str, int]:
        return dict(self.store.attempts("pipeline"))

    def noted(self) -> set[int]:
        """The records that stood noted, tried by themselves, when the process died."""
        places = [place for place in self.attempts() if place.startswith("record ")]
        return {int(place.rpartition(":")[2]) for place in places}

    def is_finished(self) -> bool:
        checkpoint = self.store.checkpoint("pipeline")
        return checkpoint is not None and checkpoint.finished

    # ---- what must hold -------------------------------------------------------------------------

    def check(self) -> None:
        """Go on until it ends, then look."""
        for _ in range(60):
            if self.is_finished() and not self.rewound_since():
                break
            self.live(Fate(), 5, 10)
        else:
            raise AssertionError("it never ends")
        killed = {one.ordinal for one in self.store.letters() if "killed" in one.message}
        assert killed <= self.deadly | self.condemned
        if not self.rewound:
            assert killed >= self.deadly
        dead = killed | self.deadly
        good = [n for n in VALUES if n > 0 and n not in dead and not fails(n) and not drops(n)]
        wanted = [tuple(good[at : at + 2]) for at in range(0, len(good), 2)]
        for name, kind in self.kinds.items():
            self.check_output(name, kind, wanted)
        letters = {one.ordinal for one in self.store.letters()} - dead
        failed = {abs(n) for n in VALUES if n not in dead and (n < 0 or fails(n))} - dead
        assert letters == failed or (self.rewound and letters <= failed)

    def rewound_since(self) -> bool:
        """Whether a table has less than the store thinks."""
        mine = self.store.checkpoint("pipeline")
        tables = [
            self.disk.tables.get(n, ([], None))[1]
            for n, k in self.kinds.items()
            if k == "transactional"
        ]
        return any(
            one is None
            or (mine is not None and (one.run_id, one.epoch) != (mine.run_id, mine.epoch))
            for one in tables
        )

    def check_output(self, name: str, kind: str, wanted: list[Any]) -> None:
        if kind == "transactional":
            assert self.disk.tables[name][0] == wanted
        elif kind == "rewindable":
            assert self.disk.finished[name] == wanted
        elif kind == "keyed":
            rows = self.disk.maps[name]
            assert rows.items() >= {record[0]: record for record in wanted}.items()
            # Written, then the process was killed: set aside without cause, and still there.
            assert len(rows) == len(wanted) or self.condemned
        else:
            lines = self.disk.logs[name]
            assert set(lines) >= set(wanted)
            assert set(lines) == set(wanted) or self.condemned
            assert self.rewound or len(lines) - len(wanted) <= self.most_repeats


def histories(machine: type[Machine], number: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=number,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not LONG,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            report_multiple_bugs=False,
        ),
    )


@pytest.mark.holds("replayable", "transactional")
@pytest.mark.holds("replayable", "rewindable")
@pytest.mark.holds("replayable", "keyed")
@pytest.mark.holds("replayable", "append")
@pytest.mark.holds("replayable", "several transactional")
def test_whatever_happens_every_record_arrives() -> None:
    histories(Machine, HISTORIES)


def test_an_overtaken_run_cannot_commit_the_mark_of_a_file_that_was_cut_since() -> None:
    machine = Machine()
    kinds = ["rewindable", "append", "transactional"]
    machine.begin(kinds=kinds, deadly=[], trims=True, engine="inline")
    machine.be_overtaken(other=19, size=1, step=7)
    machine.be_overtaken(other=34, size=7, step=21)
    machine.be_overtaken(other=30, size=8, step=54)
    machine.die(epoch=12, size=6, step=3)
    machine.die(epoch=9, size=6, step=52)
    machine.be_overtaken(other=3, size=6, step=10)
    machine.die(epoch=2, size=8, step=42)
    machine.teardown()


def test_an_overtaken_run_leaves_alone_what_the_one_after_it_has_spooled() -> None:
    machine = Machine()
    machine.begin(kinds=["transactional"] * 2, deadly=[5], trims=False, engine="inline")
    machine.be_overtaken(other=9, size=5, step=26)
    machine.die(epoch=4, size=2, step=26)
    machine.teardown()


# ---- protocols with one mistake -----------------------------------------------------------------


def saves_positions_first(run: Run, _: Machine) -> None:
    """The position is durable before the outputs are."""

    class Wrong(Delivery):
        def commit(self, checkpoint: Checkpoint, pending: Pending, *, complete: bool) -> Checkpoint:
            marks = (self.store.checkpoint(self.pipeline) or self.start).marks
            states = {node.name: node.component.snapshot() for node in self._stages()}
            states = {name: state for name, state in states.items() if state is not None}
            early = replace(checkpoint, generation=self.generation, marks=marks, states=states)
            self.store.save(early)
            return super().commit(checkpoint, pending, complete=complete)

    run.delivery.__class__ = Wrong


def keeps_letters_last(run: Run, _: Machine) -> None:
    """Dead letters are kept after the checkpoint that leaves their records behind."""

    class Wrong(Delivery):
        def commit(self, checkpoint: Checkpoint, pending: Pending, *, complete: bool) -> Checkpoint:
            made = super().commit(checkpoint, Pending(), complete=complete)
            self.store.keep(self.pipeline, self.generation, pending.letters, pending.keys)
            return made

    run.delivery.__class__ = Wrong


def tells_inputs_first(run: Run, _: Machine) -> None:
    """Inputs may forget what nobody has kept yet."""

    class Wrong(Delivery):
        def commit(self, checkpoint: Checkpoint, pending: Pending, *, complete: bool) -> Checkpoint:
            for node in run.inputs:
                node.component.commit(dict(run.positions))
            return super().commit(checkpoint, pending, complete=complete)

    run.delivery.__class__ = Wrong


def leaves_intent_out(run: Run, machine: Machine) -> None:
    """Several tables commit one after the other, and nothing says so."""
    machine.store.put_intent = lambda checkpoint: None  # type: ignore[method-assign]


def ignores_mark(run: Run, _: Machine) -> None:
    """A file goes on at its end, wherever that is."""
    for node in run.outputs:
        if isinstance(node.component, File):
            file = node.component
            file.resume = lambda mark, epoch, file=file: _reopen(file)  # type: ignore[method-assign]


def _reopen(file: File) -> None:
    there = file.disk.files.get(file.name, file.disk.finished.get(file.name, []))
    file.lines = file.disk.files[file.name] = list(there)


def commits_without_comparing(run: Run, _: Machine) -> None:
    """An output takes the epoch of a run that was overtaken."""
    for node in run.outputs:
        if isinstance(node.component, Table):
            node.component.compares = False


def restores_no_states(run: Run, _: Machine) -> None:
    """A stage begins with nothing in the middle of the records."""
    for node in run.stages:
        node.component.restore = lambda state: None  # type: ignore[method-assign]


def counts_no_attempts(run: Run, machine: Machine) -> None:
    """A record that kills is tried for ever."""
    machine.store.attempt = lambda *place: 1  # type: ignore[method-assign]


MISTAKES: list[Mistake] = [
    saves_positions_first,
    keeps_letters_last,
    tells_inputs_first,
    leaves_intent_out,
    ignores_mark,
    commits_without_comparing,
    restores_no_states,
    counts_no_attempts,
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_a_protocol_with_a_mistake_is_caught(mistake: Mistake) -> None:
    machine = type("Mistaken", (Machine,), {"mistake": staticmethod(mistake)})
    with pytest.raises(BaseException) as caught:
        histories(machine, 1000)
    told = [caught.value, *getattr(caught.value, "exceptions", ())]
    assert any(isinstance(one, AssertionError) for one in told), told
