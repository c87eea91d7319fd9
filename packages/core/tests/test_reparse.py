"""Reading everything again: whatever is killed on the way, and beside inputs that go on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from parties import Disk, Fate, File, Killed, MortalStore

from penstock import Batch, Failure, Output, Retraction, Transformer, UsageError
from penstock.build import pipeline_of
from penstock.plugins import Plugins
from penstock.reparse import plan_of
from penstock.runs import Run
from penstock.testing import ListInput, ListOutput

PLUGINS = Plugins(discover=False)
VALUES = list(range(1, 13))


class Whole(File):
    """A file that is replaced as a whole."""

    replaces = True


class Known(Output):
    """Rows by key that outlive the process, with their lineage; each step may be the last one."""

    delivery = "keyed"
    retracts = True

    def __init__(self, rows: dict[int, tuple[str, str, int, int]], fate: Fate) -> None:
        self.rows, self.fate = rows, fate

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self.fate()
            key, text = record
            self.rows[key] = (text, batch.source, ordinal, self.context.epoch)
        return None

    def retract(self, what: Retraction) -> None:
        for key, (_, source, ordinal, epoch) in list(self.rows.items()):
            self.fate()
            kept = (source, ordinal) in what.keep or source in what.spare
            meant = what.only is None or (source, ordinal) in what.only
            if epoch <= what.epoch and meant and not kept:
                del self.rows[key]

    def take_back(self, epoch: int) -> None:
        """What only changed is written again."""


class Forgetful(Known):
    """Takes nothing back."""

    def retract(self, what: Retraction) -> None:
        pass


class Stage(Transformer):
    """The second version drops some records, fails with one and gives others another key."""

    def __init__(self, version: int) -> None:
        self.version = version

    def transform(self, record: int) -> Any:
        if self.version == 1:
            return record, "first"
        if record == 7:
            raise ValueError("not yet")
        return None if record % 4 == 0 else (record + 100 * (record % 3 == 0), "second")


class Log(ListInput):
    finite = False


def wanted() -> dict[int, str]:
    made = {}
    for record in VALUES:
        version = 1 if record == 7 else 2
        result = Stage(version).transform(record)
        if result is not None:
            made[result[0]] = result[1]
    return made


def live(
    store: MortalStore,
    disk: Disk,
    rows: Any,
    version: int,
    fate: Fate | None = None,
    known: type[Known] = Known,
    **how: Any,
) -> Run | None:
    store.fate = fate = fate or Fate()
    stage = Stage(version)
    pipes = [[ListInput(values=VALUES, batch_size=2), stage, Whole(disk, "file", fate)]]
    pipes.append([stage, known(rows, fate)])
    pipeline = pipeline_of(pipes, PLUGINS)
    pipeline.spec.epoch = {"records": 4}
    run = pipeline.start(store=store, **how)
    try:
        run.execute()
    except Killed:
        store.let_go()
        return None
    assert run.error is None, run.error
    return run


def texts(rows: Mapping[int, tuple[Any, ...]]) -> dict[int, str]:
    return {key: row[0] for key, row in rows.items()}


@pytest.mark.parametrize("again", [True, False], ids=["--reparse again", "resumed"])
def test_a_reparse_that_is_killed_anywhere_ends_as_one_that_was_not(
    tmp_path: Path, again: bool
) -> None:
    for step in itertools.count(1):
        store, disk, rows = MortalStore(tmp_path), Disk(), {}
        live(store, disk, rows, 1)
        if live(store, disk, rows, 2, Fate(step), reparse=True) is not None:
            break
        kept = store.checkpoint("pipeline")
        assert kept is not None
        if kept.reparse is None or not kept.finished:
            live(store, disk, rows, 2, reparse=again or kept.reparse is None)
        assert texts(rows) == wanted(), step
        second = [made for n in VALUES if n != 7 and (made := Stage(2).transform(n))]
        assert disk.finished["file"] == second, step
        assert [letter.ordinal for letter in store.letters()] == [7], step
    assert step > 40


def test_an_output_that_takes_nothing_back_is_left_with_more(tmp_path: Path) -> None:
    store, disk, rows = MortalStore(tmp_path), Disk(), {}
    live(store, disk, rows, 1)
    live(store, disk, rows, 2, known=Forgetful, reparse=True)
    assert texts(rows) != wanted()


def test_a_first_run_may_be_a_reparse(tmp_path: Path) -> None:
    store, disk, rows = MortalStore(tmp_path), Disk(), {}
    live(store, disk, rows, 1, reparse=True)
    assert texts(rows) == dict.fromkeys(VALUES, "first")


def test_what_came_from_a_log_stays_and_the_log_goes_on(tmp_path: Path) -> None:
    store, rows = MortalStore(tmp_path), {}
    for version in (1, 2):
        known = Known(rows, Fate())
        finite, log = ListInput(values=[1, 4]), Log(values=[2, 8])
        stage = Stage(version)
        pipes = [[finite, stage, known], [log, Transformed(), known]]
        run = pipeline_of(pipes, PLUGINS).start(store=store, reparse=version == 2)
        assert run.execute().error is None
    assert texts(rows) == {1: "second", 2: "of a log", 8: "of a log"}
    assert {row[3] for key, row in rows.items() if key != 1} == {1}


class Transformed(Transformer):
    def transform(self, record: int) -> Any:
        return record, "of a log"


def test_an_output_that_can_do_neither_is_named() -> None:
    pipeline = pipeline_of([[ListInput(values=[1]), ListOutput()]], PLUGINS)
    with pytest.raises(UsageError, match="list2: cannot take back what it wrote"):
        pipeline.start(reparse=True)
    plan = plan_of(pipeline.graph().nodes.values())
    assert (plan.again, plan.outputs) == (["list"], {"list2": "keeps"})
