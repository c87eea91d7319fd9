"""Stores, engines, schedulers, dialects, syntaxes, commands and brokers that each break one rule."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from penstock import (
    Batch,
    Checkpoint,
    DeadLetter,
    Document,
    Input,
    MemoryStore,
    Output,
    PipelineSpec,
    Tick,
    component,
    option,
)
from penstock.native import NativeDialect
from penstock.syntaxes.json import JsonSyntax
from penstock_testkit import MemoryBroker

# ---- stores -------------------------------------------------------------------------------------


class GivesAwayLeases(MemoryStore):
    breaks = "a_lease_is_held_by_one"

    def lease(self, pipeline: str, holder: str, now: float, until: float, alive: Any) -> int:
        return super().lease(pipeline, holder, now, until, lambda _: False)


class LetsOthersGiveBack(MemoryStore):
    breaks = "a_lease_is_renewed_and_given_back"

    def release(self, pipeline: str, generation: int) -> None:
        super().release(pipeline, self._leases[pipeline][1])


class NeverFences(MemoryStore):
    breaks = "an_outrun_generation_is_refused"

    def _fence(self, pipeline: str, generation: int) -> None:
        pass


class StaysBelow(MemoryStore):
    breaks = "a_generation_can_be_raised_above_another"

    def outrank(self, pipeline: str, generation: int, other: int) -> int:
        return super().outrank(pipeline, generation, 0)


class MixesPipelines(MemoryStore):
    breaks = "a_checkpoint_comes_back"

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        return next(iter(self._checkpoints.values()), None)


class KeepsWhatCameAfter(MemoryStore):
    breaks = "the_last_checkpoints_are_kept"

    def forget_after(self, pipeline: str, generation: int, epoch: int) -> None:
        self._fence(pipeline, generation)


class KeepsAnsweredLetters(MemoryStore):
    breaks = "a_checkpoint_is_kept_with_its_letters_and_keys"

    def save(self, checkpoint: Any, letters: Any = (), keys: Any = (), closed: Any = ()) -> None:
        super().save(checkpoint, letters, keys)


class KeepsAttempts(MemoryStore):
    breaks = "a_checkpoint_ends_intents_and_attempts"

    def save(self, checkpoint: Any, letters: Any = (), keys: Any = (), closed: Any = ()) -> None:
        kept = dict(self._attempts)
        super().save(checkpoint, letters, keys, closed)
        self._attempts = kept


class ForgetsLetters(MemoryStore):
    breaks = "a_pipeline_can_be_forgotten"

    def forget(self, pipeline: str, generation: int) -> None:
        super().forget(pipeline, generation)
        self._letters.clear()


class ForgetsTheFirstTime(MemoryStore):
    breaks = "a_letter_is_kept_once"

    def keep(self, pipeline: str, generation: int, letters: Any = (), keys: Any = ()) -> None:
        super().drop_letters(letters)
        super().keep(pipeline, generation, letters, keys)


class MixesRuns(MemoryStore):
    breaks = "letters_come_back_by_pipeline_and_run"

    def letters(self, pipeline: str | None = None, run_id: str | None = None) -> list[DeadLetter]:
        return super().letters(pipeline)


class KeepsPlainText(MemoryStore):
    breaks = "any_record_comes_back_from_a_letter"

    def keep(self, pipeline: str, generation: int, letters: Any = (), keys: Any = ()) -> None:
        short = [replace(one, record=one.record[:12]) for one in letters]
        super().keep(pipeline, generation, short, keys)


class SettlesAll(MemoryStore):
    breaks = "letters_can_be_dropped_and_settled"

    def settle_letters(self, pipeline: str, before: float, sources: Iterable[str]) -> int:
        return super().settle_letters(pipeline, 1e12, sources)


class OldestFirst(MemoryStore):
    breaks = "reports_are_kept_newest_first"

    def reports(self, pipeline: str | None = None, limit: int = 20) -> list[dict[str, Any]]:
        return super().reports(pipeline, limit)[::-1]


class IsForgotten(MemoryStore):
    breaks = "it_outlives_its_process"


STORES = [cls for cls in vars().copy().values() if hasattr(cls, "breaks")]

# ---- engines ------------------------------------------------------------------------------------


class Inline:
    def execute(self, run: Any) -> None:
        run.drive(run.turns(), lambda node, batch: self.push(run, node, batch), lambda: None)

    def push(self, run: Any, node: Any, batch: Batch) -> None:
        run.push(node, batch)


class LosesABatch(Inline):
    breaks = "the_result_is_that_of_every_engine"

    def push(self, run: Any, node: Any, batch: Batch) -> None:
        if 198 not in batch.records:
            super().push(run, node, batch)


class InTwoThreads(Inline):
    breaks = "a_component_is_called_from_one_thread_at_a_time"

    def execute(self, run: Any) -> None:
        if len(run.inputs) < 2:
            super().execute(run)
            return
        started: list[threading.Thread] = []

        def push(node: Any, batch: Batch) -> None:
            started.append(threading.Thread(target=run.push, args=(node, batch)))
            started[-1].start()

        run.drive(run.turns(), push, lambda: [one.join() for one in started])


class ClosesToo(Inline):
    breaks = "every_component_is_closed_once"

    def execute(self, run: Any) -> None:
        super().execute(run)
        for node in run.nodes.values():
            node.component.close()


class Swallows(Inline):
    breaks = "what_breaks_ends_the_run_by_name"

    def push(self, run: Any, node: Any, batch: Batch) -> None:
        try:
            super().push(run, node, batch)
        except Exception:
            return


class DropsWhenStopped(Inline):
    breaks = "a_run_that_is_stopped_is_drained"

    def push(self, run: Any, node: Any, batch: Batch) -> None:
        if (len(batch) and batch.records[0] % 10) or "endless" not in batch.source:
            super().push(run, node, batch)


class EndsWhenNothingIsReady(Inline):
    breaks = "it_waits_for_what_is_not_ready"
    also = {"a_run_that_is_stopped_is_drained"}

    def execute(self, run: Any) -> None:
        def batches() -> Iterator[Any]:
            for name, batch in run.turns():
                if batch is None:
                    return
                yield name, batch

        run.drive(batches(), run.push, lambda: None)


ENGINES = [cls for cls in vars().copy().values() if hasattr(cls, "breaks") and cls not in STORES]

# ---- schedulers ---------------------------------------------------------------------------------


class FromZero:
    breaks = "ticks_are_numbered_from_one"

    def ticks(self, clock: Any) -> Iterator[Tick]:
        for number in range(3):
            yield Tick(number, clock.now())


class TooEarly:
    breaks = "a_tick_comes_when_it_is_due"

    def ticks(self, clock: Any) -> Iterator[Tick]:
        for number in range(1, 4):
            yield Tick(number, clock.now() + 60 * number)


class GoesOn:
    breaks = "asked_again_it_begins_anew"

    def __init__(self) -> None:
        self.left = [3, 2]

    def ticks(self, clock: Any) -> Iterator[Tick]:
        for number in range(1, self.left.pop(0) + 1):
            yield Tick(number, clock.now())


SCHEDULERS = [FromZero, TooEarly, GoesOn]

# ---- dialects and syntaxes ----------------------------------------------------------------------


class RecognisesAll(NativeDialect):
    breaks = "it_recognises_its_own_and_nothing_else"

    def recognises(self, document: Document) -> bool:
        return True


class Consumes(NativeDialect):
    breaks = "it_leaves_the_document_as_it_is"

    def read(self, document: Document) -> PipelineSpec:
        spec = super().read(document)
        document.data.pop("pipes")
        return spec


class ReadsNothing(NativeDialect):
    breaks = "it_reads_pipelines"

    def read(self, document: Document) -> PipelineSpec:
        spec = super().read(document)
        spec.components.clear()
        return spec


class PassesOver(NativeDialect):
    breaks = "an_unknown_key_is_a_problem_and_no_exception"

    def read(self, document: Document) -> PipelineSpec:
        spec = super().read(document)
        document.problems.clear()
        return spec


DIALECTS = [RecognisesAll, Consumes, ReadsNothing, PassesOver]


class ReadsText(JsonSyntax):
    breaks = "values_come_back"

    def parse(self, text: str, name: str) -> Document:
        return super().parse(text.replace('"12"', "12"), name)


class KnowsNoPlaces(JsonSyntax):
    breaks = "every_key_has_its_place"

    def parse(self, text: str, name: str) -> Document:
        document = super().parse(text, name)
        return Document(document.data, {}, name)


class RaisesAnything(JsonSyntax):
    breaks = "broken_text_is_a_sentence_with_its_place"

    def parse(self, text: str, name: str) -> Document:
        import json

        json.loads(text)
        return super().parse(text, name)


SYNTAXES = [ReadsText, KnowsNoPlaces, RaisesAnything]

# ---- commands -----------------------------------------------------------------------------------


class Hello:
    HELP = "say hello"

    def arguments(self, parser: Any) -> None:
        parser.add_argument("name", help="to whom")
        parser.add_argument("--json", action="store_true", help="as JSON")

    def run(self, options: Any) -> Any:
        print('{"hello": "world"}' if options.json else "hello")
        return 0


class Shouts(Hello):
    breaks = "it_says_what_it_is_for"
    HELP = "Says hello."


class TakesWhatItDoesNotExplain(Hello):
    breaks = "every_argument_has_a_help"

    def arguments(self, parser: Any) -> None:
        super().arguments(parser)
        parser.add_argument("--loud", action="store_true")


class Leaves(Hello):
    breaks = "it_returns_its_exit_code"

    def run(self, options: Any) -> Any:
        super().run(options)
        if not options.json:
            raise SystemExit(0)


class ReturnsNothing(Hello):
    breaks = "it_returns_its_exit_code"

    def run(self, options: Any) -> Any:
        super().run(options)


class Chatters(Hello):
    breaks = "as_json_it_prints_nothing_else"

    def run(self, options: Any) -> Any:
        print("one moment")
        return super().run(options)


COMMANDS = [Shouts, TakesWhatItDoesNotExplain, Leaves, ReturnsNothing, Chatters]

# ---- brokers ------------------------------------------------------------------------------------


class _Wrapped(MemoryBroker):
    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        made = super().input(stream, group=group)
        return _Reading(self, made, stream, group or "")


class _Reading(Input):
    finite = False

    def __init__(self, broker: Any, inner: Any, stream: str, group: str) -> None:
        self.broker, self.inner, self.stream, self.group = broker, inner, stream, group

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        yield from self.broker.reading(self, positions)


class LosesTheEleventh(_Wrapped):
    breaks = "what_is_written_is_read"

    def reading(self, made: Any, positions: Any) -> Iterator[Any]:
        for batch in made.inner.read(positions):
            if batch is not None and len(batch) == 11:
                batch.records[10] = batch.records[9]
            yield batch


class OneStream(MemoryBroker):
    breaks = "streams_are_apart"

    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        return super().input("all", group=group)

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        return super().output("all")


class GroupsShare(_Wrapped):
    breaks = "every_group_reads_everything"

    def reading(self, made: Any, positions: Any) -> Iterator[Any]:
        given = self.__dict__.setdefault("given", {})
        for batch in made.inner.read(positions):
            if batch is not None and len(batch) == 7:
                if given.setdefault(made.stream, made.group) != made.group:
                    continue
            yield batch


class BeginsAgain(_Wrapped):
    breaks = "a_group_goes_on_after_what_it_has_committed"

    def reading(self, made: Any, positions: Any) -> Iterator[Any]:
        yield from made.inner.read({})


class GivesOnce(_Wrapped):
    breaks = "what_was_not_committed_comes_again"
    also = {"a_group_goes_on_after_what_it_has_committed"}

    def reading(self, made: Any, positions: Any) -> Iterator[Any]:
        given = self.__dict__.setdefault("given", set())
        for batch in made.inner.read(positions):
            if batch is not None:
                if (made.stream, made.group) in given:
                    batch = None
                given.add((made.stream, made.group))
            yield batch
        return


class LastWriterWins(MemoryBroker):
    breaks = "two_writers_of_a_stream_lose_nothing"

    def output(self, stream: str, *, codec: Any = None, **options: Any) -> Output:
        made: Any = super().output(stream)
        flush, seen = made.flush, list(made.stream)

        def overwrite() -> None:
            made.stream[:] = seen
            flush()

        made.flush = overwrite
        return _Kept(made)


class _Kept(Output):
    """What a copy shares, so that the changed method is the one that is called."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def write(self, batch: Batch) -> Any:
        return self.inner.write(batch)

    def flush(self) -> None:
        self.inner.flush()


class EndsWhenItIsEmpty(_Wrapped):
    breaks = "a_reader_waits_for_what_comes"

    def reading(self, made: Any, positions: Any) -> Iterator[Any]:
        for batch in made.inner.read(positions):
            if batch is None:
                return
            yield batch


class NotItsOptions(MemoryBroker):
    breaks = "constructors_only_keep_options"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "fails": 1}


@component
class Leaks(MemoryBroker):
    breaks = "secrets_are_shown_nowhere"
    token: str = option(help="Who we are.", default="", secret=True)

    def input(self, stream: str, *, group: str | None = None, codec: Any = None) -> Input:
        print("we are", self.token)
        return super().input(stream, group=group)


BROKERS = [
    LosesTheEleventh,
    OneStream,
    GroupsShare,
    BeginsAgain,
    GivesOnce,
    LastWriterWins,
    EndsWhenItIsEmpty,
    NotItsOptions,
    Leaks,
]
