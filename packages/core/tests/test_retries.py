"""Dead letters that are tried again: each result is written once, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from penstock import Batch, Checkpoint, Failure, MemoryStore, Output, RunError, Stage, Transformer
from penstock.build import Pipeline, pipeline_of
from penstock.components import TransactionalOutput
from penstock.plugins import Plugins
from penstock.retries import RetryRun, choose, complete, retry
from penstock.store import FencedError, encode_record
from penstock.testing import ListInput, ListOutput


class Killed(BaseException):
    """Stands for kill -9: no handler of the run may catch it."""


class World:
    """What survives, and what kills at the n-th durable step."""

    def __init__(self) -> None:
        self.parts: dict[str, list[Any]] = {}
        self.files: dict[str, list[Any]] = {}
        self.rows: dict[str, list[Any]] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.steps, self.last = 0, 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.last:
            raise Killed


class FileOutput(Output):
    """Rewindable: a part is put into place at the end; what is complete is copied to add to it."""

    delivery = "rewindable"

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name

    def resume(self, mark: Any, epoch: int) -> None:
        parts = self.world.parts
        if mark is None:
            parts[self.name] = []
        elif self.name not in parts:
            parts[self.name] = list(self.world.files[self.name])
        del parts[self.name][mark or 0 :]

    def reopen(self, mark: Any, epoch: int) -> None:
        self.world.parts[self.name] = self.world.files[self.name][:mark]

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        for record in batch.records:
            self.world.step()
            self.world.parts[self.name].append(record)
        return None

    def prepare(self, epoch: int) -> Any:
        self.world.step()
        return len(self.world.parts[self.name])

    def finish(self) -> None:
        self.world.step()
        self.world.files[self.name] = self.world.parts.pop(self.name)
        self.world.step()

    def content(self) -> list[Any]:
        return self.world.files.get(self.name, [])


class TableOutput(TransactionalOutput):
    """Transactional: rows and checkpoint become visible together; nothing is keyed."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.open_rows: list[Any] = []

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return self.world.checkpoints.get(self.name)

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        self.open_rows.extend(batch.records)
        return None

    def commit(self, checkpoint: Checkpoint) -> None:
        there = self.world.checkpoints.get(self.name)
        if there is not None and there.epoch != checkpoint.epoch - 1:
            raise FencedError(checkpoint.pipeline)
        self.world.step()
        self.world.rows.setdefault(self.name, []).extend(self.open_rows)
        self.world.checkpoints[self.name] = checkpoint
        self.open_rows = []
        self.world.step()

    def content(self) -> list[Any]:
        return self.world.rows.get(self.name, [])


class MortalStore(MemoryStore):
    """Dies before or after anything it keeps."""

    def __init__(self, world: World, folder: Any) -> None:
        super().__init__()
        self.world, self.folder = world, folder

    def save(self, checkpoint: Checkpoint, *more: Any, **named: Any) -> None:
        self.world.step()
        last, self.world.last = self.world.last, 0  # it is one step, inside which nobody dies
        super().save(checkpoint, *more, **named)
        self.world.last = last
        self.world.step()

    def keep(self, *more: Any) -> None:
        self.world.step()
        super().keep(*more)
        self.world.step()

    def put_intent(self, checkpoint: Checkpoint) -> None:
        self.world.step()
        super().put_intent(checkpoint)
        self.world.step()


class Picky(Transformer):
    """Refuses what ends in 7, and what ends in 3, until it is mended."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused

    def transform(self, record: int) -> int | None:
        if record % 10 in self.refused:
            raise ValueError(f"{record % 10}")
        return record if record % 5 else None


class Fussy(Transformer):
    """Refuses thirteen."""

    def __init__(self, refused: int | None = None) -> None:
        self.refused = refused

    def transform(self, record: int) -> int:
        if record == self.refused:
            raise ValueError("thirteen")
        return record * 100


class Pairs(Stage):
    """Holds every other record."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def process(self, batch: Batch) -> Iterable[Batch]:
        out, ordinals = [], []
        for record, ordinal in zip(batch.records, batch.ordinals, strict=True):
            self.held.append(record)
            if len(self.held) == 2:
                out.append(list(self.held))
                ordinals.append(ordinal)
                self.held.clear()
        yield Batch(out, batch.source, ordinals, consumed=2 * len(out), dropped=0)

    def finish(self) -> Iterable[Batch]:
        if self.held:
            yield Batch([list(self.held)], "pairs", [0], consumed=1, dropped=0)
            self.held = []

    def snapshot(self) -> Any:
        return {"held": list(self.held)} if self.held else None

    def restore(self, state: Any) -> None:
        self.held = list(state["held"])


