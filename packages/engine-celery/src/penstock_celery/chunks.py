"""A chunk is a run of its own: the same graph over a part of one input, under the chunk's name.

So everything that holds for runs holds for chunks. Its checkpoint is committed by the output that
takes the records, in the same transaction where the output has one, under the generation of the
chunk; whoever is given the chunk again finds there how far it came.
"""

from __future__ import annotations

import logging
import random
import time
from threading import Event, Thread
from typing import Any, cast

import sqlalchemy as sa

from penstock import FencedError, Input, PenstockError, Pipeline, Report
from penstock.engines.inline import InlineEngine
from penstock.failures import describe
from penstock.graph import Graph
from penstock.runs import EpochLimits, Run
from penstock.steps import pause
from penstock.supervise import RESTARTS, passing

from .ledger import Chunk, Ledger
from .parts import Nothing, Part, part_of
from .store import ChunkStore

__all__ = ["do_chunk", "logger"]

logger = logging.getLogger("penstock.celery")

_DONE = ("ok", "letters")


def do_chunk(pipeline: Pipeline, ledger: Ledger, run_name: str, number: int, lease: float) -> str:
    """Take a chunk and run it; in a word, what came of it: "done", "again", "failed", "lost" to
    another worker, or "idle" when there was nothing to do."""
    chunk = ledger.take(run_name, number, lease)
    if chunk is None:
        return "idle"
    if chunk.run.config_hash != pipeline.config_hash:
        # Not given back to the next ring at once: that would ring for ever where no worker fits.
        ledger.give_back(chunk, time.time() + lease, "a worker has another pipeline of this name")
        logger.warning(
            "%s: the pipeline is not the one here; give the workers the same file", chunk.name
        )
        return "again"
    with _Heartbeat(ledger, chunk, lease):
        return _run(pipeline, ledger, chunk)


def _run(pipeline: Pipeline, ledger: Ledger, chunk: Chunk) -> str:
    there = ledger.checkpoint(chunk)
    if there is not None and there.finished:  # whoever did it died before it could say so
        ledger.finish(chunk, None)
        return "done"
    store = ChunkStore(ledger, chunk)
    run = _run_of(pipeline, chunk, store)
    report = run.execute()
    try:
        return _outcome(ledger, chunk, store, run, report)
    except FencedError:
        return "lost"


def _outcome(ledger: Ledger, chunk: Chunk, store: ChunkStore, run: Run, report: Report) -> str:
    if run.error is None and report.status in _DONE:
        ledger.finish(chunk, report.to_dict())
        return "done"
    if isinstance(run.error, FencedError):
        return "lost"
    attempts = ledger.attempts(chunk)
    error = cast(Exception, run.error)  # nobody stops the run of a chunk
    what = describe(error)
    if attempts <= RESTARTS and passing(error, store, progressed=run.epochs > 0):
        delay = pause(attempts, 1.0, random.Random().random)
        ledger.give_back(chunk, time.time() + delay, what)
        logger.warning("%s: %s; again in %.1f s", chunk.name, what, delay)
        return "again"
    ledger.fail(chunk, what, getattr(error, "exit_code", 1))
    logger.error("%s: %s", chunk.name, what)
    return "failed"


def _run_of(pipeline: Pipeline, chunk: Chunk, store: ChunkStore) -> Run:
    epoch = pipeline.spec.epoch
    return Run(
        _graph(pipeline, chunk),
        InlineEngine(),
        pipeline=chunk.name,
        store=store,
        hooks=pipeline.plugins.hooks,
        limits=EpochLimits(**epoch) if epoch else EpochLimits(),
        run_id=chunk.name,
        engine_name="celery",
        config_hash=pipeline.config_hash,
    )


def _graph(pipeline: Pipeline, chunk: Chunk) -> Graph:
    """The pipeline's graph, in which only the chunk's part is read."""
    graph = pipeline.graph()
    for node in graph.of_role("input"):
        whole = cast(Input, node.component)
        mine = node.name == chunk.input
        node.component = Part(part_of(whole, chunk.part), chunk.number) if mine else Nothing()
    return graph


class _Heartbeat:
    """While entered, a thread renews the lease of a chunk."""

    def __init__(self, ledger: Ledger, chunk: Chunk, lease: float) -> None:
        self.ledger, self.chunk, self.lease = ledger, chunk, lease
        self._over = Event()
        self._thread = Thread(target=self._renew, name=f"lease of {chunk.name}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join(timeout=self.lease)

    def _renew(self) -> None:
        while not self._over.wait(self.lease / 3):
            try:
                self.ledger.renew(self.chunk, time.time() + self.lease)
            except FencedError:
                return  # the run finds out by itself when it next says something
            except (PenstockError, sa.exc.SQLAlchemyError) as error:
                # The next try may go well; when none does, the lease runs out, as it should.
                logger.warning("%s: its lease was not renewed: %s", self.chunk.name, error)
