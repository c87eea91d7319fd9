"""Try dead letters again: each re-enters the graph at the node where it failed.

A letter is closed in the commit that holds what became of its record, so that it cannot be written
twice. What the runs before have written is added to, and their positions stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from .batch import Batch
from .care import STAY
from .components import Input
from .delivery import Pending
from .errors import RunError
from .graph import Graph, Node
from .nodes import NodeRun
from .partitions import Partitioned
from .runs import Run
from .store import Checkpoint, DeadLetter, decode_record

if TYPE_CHECKING:
    from .build import Pipeline
    from .store import Store

__all__ = ["MAX_ATTEMPTS", "Chosen", "RetryRun", "choose", "complete", "retry"]

MAX_ATTEMPTS = 10
"""How often a record may have failed and still be tried again when nobody says otherwise."""

_BATCH = 512


@dataclass
class Chosen:
    """Letters to try again, and those that are left alone with the reasons."""

    letters: list[DeadLetter] = field(default_factory=list)
    left: list[tuple[DeadLetter, str]] = field(default_factory=list)


def choose(
    letters: Sequence[DeadLetter],
    graph: Graph,
    checkpoint: Checkpoint | None,
    *,
    mended: Mapping[tuple[str, str, int, str, int], str] | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> Chosen:
    """Sort out which letters can be tried again. `mended` holds new records by the letters'
    identity, in the JSON of `encode_record`."""
    mended = mended or {}
    chosen = Chosen()
    for letter in letters:
        record = mended.get(letter.identity)
        why = _obstacle(letter, graph, checkpoint, record, max_attempts)
        if why:
            chosen.left.append((letter, why))
        else:
            chosen.letters.append(letter if record is None else replace(letter, record=record))
    return chosen


def _obstacle(
    letter: DeadLetter,
    graph: Graph,
    checkpoint: Checkpoint | None,
    mended: str | None,
    max_attempts: int,
) -> str:
    node = graph.nodes.get(letter.node)
    if node is None:
        return f"the pipeline has no node {letter.node!r} any more; run it again"
    if letter.attempts >= max_attempts:
        return f"has failed {letter.attempts} times; --max-attempts {letter.attempts + 1} tries on"
    if node.role == "input" and mended is None:
        return "could not be read; mend it with --edit, or mend the source and run again"
    record = decode_record(mended or letter.record)
    if isinstance(record, dict) and record.keys() == {"$repr"}:
        return "could be kept only as text; mend it with --edit, or run again"
    if checkpoint is not None and not checkpoint.ended:
        done = checkpoint.ordinals.get(letter.source)
        if done is not None and letter.ordinal > done:
            return "is read again when the run that was cut off is resumed"
    return ""


def retry(
    pipeline: Pipeline,
    letters: Sequence[DeadLetter],
    store: Store,
    *,
    display: Any = None,
    graph: Graph | None = None,
) -> RetryRun:
    """A run that is ready to `execute` and tries these letters again, each once."""
    from .engines.inline import InlineEngine

    letters = list({letter.identity: letter for letter in letters}.values())

    return RetryRun(
        _entering(graph or pipeline.graph(), letters),
        InlineEngine(),
        letters=letters,
        pipeline=pipeline.name,
        store=store,
        hooks=pipeline.plugins.hooks,
        config_hash=pipeline.config_hash,
        display=display,
    )


def complete(pipeline: Pipeline, store: Store) -> Exception | None:
    """Do what is left of a run that died while its outputs were being completed: they can be added
    to only afterwards. What went wrong is returned."""
    checkpoint = store.checkpoint(pipeline.name)
    if checkpoint is None or not checkpoint.ended or checkpoint.finished:
        return None
    run = pipeline.start(store=store)
    run.execute()
    return run.error


class _Letters(Input):
    """Reads the letters of one node, as the records that entered it."""

    def __init__(self, letters: Sequence[DeadLetter]) -> None:
        self.letters = sorted(letters, key=lambda letter: letter.identity)
        self.given = 0

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        for source, group in groupby(self.letters, lambda letter: letter.source):
            letters = list(group)
            for first in range(0, len(letters), _BATCH):
                part = letters[first : first + _BATCH]
                records = [decode_record(letter.record) for letter in part]
                yield Batch(records, source, [letter.ordinal for letter in part], STAY)


def _entry(node: str) -> str:
    return f"letters of {node}"


def _entering(graph: Graph, letters: Sequence[DeadLetter]) -> Graph:
    """The part of a graph that the letters go through, fed by them."""
    by_node: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        by_node.setdefault(letter.node, []).append(letter)
    nodes: dict[str, Node] = {}
    edges: list[tuple[str, str]] = []
    for name, theirs in by_node.items():
        into = graph.successors[name] if graph.nodes[name].role == "input" else [name]
        nodes[_entry(name)] = Node(_entry(name), "input", _Letters(theirs), use="letters")
        edges.extend((_entry(name), successor) for successor in into)
        for successor in into:
            _follow(graph, successor, nodes, edges)
    for node in graph.of_role("output"):
        # Every one of them must see every epoch, or it would take the next run for another's.
        if getattr(node.component, "delivery", "") == "transactional":
            nodes.setdefault(node.name, node)
    return Graph(list(nodes.values()), list(dict.fromkeys(edges)))


def _follow(graph: Graph, name: str, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    if name in nodes:
        return
    nodes[name] = graph.nodes[name]
    for successor in graph.successors[name]:
        edges.append((name, successor))
        _follow(graph, successor, nodes, edges)


class RetryRun(Run):
    """A run whose records are dead letters. `mended` counts those that came through; the letters of
    its report are those that failed, again or further on."""

    def __init__(self, *given: Any, letters: Sequence[DeadLetter], **options: Any) -> None:
        super().__init__(*given, **options)
        self.failures.breaker = False
        self.mended = 0
        self._letters = list(letters)
        self._entered: list[DeadLetter] = []
        self._before = Checkpoint("", "", 0)
        self._counts: dict[str, dict[str, int]] = {}

    @property
    def _completes(self) -> bool:
        """Whether the run before had ended, so that the outputs are completed again; the run that
        goes on where one was cut off does that itself."""
        return self._before.ended

    # ---- what is different from a run that reads its inputs -------------------------------------

    def _attempt(self) -> None:
        """Nothing is noted: whoever tries a letter again sees what comes of it."""

    def _save_part(self) -> None:
        """Letters wait for the commit, which has to know which of them failed again."""

    def _recover(self) -> None:
        self._before = self.delivery.reenter()
        self._begun = self.clock.monotonic()
        self.epochs = self._before.epoch
        self.positions = dict(self._before.positions)
        self._counts = {name: dict(counts) for name, counts in self._before.counts.items()}
        self.warnings.extend(self.delivery.notes)
        self._refuse_moving()
        self._leave_closed()
        self._warn_of_held()
        if self._before.finished and self._cut_back():
            # Durably, before anything is added: what was complete is being written again.
            self.epochs += 1
            self._commit(complete=False)

    def _refuse_moving(self) -> None:
        """The partitions of these letters may be with others by now, and what belongs to them."""
        for node in self.stages:
            if self._before.tenures and isinstance(node.component, Partitioned):
                raise RunError(
                    "has a state that moves with its partition, and nobody knows who has it now",
                    where=node.name,
                    hint="export the letters, and write them to the stream again",
                )

    def _cut_back(self) -> bool:
        return any(node.component.delivery == "rewindable" for node in self.outputs)  # type: ignore[attr-defined]

    def _leave_closed(self) -> None:
        """A retry that died after its outputs had committed may have left letters that only now
        are known to be closed."""
        still_open = {letter.identity for letter in self.store.letters(self.pipeline)}
        for node in self.inputs:
            letters = cast(_Letters, node.component)
            letters.letters = [one for one in letters.letters if one.identity in still_open]
            still_open.difference_update(one.identity for one in letters.letters)
        self.failures.reserved = still_open

    def _warn_of_held(self) -> None:
        for node in self.stages:
            if self._completes and self._before.states.get(node.name) is not None:
                self.warnings.append(
                    f"{node.name} keeps something between records, and has given its results: it "
                    "sees the retried records after all others"
                )

    def _push_batch(self, node: NodeRun, batch: Batch, push: Any) -> None:
        letters = cast(_Letters, node.component)  # its records come in the order of its letters
        first, letters.given = letters.given, letters.given + len(batch.records)
        self._entered.extend(letters.letters[first : letters.given])
        super()._push_batch(node, batch, push)

    def _end(self, node: NodeRun, push: Any, settle: Any) -> None:
        if self._completes:
            super()._end(node, push, settle)
        else:
            node.ended = True  # stages go on holding what they hold

    def _check_balance(self) -> None:
        if self._completes:
            super()._check_balance()

    def _commit(self, *, complete: bool) -> Checkpoint:
        letters = self.failures.take()
        again = {letter.identity for letter in letters}
        entered, self._entered = self._entered, []
        closed = [letter for letter in entered if letter.identity not in again]
        self._recount(entered)
        checkpoint = replace(self._before, epoch=self.epochs, counts=self._summed(), finished=False)
        checkpoint = self.delivery.commit(
            checkpoint, Pending(letters, (), closed), complete=complete and self._completes
        )
        failed = {(letter.source, letter.ordinal) for letter in letters}
        self.mended += sum((letter.source, letter.ordinal) not in failed for letter in closed)
        return checkpoint

    # ---- counts ---------------------------------------------------------------------------------

    def _recount(self, entered: Sequence[DeadLetter]) -> None:
        """Take back how the run before counted these records: they are counted anew."""
        for letter in entered:
            counts = self._counts.setdefault(letter.node, {})
            if self.graph.nodes.get(letter.node) is None:  # an input: it only passes on, now
                _add(counts, sent=1)
            else:
                _add(counts, received=-1, answered=-1)
            if letter.last >= self._before.started:
                _add(counts, failed=-1, dead=-1)
            elif letter.node in self.graph.nodes:
                _add(counts, added=1)

    def _summed(self) -> dict[str, dict[str, int]]:
        summed = {name: dict(counts) for name, counts in self._counts.items()}
        for name, node in self.nodes.items():
            if name not in map(_entry, {letter.node for letter in self._letters}):
                _add(summed.setdefault(name, {}), **node.counts())
        return summed


def _add(counts: dict[str, int], **more: int) -> None:
    for name, number in more.items():
        counts[name] = counts.get(name, 0) + number