KINDS: dict[str, list[type[FileOutput] | type[TableOutput]]] = {
    "a file": [FileOutput],
    "a table": [TableOutput],
    "a table and a file": [TableOutput, FileOutput],
    "two tables": [TableOutput, TableOutput],
    "two tables and a file": [TableOutput, FileOutput, TableOutput],
}
RECORDS = list(range(1, 31))
WHOLE = sorted(n * 100 for n in RECORDS if n % 5)


def made(outputs: Sequence[Output], *refused: int, fussy: int | None = None) -> Pipeline:
    stages = [Picky(*refused), Fussy(fussy)]
    pipes = [
        [ListInput(values=RECORDS, batch_size=4), *stages, outputs[0]],
        *[[stages[-1], output] for output in outputs[1:]],
    ]
    pipeline = pipeline_of(pipes, Plugins(discover=False))
    pipeline.spec.epoch = {"records": 8}
    return pipeline


def begun(world: World, kinds: Any) -> list[Any]:
    return [kind(world, f"out{n}") for n, kind in enumerate(kinds)]


def tried(pipeline: Pipeline, store: MemoryStore) -> RetryRun:
    """Try every open letter; a run that fate ends leaves the lease of a dead process."""
    graph = pipeline.graph()
    chosen = choose(store.letters(), graph, store.checkpoint("pipeline"))
    run = retry(pipeline, chosen.letters, store, graph=graph)
    try:
        report = run.execute()
        assert run.error is None, report.error
    except Killed:
        pass
    store._leases = {name: ("", g, 0.0) for name, (_, g, _) in store._leases.items()}
    return run


@pytest.mark.parametrize("kinds", KINDS.values(), ids=list(KINDS))
def test_a_retry_that_dies_at_any_step_and_is_repeated_writes_every_record_once(
    kinds: Any, tmp_path: Any
) -> None:
    steps = 1
    number = 0
    while number < steps:
        world = World()
        store = MortalStore(world, tmp_path)
        outputs = begun(world, kinds)
        made(outputs, 3, 7).start(store=store).execute()
        assert len(store.letters()) == 6

        # One of them fails again, further on; then nothing is wrong any more.
        world.steps, world.last = 0, number
        tried(made(begun(world, kinds), fussy=13), store)
        if number == 0:
            [left] = store.letters()
            assert (left.ordinal, left.node) == (13, "fussy")
            steps = world.steps + 1
        world.last = 0
        for _ in range(2):  # what died after its commit shows what it left open only afterwards
            tried(made(begun(world, kinds)), store)

        assert store.letters() == []
        for output in outputs:
            assert sorted(output.content()) == WHOLE, f"killed at step {number}"
        number += 1
    assert number > 5


@pytest.mark.parametrize("kinds", KINDS.values(), ids=list(KINDS))
def test_a_plain_run_after_a_retry_that_died_completes_the_outputs(
    kinds: Any, tmp_path: Any
) -> None:
    world = World()
    store = MortalStore(world, tmp_path)
    outputs = begun(world, kinds)
    made(outputs, 3, 7).start(store=store).execute()
    world.steps, world.last = 0, 10
    tried(made(begun(world, kinds)), store)
    world.last = 0
    checkpoint = store.checkpoint("pipeline")
    assert checkpoint is not None
    if not checkpoint.finished:
        run = made(begun(world, kinds)).start(store=store)
        assert run.execute().error is None
    tried(made(begun(world, kinds)), store)
    assert [sorted(output.content()) for output in outputs] == [WHOLE] * len(kinds)


