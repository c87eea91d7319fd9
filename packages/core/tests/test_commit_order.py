"""The order of every durable step, written out: dying between any two of them loses nothing only as
long as they come in this order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest

from penstock import (
    Batch,
    Checkpoint,
    DeadLetter,
    Failure,
    MemoryStore,
    Output,
    Retraction,
    RunError,
    Stage,
    Transformer,
)
from penstock.build import Pipeline, pipeline_of
from penstock.components import TransactionalOutput
from penstock.plugins import Plugins
from penstock.retries import retry
from penstock.runs import Run
from penstock.spool import Spool
from penstock.testing import ListInput


class Killed(BaseException):
    """Stands for kill -9."""


class Steps(list[str]):
    """What was done, in order; the process dies instead of taking the step `dies`."""

    dies = ""

    def __call__(self, step: str) -> None:
        if step == self.dies:
            raise Killed
        self.append(step)

    def since(self) -> list[str]:
        """What came since this was last asked."""
        taken = list(self)
        self.clear()
        return taken


class Told(MemoryStore):
    """A store that says what it keeps."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        super().__init__()
        self.folder, self.steps, self.inside = folder, steps, False

    def save(
        self,
        checkpoint: Checkpoint,
        letters: Sequence[DeadLetter] = (),
        keys: Sequence[Any] = (),
        closed: Sequence[DeadLetter] = (),
    ) -> None:
        said = f"save {checkpoint.epoch}{' ended' * checkpoint.ended}"
        said += " finished" * checkpoint.finished
        said += f" with {[one.ordinal for one in letters]}" if letters else ""
        said += f" without {[one.ordinal for one in closed]}" if closed else ""
        self.steps(said)
        self.inside = True
        super().save(checkpoint, letters, keys, closed)
        self.inside = False

    def keep(self, *more: Any) -> None:
        if not self.inside:
            self.steps(f"keep {[one.ordinal for one in more[2]]}")
        super().keep(*more)

    def put_intent(self, checkpoint: Checkpoint) -> None:
        self.steps(f"intent {checkpoint.epoch}")
        super().put_intent(checkpoint)

    def forget(self, pipeline: str, generation: int) -> None:
        self.steps("forget")
        super().forget(pipeline, generation)


class World:
    """What outlives a process."""

    def __init__(self, folder: Path) -> None:
        self.steps = Steps()
        self.store = Told(folder, self.steps)
        self.rows: dict[str, list[tuple[int, Any]]] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.seen: list[tuple[int, int]] = []  # what is committed, and the epoch as outputs see it

    def let_go(self) -> None:
        self.store._leases = {name: ("", n, 0.0) for name, (_, n, _) in self.store._leases.items()}

    def __getitem__(self, name: str) -> list[Any]:
        return [record for _, record in self.rows.get(name, [])]


class _Output(Output):
    def __init__(self, world: World, name: str, refuse: Sequence[Any] = ()) -> None:
        self.world, self.name, self.refuse = world, name, refuse
        self.written: list[tuple[int, Any]] = []

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        epoch, pairs = self.context.epoch, list(zip(batch.records, batch.ordinals, strict=True))
        self.written.extend((epoch, r) for r, _ in pairs if r not in self.refuse)
        return [Failure(r, o, ValueError("refused")) for r, o in pairs if r in self.refuse]

    def reopen(self, mark: Any, epoch: int) -> None:
        self.world.steps(f"{self.name} reopen {mark} of {epoch}")

    def finish(self) -> None:
        self.world.steps(f"{self.name} finish")


class Table(_Output, TransactionalOutput):
    """Each row knows the epoch that it was written in."""

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.world.checkpoints.get(self.name)

    def prepare(self, epoch: int) -> Any:
        self.world.steps(f"{self.name} prepare {epoch}")
        return None

    def commit(self, checkpoint: Checkpoint) -> None:
        self.world.steps(f"{self.name} commit {checkpoint.epoch}")
        self.world.seen.append((checkpoint.epoch, self.context.epoch))
        self.world.rows.setdefault(self.name, []).extend(self.written)
        self.world.checkpoints[self.name] = checkpoint
        self.written = []


class Lineage(Table):
    """Can take back what it wrote."""

    retracts = True

    def retract(self, what: Retraction) -> None:
        of = f" of {sorted(what.only)}" if what.only is not None else ""
        self.world.steps(f"{self.name} retract up to {what.epoch}{of}")

    def take_back(self, epoch: int) -> None:
        self.world.steps(f"{self.name} take back after {epoch}")


