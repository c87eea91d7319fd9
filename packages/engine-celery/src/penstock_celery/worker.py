"""The worker's side: a task for each pipeline, which refuses every message that is not a bell.

A message says nothing but which chunk is waiting. It names no file, no code and no data, and what
it says is looked up in the ledger; so whoever can write to the broker can at most ring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from celery import Celery
from celery.worker.strategy import default

from penstock import PenstockError, Pipeline, UsageError, load_pipeline
from penstock.failures import describe
from penstock.options import short

from .applications import application, task_name
from .chunks import do_chunk, logger
from .engine import CeleryEngine
from .ledger import Ledger

__all__ = ["LARGEST", "attentive", "engine_of", "make_worker", "register", "serve"]

LARGEST = 4096
"""Bytes in a message; a bell needs a tenth of it."""


def serve(app: Celery, *files: str | Path, settings: Iterable[str] = ()) -> None:
    """Let the workers of an application of yours run the chunks of these pipelines.

    Call it where the application is made. Each file must have the engine `celery` with `app`, so
    that whoever runs the pipeline rings at the same broker. `settings` are as for `load_pipeline`.
    """
    for file in files:
        register(app, load_pipeline(file, settings=settings))


def register(app: Celery, pipeline: Pipeline) -> None:
    """Add the task of one pipeline to an application."""
    engine = engine_of(pipeline)

    def chunk(*args: Any, **said: Any) -> str:
        wrong = _wrong(pipeline.name, args, said)
        if wrong is not None:
            logger.error("a message for %s is refused: %s", pipeline.name, wrong)
            return "refused"
        ledger = Ledger(engine.ledger)
        try:
            return do_chunk(pipeline, ledger, said["run"], said["chunk"], engine.lease)
        except (
            PenstockError
        ) as error:  # the ledger is away; the lease runs out and it is rung again
            logger.error("%s, chunk %s: %s", said["run"], said["chunk"], describe(error))
            return "again"
        finally:
            ledger.close()

    app.task(
        chunk,
        name=task_name(pipeline.name),
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        serializer="json",
        time_limit=engine.time_limit,
        shared=False,
        typing=False,  # what is wrong with a message is for `_wrong` to say
        Strategy=f"{__name__}:attentive",
    )


def engine_of(pipeline: Pipeline) -> CeleryEngine:
    """The engine of a pipeline that is run by Celery."""
    if not isinstance(pipeline.engine, CeleryEngine):
        raise UsageError(
            f"its engine is {pipeline.engine_name!r}, not 'celery'",
            where=pipeline.name,
            hint="write engine: {use: celery, …} into the file",
        )
    return pipeline.engine


def _wrong(pipeline: str, args: tuple[Any, ...], said: dict[str, Any]) -> str | None:
    """What is wrong with a message, if it is not a bell."""
    if args or set(said) != {"run", "chunk"}:
        return f"it must say run and chunk, and says {short(sorted(said) + list(args))}"
    run, number = said["run"], said["chunk"]
    if not (isinstance(run, str) and run.rpartition("@")[0] == pipeline and len(run) <= 200):
        return f"{short(run)} is no run of this pipeline"
    if not (isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31):
        return f"{short(number)} is no chunk"
    return None


def attentive(task: Any, app: Celery, consumer: Any, **options: Any) -> Callable[..., Any]:
    """How Celery hands messages of our tasks on: those of a wrong size or kind are not decoded."""
    handle = default(task, app, consumer, **options)

    def look(message: Any, body: Any, ack: Any, reject: Any, *more: Any, **others: Any) -> Any:
        size, kind = len(message.body), message.content_type
        if size <= LARGEST and kind == "application/json":
            return handle(message, body, ack, reject, *more, **others)
        logger.error("a message of %s with %d bytes of %s is refused", task.name, size, kind)
        message.reject_log_error(logger, consumer.connection_errors)
        return None

    return look


def make_worker(pipeline: Pipeline) -> Celery:
    """An application whose workers serve one pipeline."""
    app = application(engine_of(pipeline))
    register(app, pipeline)
    return app