def test_a_retry_while_a_run_is_cut_off_leaves_its_place_and_what_its_stages_hold(
    tmp_path: Any,
) -> None:
    def pipeline(world: World, refused: Sequence[int]) -> tuple[Pipeline, FileOutput]:
        out = FileOutput(world, "out")
        made = pipeline_of(
            [[ListInput(values=RECORDS, batch_size=4), Picky(*refused), Pairs(), out]],
            Plugins(discover=False),
        )
        made.spec.epoch = {"records": 8}
        return made, out

    world, store = World(), MemoryStore()
    first, _ = pipeline(world, [3, 7])
    first.start(store=store, max_records=16).execute()
    before = store.checkpoint("pipeline")
    assert before is not None
    assert not before.ended

    again, _ = pipeline(world, [])
    run = tried(again, store)
    assert run.mended == 3
    after = store.checkpoint("pipeline")
    assert after is not None
    assert (after.positions, after.ordinals) == (before.positions, before.ordinals)
    assert not after.ended

    last, out = pipeline(world, [])
    report = last.start(store=store).execute()
    assert report.error is None
    assert report.balance.holds
    assert report.letters == 0
    flat = sorted(n for pair in out.content() for n in pair)
    assert flat == [n for n in RECORDS if n % 5]


def test_letters_that_a_resumed_run_reads_again_are_left_to_it() -> None:
    store = MemoryStore()
    pipeline = made([ListOutput()], 3)
    pipeline.start(store=store, max_records=8).execute()
    [letter] = store.letters()
    later = replace(letter, ordinal=13)
    chosen = choose([letter, later], pipeline.graph(), store.checkpoint("pipeline"))
    assert chosen.letters == [letter]
    assert chosen.left == [(later, "is read again when the run that was cut off is resumed")]


def failed(**changes: Any) -> tuple[Pipeline, MemoryStore, Any]:
    store = MemoryStore()
    pipeline = made([TableOutput(World(), "out")], 3, 7)
    pipeline.start(store=store).execute()
    return pipeline, store, replace(store.letters()[0], **changes)


def test_a_letter_that_fails_again_stays_open_with_one_more_attempt() -> None:
    pipeline, store, letter = failed()
    run = retry(pipeline, [letter], store)
    report = run.execute()
    assert (report.status, report.letters, run.mended) == ("letters", 1, 0)
    assert store.letters()[0] == replace(letter, attempts=2, run_id=run.run_id, last=ANY)
    assert len(store.letters()) == 6


class _Any:
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


ANY: Any = _Any()


def test_many_letters_that_all_fail_again_do_not_stop_the_run() -> None:
    store = MemoryStore()
    values = list(range(3, 20_000, 10))
    rest = [n for n in range(1, 40_000) if n % 10 not in (3, 7, 0, 5)]
    out = TableOutput(World(), "out")
    pipes = [[ListInput(values=[*rest, *values]), Picky(3), out]]
    pipeline = pipeline_of(pipes, Plugins(discover=False))
    pipeline.start(store=store).execute()
    letters = store.letters()
    assert len(letters) == len(values)
    assert retry(pipeline, letters, store).execute().letters == len(values)


@pytest.mark.parametrize(
    ("changes", "mended", "why"),
    [
        ({"node": "gone"}, None, "the pipeline has no node 'gone' any more; run it again"),
        ({"attempts": 10}, None, "has failed 10 times; --max-attempts 11 tries on"),
        (
            {"node": "list"},
            None,
            "could not be read; mend it with --edit, or mend the source and run again",
        ),
        (
            {"record": '{"$repr": "<object>"}'},
            None,
            "could be kept only as text; mend it with --edit, or run again",
        ),
        ({"record": '{"$repr": "<object>"}'}, "11", ""),
        ({"node": "list"}, "11", ""),
    ],
)
def test_letters_that_cannot_be_tried_are_left_with_the_reason(
    changes: Any, mended: str | None, why: str
) -> None:
    pipeline, store, letter = failed(**changes)
    given = {letter.identity: mended} if mended else {}
    chosen = choose([letter], pipeline.graph(), store.checkpoint("pipeline"), mended=given)
    assert [reason for _, reason in chosen.left] == ([why] if why else [])
    assert len(chosen.letters) == (not why)