class File(_Output):
    """Its mark is how much of it is durable."""

    delivery = "rewindable"

    def resume(self, mark: Any, epoch: int) -> None:
        self.world.steps(f"{self.name} resume {mark} of {epoch}")
        self.world.rows[self.name] = self.world.rows.get(self.name, [])[: mark or 0]

    def prepare(self, epoch: int) -> Any:
        self.world.steps(f"{self.name} prepare {epoch}")
        self.world.rows[self.name] += self.written
        self.written = []
        return len(self.world.rows[self.name])


class Sums(Stage):
    """Remembers the sum of what it has seen."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.sum = steps, 0

    def process(self, batch: Batch) -> Iterable[Batch]:
        self.sum += sum(batch.records)
        yield Batch(list(batch.records), batch.source, batch.ordinals)

    def snapshot(self) -> Any:
        self.steps("snapshot")
        return {"sum": self.sum} if self.sum else None

    def restore(self, state: Any) -> None:
        self.sum = state["sum"]


class Source(ListInput):
    def __init__(self, steps: Steps, *values: int) -> None:
        super().__init__(values=list(values), batch_size=2)
        self.steps = steps

    def commit(self, positions: Mapping[str, Any]) -> None:
        self.steps(f"confirm {positions}")


class Picky(Transformer):
    def __init__(self, *refused: int) -> None:
        self.refused = refused

    def transform(self, record: int) -> int:
        if record in self.refused:
            raise ValueError("refused")
        return record


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)

    class ToldSpool(Spool):
        def seal(self, epoch: tuple[str, int] | None) -> None:
            made.steps(f"seal {epoch and epoch[1]}")
            super().seal(epoch)

        def clear(self) -> None:
            made.steps("clear")
            super().clear()

    monkeypatch.setattr("penstock.delivery.Spool", ToldSpool)
    return made


def pipeline(
    world: World, *outputs: Output, refused: Sequence[int] = (), values: Sequence[int] = (1, 2, 3)
) -> Pipeline:
    stages = [Picky(*refused), Sums(world.steps)]
    pipes = [[Source(world.steps, *values), *stages, outputs[0]]]
    made = pipeline_of(
        [*pipes, *[[stages[-1], one] for one in outputs[1:]]], Plugins(discover=False)
    )
    made.spec.epoch = {"records": 2}
    return made


def live(world: World, *outputs: Output, dies: str = "", how: Any = None, **what: Any) -> Run:
    world.steps.dies = dies
    run = pipeline(world, *outputs, **what).start(store=world.store, **(how or {}))
    try:
        run.execute()
        assert not dies
    except Killed:
        world.let_go()
    world.steps.dies = ""
    return run


def two_tables_and_a_file(world: World) -> list[Output]:
    return [Table(world, "one"), File(world, "file"), Table(world, "two")]


def test_with_one_table_letters_come_first_then_the_table_the_store_and_the_input(
    world: World,
) -> None:
    run = live(world, Table(world, "one"), refused=[2])
    assert run.error is None
    assert world.steps == [
        *["one prepare 1", "snapshot", "keep [2]", "one commit 1", "save 1"],
        "confirm {'source': 2}",
        *["one prepare 2", "snapshot", "one commit 2", "save 2 ended"],
        *["one finish", "save 2 ended finished"],
        "confirm {'source': 3}",
    ]


def test_without_a_table_the_letters_are_kept_in_one_step_with_the_checkpoint(
    world: World,
) -> None:
    live(world, File(world, "file"), refused=[2])
    assert world.steps == [
        "file resume None of 0",
        *["file prepare 1", "snapshot", "save 1 with [2]", "confirm {'source': 2}"],
        *["file prepare 2", "snapshot", "save 2 ended"],
        *["file finish", "save 2 ended finished", "confirm {'source': 3}"],
    ]


def test_several_tables_commit_after_their_spool_is_sealed_and_the_intent_is_noted(
    world: World,
) -> None:
    live(world, *two_tables_and_a_file(world), refused=[2])
    prepared = [f"{name} prepare 1" for name in ("one", "file", "two")]
    assert world.steps.since()[:11] == [
        "file resume None of 0",
        *[*prepared, "snapshot", "keep [2]", "seal 1", "intent 1"],
        *["one commit 1", "two commit 1", "save 1"],
    ]
    live(world, *two_tables_and_a_file(world), refused=[2])
    steps = world.steps.since()
    assert steps[steps.index("save 4 ended") :] == [
        *["save 4 ended", "clear", "one finish", "file finish", "two finish"],
        *["save 4 ended finished", "confirm {'source': 3}"],
    ]


def test_a_spool_of_one_table_is_never_made(world: World, tmp_path: Path) -> None:
    live(world, Table(world, "one"), File(world, "file"))
    assert not [step for step in world.steps if step.startswith(("seal", "intent", "clear"))]
    assert not [*tmp_path.glob("*.epoch")]


def test_every_record_is_written_under_the_number_of_the_epoch_that_commits_it(
    world: World,
) -> None:
    for _ in range(2):
        live(world, *two_tables_and_a_file(world))
    assert world.rows["one"] == world.rows["two"]
    assert world.rows["one"] == [(1, 1), (1, 2), (2, 3), (3, 1), (3, 2), (4, 3)]
    assert world.rows["file"] == [(3, 1), (3, 2), (4, 3)]
    assert {epoch - seen for epoch, seen in world.seen} == {0}


def test_what_is_completed_after_a_death_keeps_the_number_of_its_epoch(world: World) -> None:
    live(world, *two_tables_and_a_file(world), dies="two commit 2", refused=[3])
    assert (world["one"], world["two"]) == ([1, 2], [1, 2])
    world = _again(world, "two commit 2")
    live(world, *two_tables_and_a_file(world))
    assert world.rows["two"] == world.rows["one"] == [(1, 1), (1, 2), (2, 3)]


def _again(world: World, dies: str) -> World:
    """The same death, with a record that must be completed."""
    fresh = World(world.store.folder)
    world.__dict__.update(fresh.__dict__)
    live(world, *two_tables_and_a_file(world), dies=dies)
    return world


def test_after_a_death_between_two_commits_the_one_behind_commits_then_the_store_then_the_spool(
    world: World,
) -> None:
    live(world, *two_tables_and_a_file(world), dies="two commit 1")
    world.steps.since()
    live(world, *two_tables_and_a_file(world))
    assert world.steps[:4] == ["two commit 1", "save 1", "clear", "file resume 2 of 1"]
    assert world.checkpoints["two"].generation == world.store.checkpoint("pipeline").generation  # type: ignore[union-attr]


@pytest.mark.parametrize("dies", ["save 1", "clear", "file resume 2 of 1"])
def test_a_completion_that_dies_as_well_is_repeated(world: World, dies: str) -> None:
    live(world, *two_tables_and_a_file(world), dies="two commit 1")
    live(world, *two_tables_and_a_file(world), dies=dies)
    live(world, *two_tables_and_a_file(world))
    assert world["one"] == world["two"] == world["file"] == [1, 2, 3]


def test_a_record_that_a_table_took_before_and_now_refuses_ends_the_run(world: World) -> None:
    live(world, *two_tables_and_a_file(world), dies="two commit 1")
    one, file, _ = two_tables_and_a_file(world)
    run = live(world, one, file, Table(world, "two", refuse=[2]))
    assert str(run.error) == (
        "table2 at source:2: refuses a record that it took before: refused; make it take the "
        "record, or start over with --fresh"
    )
    assert world["two"] == []
    live(world, *two_tables_and_a_file(world))
    assert world["one"] == world["two"] == [1, 2, 3]


def test_a_state_and_a_mark_are_those_of_the_epoch(world: World) -> None:
    live(world, File(world, "file"), dies="file prepare 2")
    checkpoint = world.store.checkpoint("pipeline")
    assert checkpoint is not None
    assert (checkpoint.marks, checkpoint.states) == ({"file": 2}, {"sums": {"sum": 3}})
    assert (checkpoint.ended, checkpoint.finished) == (False, False)


def test_a_death_before_the_outputs_are_complete_is_followed_by_completing_them(
    world: World,
) -> None:
    live(world, File(world, "file"), dies="file finish")
    live(world, File(world, "file"), dies="save 3 ended finished")
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    assert (kept.ended, kept.finished) == (True, False)
    world.steps.since()
    live(world, File(world, "file"))
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    assert (kept.ended, kept.finished) == (True, True)
    assert world["file"] == [1, 2, 3]
    assert "file finish" in world.steps


def test_a_run_that_is_resumed_says_so_and_whether_the_pipeline_has_changed(world: World) -> None:
    changed = (
        "the pipeline has changed since the run that is resumed; what that run did stays as it is "
        "(--fresh starts over)"
    )
    resumed = "resumed after 2 records, where the run before was cut off"
    said = []
    for config in ("first", "first", "second"):
        world.steps.dies = "file prepare 2"
        run = pipeline(world, File(world, "file")).start(store=world.store)
        run.delivery.config_hash = config
        with pytest.raises(Killed):
            run.execute()
        world.let_go()
        said.append(run.warnings)
    assert said == [[], [resumed], [changed, resumed]]


def test_a_new_run_goes_on_with_the_numbers_and_starts_over_with_everything_else(
    world: World,
) -> None:
    live(world, File(world, "file"))
    world.steps.since()
    run = live(world, File(world, "file"))
    assert world.steps[0] == "file resume None of 2"
    assert run.delivery.start.epoch == 2
    assert run.delivery.start.generation == run.delivery.generation == 2
    assert run.delivery.start.run_id == run.run_id
    assert not run.delivery.resumed


def test_fresh_forgets_what_was_cut_off_and_numbers_go_on(world: World) -> None:
    live(world, Table(world, "one"), File(world, "file"), dies="file prepare 2")
    world.steps.since()
    run = live(world, Table(world, "one"), File(world, "file"), how={"fresh": True})
    assert world.steps[:3] == ["forget", "one commit 2", "file resume None of 2"]
    assert not run.delivery.resumed
    assert world["file"] == [1, 2, 3]


def test_what_was_tried_before_a_checkpoint_is_not_taken_back_after_it(world: World) -> None:
    """Whoever gives the lease back takes back its attempts; those of an epoch that has happened
    were forgotten with it, and may have been made anew by nobody else."""
    run = live(world, File(world, "file"))
    assert run.delivery._tried == []


# ---- reading everything again -------------------------------------------------------------------


def lineages(world: World) -> list[Output]:
    return [Lineage(world, "one"), Lineage(world, "two")]


def test_a_table_takes_back_what_did_not_come_again_before_its_last_commit(world: World) -> None:
    live(world, *lineages(world))
    world.steps.since()
    live(world, *lineages(world), how={"reparse": True}, refused=[2])
    commits = [step for step in world.steps if " commit " in step or " retract " in step]
    assert commits == [
        *["one commit 3", "two commit 3", "one commit 4", "two commit 4"],
        *["one retract up to 2", "two retract up to 2", "one commit 5", "two commit 5"],
    ]
    assert world.steps.index("keep [2]") < world.steps.index("one commit 4")
    assert world.steps.index("save 3") < world.steps.index("one prepare 4")


@pytest.mark.parametrize(
    ("dies", "then"),
    [
        ("two commit 4", ["two commit 4", "save 4"]),
        ("two commit 5", ["two retract up to 2", "two commit 5", "save 5 ended"]),
        ("save 5 ended", ["save 5 ended"]),
    ],
)
def test_a_table_that_is_behind_in_a_reparse_does_what_the_other_has_done(
    world: World, dies: str, then: list[str]
) -> None:
    live(world, *lineages(world))
    live(world, *lineages(world), how={"reparse": True}, dies=dies)
    world.steps.since()
    live(world, *lineages(world))
    assert world.steps[: world.steps.index("clear")] == then


def test_a_letter_of_a_reparse_that_is_mended_takes_back_what_its_record_had(
    world: World,
) -> None:
    live(world, *lineages(world))
    live(world, *lineages(world), how={"reparse": True}, refused=[2])
    world.steps.since()
    again(world, *lineages(world), dies="two commit 6")
    mended = "up to 2 of [('source', 2)]"
    assert world.steps.since()[-5:] == [
        *[f"one retract {mended}", f"two retract {mended}"],
        *["seal 6", "intent 6", "one commit 6"],
    ]
    again(world, *lineages(world))
    assert world.steps[:3] == [
        *[f"two retract {mended}", "two commit 6", "save 6 ended without [2]"],
    ]


class Rows(Lineage):
    """Without a transaction: what it takes back is gone at once."""

    delivery = "keyed"

    def prepare(self, epoch: int) -> Any:
        self.world.steps(f"{self.name} prepare {epoch}")
        return None


class Replaced(Rows):
    """Whatever it wrote is replaced as a whole."""

    replaces = True


def mixed(world: World) -> list[Output]:
    return [Lineage(world, "one"), Rows(world, "rows"), Replaced(world, "whole")]


def test_a_reparse_that_is_begun_anew_takes_back_what_the_one_before_had_added(
    world: World,
) -> None:
    """With the commit that says so where there is one, otherwise after it: dying in between must
    leave too much, not too little."""
    live(world, *mixed(world))
    live(world, *mixed(world), how={"reparse": True}, dies="one commit 5")
    world.steps.since()
    live(world, *mixed(world), how={"reparse": True})
    assert world.steps[:5] == [
        *["one take back after 2", "one commit 5", "save 5", "rows take back after 2"],
        "one prepare 6",
    ]
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    assert (kept.reparse, kept.finished) == (4, True)
    assert not [step for step in world.steps if "whole take" in step or "whole retract" in step]


def test_the_first_run_of_all_may_be_a_reparse_that_is_begun_anew(world: World) -> None:
    live(world, *mixed(world), how={"reparse": True}, dies="one prepare 3")
    world.steps.since()
    live(world, *mixed(world), how={"reparse": True})
    assert world.steps[:4] == [
        *["one take back after 0", "one commit 3", "save 3", "rows take back after 0"],
    ]


@pytest.mark.parametrize("before", ["a reparse that ended", "a run that was cut off"])
def test_any_other_reparse_takes_nothing_back_at_its_beginning(world: World, before: str) -> None:
    if before == "a reparse that ended":
        live(world, *mixed(world))
        live(world, *mixed(world), how={"reparse": True})
    else:
        live(world, *mixed(world), dies="one prepare 2")
    live(world, *mixed(world), how={"reparse": True})
    assert not [step for step in world.steps if "take back" in step]


def test_going_back_writes_nothing_where_tables_do_not_agree(world: World) -> None:
    live(world, *lineages(world), dies="one prepare 2")
    older = world.checkpoints["two"]
    live(world, *lineages(world), dies="one finish")
    world.checkpoints["two"] = older
    world.steps.since()
    with pytest.raises(RunError, match="do not agree on what was committed"):
        back_to(world, 1)
    assert world.steps == []


def back_to(world: World, epoch: int) -> Checkpoint:
    """An earlier checkpoint, as a person chooses it."""
    chosen = {one.epoch: one for one in world.store.history("pipeline")}[epoch]
    run = pipeline(world, *lineages(world)).start(store=world.store)
    run.go_back(replace(chosen, by_hand=True))
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    return kept


def test_going_back_is_a_commit_of_its_own_with_what_outputs_take_back(world: World) -> None:
    live(world, *lineages(world))
    world.steps.since()
    kept = back_to(world, 1)
    assert world.steps == [
        *["one take back after 1", "two take back after 1", "seal 3", "intent 3"],
        *["one commit 3", "two commit 3", "save 3", "clear"],
    ]
    assert (kept.epoch, kept.positions, kept.generation) == (3, {"source": 2}, 2)
    assert [one.epoch for one in world.store.history("pipeline")] == [3, 1]


@pytest.mark.parametrize("how", ["resumed", "read again", "letters"])
def test_what_a_person_chose_weighs_no_more_once_a_run_has_gone_on(world: World, how: str) -> None:
    live(world, *lineages(world), refused=[2])
    assert back_to(world, 1).by_hand
    if how == "letters":
        again(world, *lineages(world))
    elif how == "read again":
        with pytest.raises(Killed):
            _read_again_until(world, "one prepare 5")
    else:
        live(world, *lineages(world), dies="one finish")
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    assert kept.epoch == 4
    assert not kept.by_hand


def _read_again_until(world: World, dies: str) -> None:
    world.steps.dies = dies
    pipeline(world, *lineages(world)).start(store=world.store, reparse=True).execute()


# ---- letters that are tried again ---------------------------------------------------------------


def again(world: World, *outputs: Output, dies: str = "") -> Run:
    world.steps.dies = dies
    run = retry(pipeline(world, *outputs), world.store.letters(), world.store)
    try:
        run.execute()
        assert not dies
    except Killed:
        world.let_go()
    world.steps.dies = ""
    return run


def test_a_retry_reopens_what_is_complete_and_closes_its_letter_with_the_data(
    world: World,
) -> None:
    live(world, *two_tables_and_a_file(world), refused=[2])
    world.steps.since()
    run = again(world, *two_tables_and_a_file(world))
    assert run.error is None
    assert world.steps == [
        *["one reopen None of 2", "file reopen 2 of 2", "two reopen None of 2"],
        *["one prepare 3", "file prepare 3", "two prepare 3", "snapshot", "seal 3", "intent 3"],
        *["one commit 3", "two commit 3", "save 3 ended", "clear"],
        *["one prepare 4", "file prepare 4", "two prepare 4", "snapshot", "seal 4", "intent 4"],
        *["one commit 4", "two commit 4", "save 4 ended without [2]", "clear"],
        *["one finish", "file finish", "two finish", "save 4 ended finished"],
    ]
    assert world.rows["two"] == [(1, 1), (2, 3), (4, 2)]


@pytest.mark.parametrize("dies", ["one commit 3", "two commit 3", "save 3 ended without [2]"])
def test_a_letter_whose_result_is_committed_is_closed_by_whoever_comes_next(
    world: World, dies: str
) -> None:
    outputs = [Table(world, "one"), Table(world, "two")]
    live(world, *outputs, refused=[2])
    again(world, Table(world, "one"), Table(world, "two"), dies=dies)
    assert [one.ordinal for one in world.store.letters()] == [2]
    again(world, Table(world, "one"), Table(world, "two"))
    assert world.store.letters() == []
    assert sorted(world["one"]) == sorted(world["two"]) == [1, 2, 3]


def test_one_table_carries_the_letters_that_its_commit_closes(world: World) -> None:
    live(world, Table(world, "one"), refused=[2])
    [letter] = world.store.letters()
    again(world, Table(world, "one"))
    assert world.checkpoints["one"].closed == [astuple(letter)]
    assert world.rows["one"] == [(1, 1), (2, 3), (3, 2)]
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    assert (list(kept.closed), list(kept.opened)) == ([], [])


def test_a_retry_of_a_run_that_was_cut_off_leaves_the_file_at_its_mark(world: World) -> None:
    live(world, File(world, "file"), refused=[2], dies="file prepare 2")
    world.steps.since()
    run = again(world, File(world, "file"))
    assert world.steps == [
        *["file resume 1 of 1", "file prepare 2", "snapshot", "save 2 without [2]"],
    ]
    assert run.error is None
    live(world, File(world, "file"))
    assert world["file"] == [1, 2, 3]


def test_a_retry_keeps_what_is_known_of_nodes_that_take_no_part(world: World) -> None:
    def pipes(*refused: int) -> Pipeline:
        steps = world.steps
        made = pipeline_of(
            [
                [Source(steps, 1, 2), Picky(*refused), Sums(steps), File(world, "file")],
                [Source(steps, 5, 6), Sums(steps), File(world, "other")],
            ],
            Plugins(discover=False),
        )
        made.spec.epoch = {"records": 2}
        return made

    run = pipes(2).start(store=world.store, max_records=4)
    run.execute()
    before = world.store.checkpoint("pipeline")
    assert before is not None
    assert (before.marks, before.states) == (
        {"file": 1, "file2": 2},
        {"sums": {"sum": 1}, "sums2": {"sum": 11}},
    )
    retry(pipes(), world.store.letters(), world.store).execute()
    after = world.store.checkpoint("pipeline")
    assert after is not None
    assert (after.marks, after.states) == (
        {"file": 2, "file2": 2},
        {"sums": {"sum": 3}, "sums2": {"sum": 11}},
    )
    assert after.epoch == before.epoch + 1


def test_a_retry_with_a_table_and_a_file_first_makes_sure_that_no_other_run_commits(
    world: World,
) -> None:
    live(world, Table(world, "one"), File(world, "file"), refused=[2])
    world.steps.since()
    again(world, Table(world, "one"), File(world, "file"))
    assert world.steps[:3] == ["one commit 4", "one reopen None of 4", "file reopen 2 of 4"]
    assert world.rows["one"] == [(2, 1), (3, 3), (5, 2)]
    assert world.checkpoints["one"].run_id == world.store.checkpoint("pipeline").run_id  # type: ignore[union-attr]


def test_a_retry_of_a_cut_off_run_counts_the_epoch_that_shut_the_others_out(world: World) -> None:
    live(world, Table(world, "one"), File(world, "file"), refused=[2], dies="file prepare 3")
    world.steps.since()
    again(world, Table(world, "one"), File(world, "file"))
    assert world.steps[:2] == ["one commit 3", "file resume 1 of 3"]
    assert world.rows["one"] == [(2, 1), (4, 2)]


def test_a_retry_writes_nothing_where_tables_do_not_agree(world: World) -> None:
    live(world, *lineages(world), refused=[2], dies="one prepare 2")
    older = world.checkpoints["two"]
    live(world, *lineages(world), refused=[2], dies="one finish")
    world.checkpoints["two"] = older
    world.steps.since()
    run = again(world, *lineages(world))
    assert "do not agree on what was committed" in str(run.error)
    assert world.steps == []


def test_a_retry_commits_to_every_table_and_touches_no_other_output_that_gets_nothing(
    world: World,
) -> None:
    def pipes(*refused: int) -> Pipeline:
        source = Source(world.steps, 1, 2)
        one, two = Lineage(world, "one"), Lineage(world, "two")
        branches = [[source, Picky(*refused), one], [source, two], [source, File(world, "file")]]
        return pipeline_of(branches, Plugins(discover=False))

    pipes(2).start(store=world.store).execute()
    before = world.store.checkpoint("pipeline")
    assert before is not None
    world.steps.since()
    assert retry(pipes(), world.store.letters(), world.store).execute().error is None
    assert not [step for step in world.steps if step.startswith("file")]
    assert [step for step in world.steps if "commit" in step][-2:] == [
        *[f"one commit {before.epoch + 1}", f"two commit {before.epoch + 1}"],
    ]
    assert (world["one"], world["two"]) == ([1, 2], [1, 2])
    run = pipes().start(store=world.store)
    run.execute()
    assert (run.error, run.warnings) == (None, [])


def test_a_mended_record_is_counted_where_it_went_and_no_more_where_it_failed(
    world: World,
) -> None:
    live(world, File(world, "file"), refused=[2])
    again(world, File(world, "file"))
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    counts = {
        name: {what: number for what, number in counts.items() if number}
        for name, counts in kept.counts.items()
    }
    through = {"received": 3, "sent": 3, "answered": 3}
    assert counts == {
        "source": {"sent": 3},
        "picky": through,
        "sums": through,
        "file": {"received": 3, "sent": 3},
    }


def test_a_retry_before_any_run_says_so(world: World) -> None:
    run = retry(pipeline(world, File(world, "file")), [], world.store)
    run.execute()
    assert isinstance(run.error, RunError)
    assert "no run has come as far as a checkpoint; run it first" in str(run.error)


# ---- which checkpoint counts --------------------------------------------------------------------


def test_a_run_that_begins_after_tables_were_put_back_begins_them_together(world: World) -> None:
    live(world, *lineages(world), dies="one prepare 2")
    older = world.checkpoints["two"]
    live(world, *lineages(world))
    world.checkpoints["two"] = older
    run = live(world, *lineages(world))
    assert run.error is None
    assert run.delivery.start.epoch == 2
    assert world["two"] == [1, 2, 3, 1, 2, 3]


def test_what_is_in_doubt_is_not_taken_from_another_history(world: World) -> None:
    """The table that is behind has an epoch of that number, which is not that epoch."""
    live(world, *lineages(world), dies="two commit 1")
    world.checkpoints["two"] = Checkpoint("pipeline", "of another day", 1)
    run = live(world, *lineages(world))
    assert "do not agree on what was committed" in str(run.error)
    assert world["two"] == []


def test_a_table_that_is_alone_now_goes_on_from_what_it_has(world: World) -> None:
    live(world, *lineages(world), dies="two commit 2")
    world.steps.since()
    two = Lineage(world, "two")
    world.checkpoints["two"] = replace(world.checkpoints["two"])
    live(world, two)
    assert world.steps[:2] == ["two prepare 2", "snapshot"]
    assert world["two"] == [1, 2, 3]


def test_tables_that_know_nothing_are_filled_anew_and_numbers_go_on(world: World) -> None:
    live(world, *lineages(world), dies="one prepare 2")
    world.checkpoints.clear()
    world.rows.clear()
    run = live(world, *lineages(world))
    assert run.warnings == ["lineage and lineage2 know nothing of the run before; starting over"]
    assert (run.delivery.start.epoch, run.delivery.resumed) == (1, False)
    assert world["one"] == world["two"] == [1, 2, 3]


def test_a_table_that_was_lost_after_a_run_that_ended_is_no_matter(world: World) -> None:
    live(world, Lineage(world, "one"))
    world.checkpoints.clear()
    run = live(world, Lineage(world, "one"))
    assert run.warnings == []
    assert run.delivery.start.epoch == 2


def by_hand(world: World, epoch: int, positions: Mapping[str, int]) -> None:
    """What a person puts into the store, under a lease of its own."""
    kept = world.store.checkpoint("pipeline")
    assert kept is not None
    generation = world.store.lease("pipeline", "a person", 0.0, 1.0, lambda _: False)
    chosen = replace(kept, epoch=epoch, positions=positions, ordinals=positions, by_hand=True)
    world.store.save(replace(chosen, generation=generation))
    world.let_go()


@pytest.mark.parametrize("table", ["committed", "lost"])
def test_what_a_person_put_into_the_store_outweighs_a_table(world: World, table: str) -> None:
    live(world, Lineage(world, "one"), dies="one prepare 2")
    by_hand(world, 1, {})
    if table == "lost":
        world.checkpoints.clear()
    run = live(world, Lineage(world, "one"))
    assert run.error is None
    assert run.delivery.resumed
    assert run.delivery.start.epoch == 1
    assert world["one"] == [1, 2, 1, 2, 3]


def test_a_table_that_has_committed_since_outweighs_what_a_person_chose(world: World) -> None:
    live(world, Lineage(world, "one"), dies="one prepare 2", values=(1, 2, 3, 4, 5))
    by_hand(world, 1, {})
    live(world, Lineage(world, "one"), dies="save 2", values=(1, 2, 3, 4, 5))
    assert world["one"] == [1, 2, 1, 2]
    live(world, Lineage(world, "one"), values=(1, 2, 3, 4, 5))
    assert world["one"] == [1, 2, 1, 2, 3, 4, 5]


def test_the_letters_that_a_table_has_closed_are_closed_before_anything_else(
    world: World,
) -> None:
    live(world, Lineage(world, "one"), refused=[2])
    again(world, Lineage(world, "one"), dies="save 3 ended without [2]")
    world.steps.since()
    live(world, Lineage(world, "one"))
    assert world.steps[0] == "save 3 ended without [2]"
    assert world.store.letters() == []
    assert world["one"] == [1, 3, 2]


def test_a_store_that_was_put_back_is_raised_above_what_a_table_has_seen(world: World) -> None:
    live(world, Lineage(world, "one"), dies="one prepare 2")
    older = copy.deepcopy(
        {name: value for name, value in vars(world.store).items() if isinstance(value, dict)}
    )
    live(world, Lineage(world, "one"), dies="one finish")
    vars(world.store).update(older)
    run = live(world, Lineage(world, "one"))
    assert run.error is None
    assert run.delivery.generation == 3  # the lease alone would have given the second once more
    assert world["one"] == [1, 2, 3]


def test_an_input_that_cannot_be_read_again_is_begun_anew_and_that_is_said(world: World) -> None:
    class Live(Source):
        capability = "ephemeral"

    for dies in ("file prepare 2", ""):
        source = Live(world.steps, 1, 2, 3)
        made = pipeline_of([[source, File(world, "file")]], Plugins(discover=False))
        made.spec.epoch = {"records": 2}
        run = made.start(store=world.store)
        world.steps.dies = dies
        try:
            run.execute()
        except Killed:
            world.let_go()
    assert run.warnings == ["live cannot be read again; the run starts over"]
    assert (world["file"], run.delivery.start.epoch) == ([1, 2, 3], 1)


def test_a_table_that_refuses_what_it_took_before_stops_the_run(world: World) -> None:
    """It may have changed while the run was dead. Nothing is given up: the spool stays."""
    live(world, *two_tables_and_a_file(world), dies="two commit 1")
    other = [Table(world, "one"), File(world, "file"), Table(world, "two", refuse=[1])]
    run = live(world, *other)
    assert str(run.error) == (
        "table2 at source:1: refuses a record that it took before: refused; "
        "make it take the record, or start over with --fresh"
    )
    live(world, *two_tables_and_a_file(world))
    assert world["two"] == world["one"]


def test_several_tables_agree_only_with_a_folder_to_agree_in(world: World) -> None:
    world.store.folder = None  # type: ignore[assignment]
    run = live(world, Table(world, "one"), Table(world, "two"))
    assert str(run.error) == (
        "pipeline: several transactional outputs need a state folder to agree; "
        "give the run a store with a folder"
    )
    assert world.rows == {}


def test_a_retry_says_when_its_table_knows_nothing_of_the_run_before(world: World) -> None:
    """It was dropped while the run that the retry goes on from was dead."""
    live(world, Table(world, "one"), dies="save 2 ended", refused=[2])
    world.checkpoints.clear()
    run = retry(pipeline(world, Table(world, "one")), world.store.letters(), world.store)
    run.execute()
    assert "table knows nothing of the run before; starting over" in run.warnings
