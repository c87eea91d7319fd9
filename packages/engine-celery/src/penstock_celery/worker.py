"""The worker's side: a task for each pipeline, which refuses every message that is not a bell.

A message says nothing but which chunk is waiting. It names no file, no code and no data, and what
it says is looked up in the ledger; so whoever can write to the broker can at most ring.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from celery import Celery
from celery.worker.consumer import Consumer
from celery.worker.strategy import default

from penstock import PenstockError, Pipeline, UsageError, load_pipeline
from penstock.failures import describe
from penstock.options import short
from penstock_sql.database import explain

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
        except (PenstockError, sa.exc.SQLAlchemyError) as error:
            # The ledger is away, or not made yet. The lease runs out and it is rung again.
            what = describe(error) if isinstance(error, PenstockError) else explain(error)
            logger.error("%s, chunk %s: %s", said["run"], said["chunk"], what)
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
    """How Celery hands messages of our tasks on. Those of a wrong size, kind or form are not: some
    would end its worker, and then the next one, which is given them again."""
    handle = default(task, app, consumer, **options)

    def look(message: Any, body: Any, ack: Any, reject: Any, *more: Any, **others: Any) -> Any:
        said = _said(message)
        if isinstance(said, str):
            return _refuse(message, consumer, task.name, said)
        # Nothing else of it counts: neither when it is due nor what follows, nor how it is encoded.
        message.body = json.dumps(said).encode()
        message.content_encoding = "utf-8"
        message.headers = {"lang": "py", "task": task.name, "id": _id(message)}
        return handle(message, None, ack, reject, *more, **others)

    return look


def _said(message: Any) -> list[Any] | str:
    """What a message says, as Celery has it: arguments, named arguments, and nothing that would
    follow. Or, in words, what is wrong with it."""
    if not isinstance(message.body, (str, bytes)):
        return "that is no call"
    size, kind = len(message.body), message.content_type
    if size > LARGEST or kind != "application/json":
        return f"with {size} bytes of {kind}"
    try:
        args, said, follows = json.loads(message.body)
    except (ValueError, TypeError, RecursionError):
        return "that is no call"
    if not (isinstance(args, list) and isinstance(said, dict) and isinstance(follows, dict)):
        return "that is no call"
    return [args, said, {}]


def _id(message: Any) -> str:
    found = message.headers.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= 100 else uuid.uuid4().hex


def _refuse(message: Any, consumer: Any, name: str, why: str) -> None:
    logger.error("a message of %s %s is refused", name, why)
    message.reject_log_error(logger, consumer.connection_errors)


class Attentive(Consumer):  # type: ignore[misc]
    """What reads messages in workers of our own. What names none of their tasks is refused here, as
    Celery takes it for granted that such a message is well-formed otherwise."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Who writes to a Redis may leave what no client can read. It is taken from the list then,
        # so a connection that is made again goes on behind it.
        unread = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
        self.connection_errors += unread

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], Any]:
        handle: Callable[[Any], Any] = super().create_task_handler(*args, **options)

        def look(message: Any) -> Any:
            headers = message.headers
            name = headers.get("task") if isinstance(headers, dict) else None
            if isinstance(name, str) and name in self.strategies:
                return handle(message)
            return _refuse(message, self, short(name), "that nobody here serves")

        return look


def make_worker(pipeline: Pipeline) -> Celery:
    """An application whose workers serve one pipeline."""
    app = application(engine_of(pipeline))
    app.conf.worker_consumer = f"{__name__}:Attentive"
    register(app, pipeline)
    return app