def test_a_record_mended_by_hand_goes_on_after_the_input_that_could_not_read_it() -> None:
    pipeline, store, letter = failed(node="list", record='"1x"')
    store.keep("pipeline", store.lease("pipeline", "me", 0.0, 0.0, lambda _: False), [letter])
    chosen = choose(
        [letter],
        pipeline.graph(),
        store.checkpoint("pipeline"),
        mended={letter.identity: encode_record(11)},
    )
    out: Any = pipeline.made["table"].component()
    before = list(out.content())
    retry(pipeline, chosen.letters, store).execute()
    assert out.content() == [*before, 1100]
    assert letter.identity not in {one.identity for one in store.letters()}


def test_what_a_stage_had_kept_is_there_again() -> None:
    class Once(Transformer):
        """Drops what it has seen."""

        def __init__(self) -> None:
            self.seen: list[int] = []

        def transform(self, record: int) -> int | None:
            if record % 10 in self.seen:
                return None
            self.seen.append(record % 10)
            return record

        def snapshot(self) -> Any:
            return self.seen

        def restore(self, state: Any) -> None:
            self.seen = list(state)

    world, store = World(), MemoryStore()

    def pipeline(*refused: int) -> Pipeline:
        out = TableOutput(world, "out")
        return pipeline_of(
            [[ListInput(values=[1, 3, 2]), Picky(*refused), Once(), out]],
            Plugins(discover=False),
        )

    pipeline(3).start(store=store).execute()
    letter = replace(store.letters()[0], record="12")
    report = retry(pipeline(), [letter], store).execute()
    assert world.rows["out"] == [1, 2]
    assert report.warnings == [
        "once keeps something between records, and has given its results: it sees the retried "
        "records after all others"
    ]


def test_an_output_that_cannot_be_added_to_says_so_and_keeps_what_it_has() -> None:
    class Whole(ListOutput):
        reopen = Output.reopen

    store = MemoryStore()
    pipeline = made([Whole()], 3)
    pipeline.start(store=store).execute()
    run = retry(pipeline, store.letters(), store)
    run.execute()
    assert str(run.error) == (
        "whole: nothing can be added to what a finished run has written; run the pipeline again"
    )
    assert len(store.letters()) == 3


def test_before_the_first_checkpoint_there_is_nothing_to_add_to() -> None:
    _, _, letter = failed()
    run = retry(made([ListOutput()]), [letter], MemoryStore())
    run.execute()
    assert isinstance(run.error, RunError)
    assert str(run.error) == ("pipeline: no run has come as far as a checkpoint; run it first")


@pytest.mark.parametrize(
    ("ordinal", "ended", "left"), [(8, False, False), (9, False, True), (9, True, False)]
)
def test_only_what_a_resumed_run_has_not_come_to_is_left_to_it(
    ordinal: int, ended: bool, left: bool
) -> None:
    pipeline, _, letter = failed(ordinal=ordinal)
    cut_off = Checkpoint("pipeline", "r", 2, ordinals={"list": 8, "other": 1}, ended=ended)
    chosen = choose([letter], pipeline.graph(), cut_off)
    assert [bool(why) for _, why in chosen.left] == [True] * left
    without = replace(letter, source="never read")
    assert choose([without], pipeline.graph(), cut_off).letters == [without]
    assert choose([letter], pipeline.graph(), None).letters == [letter]


def test_a_run_that_died_while_its_outputs_were_completed_is_completed_first() -> None:
    store, world = MemoryStore(), World()
    out = FileOutput(world, "out")
    pipeline = made([out], 3)
    assert complete(pipeline, store) is None
    assert not world.parts  # there was no run
    world.last = 10**9
    pipeline.start(store=store, max_records=8).execute()
    steps = world.steps
    assert complete(pipeline, store) is None
    assert world.steps == steps  # it was cut off in the middle: that is for the next run
    pipeline.start(store=store).execute()
    steps = world.steps
    assert complete(pipeline, store) is None
    assert world.steps == steps  # nothing is left to do

    ended = store.checkpoint("pipeline")
    assert ended is not None
    generation = store.lease("pipeline", "me", 0.0, 0.0, lambda _: False)
    store.save(replace(ended, finished=False, generation=generation))
    store.release("pipeline", generation)
    assert complete(pipeline, store) is None
    again = store.checkpoint("pipeline")
    assert again is not None
    assert (again.ended, again.finished) == (True, True)


def test_what_goes_wrong_when_outputs_are_completed_is_returned() -> None:
    class Broken(FileOutput):
        def finish(self) -> None:
            raise OSError("no room")

    store, world = MemoryStore(), World()
    made([Broken(world, "out")], 3).start(store=store).execute()
    error = complete(made([Broken(world, "out")], 3), store)
    assert str(error) == "broken: OSError: no room"


def test_letters_enter_by_inputs_that_are_named_after_their_node() -> None:
    pipeline, store, letter = failed()
    run = retry(pipeline, [letter, replace(letter, node="fussy")], store)
    assert [node.name for node in run.inputs] == ["letters of picky", "letters of fussy"]


def test_of_two_results_of_one_record_the_one_that_is_not_tried_stays() -> None:
    pipeline, store, letter = failed()
    other = replace(letter, part=1, record="13")
    generation = store.lease("pipeline", "me", 0.0, 0.0, lambda _: False)
    store.keep("pipeline", generation, [other])
    store.release("pipeline", generation)
    retry(pipeline, [other], store).execute()
    kept = [(one.part, one.record, one.attempts) for one in store.letters()[:2]]
    assert kept == [(0, letter.record, 1), (1, "13", 2)]


def with_pairs(world: World, *refused: int) -> Pipeline:
    stages = [Picky(*refused), Pairs()]
    pipes = [[ListInput(values=[1, 2, 3, 4]), *stages, TableOutput(world, "out")]]
    return pipeline_of(pipes, Plugins(discover=False))


def test_stages_give_up_what_they_hold_when_letters_of_a_whole_run_are_tried() -> None:
    store, world = MemoryStore(), World()
    with_pairs(world, 3).start(store=store).execute()
    assert world.rows["out"] == [[1, 2], [4]]
    run = retry(with_pairs(world), store.letters(), store)
    assert run.execute().error is None
    assert world.rows["out"] == [[1, 2], [4], [3]]
    assert run.mended == 1


def test_a_stage_that_loses_a_letter_is_found_out() -> None:
    class Loses(Stage):
        def process(self, batch: Batch) -> Iterable[Batch]:
            yield Batch([], batch.source, [], consumed=0)

    store, world = MemoryStore(), World()
    with_pairs(world, 3).start(store=store).execute()
    pipes = [[ListInput(values=[]), Picky(), Loses(), TableOutput(world, "out")]]
    run = retry(pipeline_of(pipes, Plugins(discover=False)), store.letters(), store)
    run.execute()
    assert "records were lost or made up: loses received 1 and answered for 0" in str(run.error)
    assert len(store.letters()) == 1


def counted(store: MemoryStore) -> dict[str, dict[str, int]]:
    kept = store.checkpoint("pipeline")
    assert kept is not None
    return {
        name: {what: number for what, number in counts.items() if number}
        for name, counts in kept.counts.items()
    }


def test_a_letter_of_an_earlier_run_is_one_record_more() -> None:
    _, store, letter = failed(last=0.0)
    before = counted(store)
    retry(made([TableOutput(World(), "out")]), [letter], store).execute()
    after = counted(store)
    assert before["picky"] == {
        "received": 30,
        "sent": 18,
        "answered": 30,
        "filtered": 6,
        "failed": 6,
        "dead": 6,
    }
    assert after["picky"] == before["picky"] | {"sent": 19, "added": 1}
    assert after["table"] == {"received": 19, "sent": 19}


def test_a_record_that_its_input_could_not_read_is_counted_as_passed_on() -> None:
    _, store, letter = failed(node="list", record="11", last=0.0)
    generation = store.lease("pipeline", "me", 0.0, 0.0, lambda _: False)
    store.keep("pipeline", generation, [letter])
    store.release("pipeline", generation)
    retry(made([TableOutput(World(), "out")]), [letter], store).execute()
    assert counted(store)["list"] == {"sent": 31}
