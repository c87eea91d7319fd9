"""Dividing items, ringing for them, and doing one chunk in one transaction."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock import FencedError, UsageError
from penstock.failures import describe
from penstock.options import short

from . import table

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["LEASE", "answer", "do_items", "ring_again", "run_in_celery", "serve_items"]

LEASE = 600.0
"""Seconds that a chunk is its worker's; the setting PENSTOCK_CELERY_LEASE is another number. One
that is seen to be dead is not waited for."""

TASK = "penstock.items"
_USING = "default"

logger = logging.getLogger("penstock.celery")


def run_in_celery(
    options: dict[str, Any],
    items: Any,
    pipeline: str,
    celery_chunksize: int = 10,
    queue: str | None = None,
) -> str:
    """Have a pipeline run over items by workers, so many in a chunk; the name of the batch.

    `options` are those of the sessions, JSON. The chunks are part of the transaction that is under
    way, if there is one, and rung for after it is committed. What that ring misses, `ring_again`
    finds.
    """
    from django.db import connections, transaction

    _by_tasks(queue or "")  # refuses settings that nobody could be rung with
    keys = _keys_of(items)
    chunks = [
        json.dumps(keys[first : first + celery_chunksize])
        for first in range(0, len(keys), celery_chunksize)
    ]
    batch = uuid.uuid4().hex
    connection = connections[_USING]
    table.make(connection)
    with transaction.atomic(_USING):
        table.add(connection, batch, pipeline, chunks, json.dumps(options), queue or "")
        bells = [(batch, number, queue or "") for number in range(1, len(chunks) + 1)]
        transaction.on_commit(lambda: _ring(bells), using=_USING)
    return batch


def ring_again(after: float = 60.0) -> int:
    """Ring for chunks that nobody has, and for which it was last rung so many seconds ago; how
    many. For a cron job or a periodic task: a bell may be lost, as by a kill after the commit."""
    from django.db import connections

    connection = connections[_USING]
    table.make(connection)
    found = table.overdue(connection, time.time() - after)
    heard = found[: _ring(found)]
    table.rung(connection, [(batch, chunk) for batch, chunk, _ in heard])
    return len(heard)


def serve_items(app: Celery) -> None:
    """Let the workers of a project's application do what `run_in_celery` asks for. ConfigError when
    its settings would break what that promises."""
    from ..applications import refuse_unsafe

    refuse_unsafe(app)

    def items(*args: Any, **said: Any) -> str:
        return answer(args, said)

    app.task(
        items,
        name=TASK,
        acks_late=True,
        reject_on_worker_lost=True,
        ignore_result=True,
        serializer="json",
        shared=False,
        typing=False,  # what is wrong with a message is for `_wrong` to say
        Strategy="penstock_celery.worker:attentive",
    )


def answer(args: tuple[Any, ...], said: dict[str, Any]) -> str:
    """Do what a message asks for, if it is a bell."""
    wrong = _wrong(args, said)
    if wrong is not None:
        logger.error("a message for %s is refused: %s", TASK, wrong)
        return "refused"
    return do_items(said["batch"], said["chunk"])


def do_items(batch: str, number: int) -> str:
    """Do a chunk; in a word, what came of it: "done", "failed", "lost" to another worker, or
    "idle" when there was nothing to do."""
    from django.conf import settings
    from django.db import connections, transaction

    connection = connections[_USING]
    table.make(connection)
    chunk = table.take(connection, batch, number, getattr(settings, "PENSTOCK_CELERY_LEASE", LEASE))
    if chunk is None:
        return "idle"
    try:
        with transaction.atomic(_USING):
            # First: from here on nobody can take it, and it is undone with all that follows.
            table.finish(connection, chunk)
            _run(chunk)
    except FencedError:
        return "lost"
    except Exception as error:  # as a PipeError, which rolls back all; the chunk keeps its words
        logger.error("%s, chunk %d: %s", batch, number, describe(error))
        return _failed(connection, chunk, error)
    return "done"


def _failed(connection: Any, chunk: table.ItemChunk, error: Exception) -> str:
    try:
        table.fail(connection, chunk, describe(error))
    except FencedError:
        return "lost"
    return "failed"


def _run(chunk: table.ItemChunk) -> None:
    from penstock_django import get_session

    items = _items_of(json.loads(chunk.items))
    if items:
        get_session(**json.loads(chunk.options)).run(items, chunk.pipeline)


def _keys_of(items: Any) -> list[tuple[int | None, str]]:
    """What names each item, as JSON."""
    from django.db.models import QuerySet

    from penstock_django.items import key_of, type_of

    if isinstance(items, QuerySet):
        kind = type_of(items.model).pk
        return [(kind, str(key)) for key in items.values_list("pk", flat=True)]
    return [key_of(item) for item in items]


def _items_of(keys: Sequence[tuple[int | None, str]]) -> list[Any]:
    """The items of these names, those that are still there."""
    from penstock.store import decode_record
    from penstock_django.items import object_of

    found = [decode_record(key) if kind is None else object_of(kind, key) for kind, key in keys]
    return [item for item in found if item is not None]


def _by_tasks(queue: str = "") -> bool:
    """Whether it is rung by the tasks of Django, as the setting PENSTOCK_BELL says."""
    import django
    from django.conf import settings

    bell = getattr(settings, "PENSTOCK_BELL", "celery")
    if bell not in ("celery", "tasks"):
        raise UsageError(f"the setting is 'celery' or 'tasks', not {bell!r}", where="PENSTOCK_BELL")
    if bell == "tasks":
        if django.VERSION < (6, 0):
            raise UsageError(
                f"Django {django.get_version()} has no tasks",
                where="PENSTOCK_BELL",
                hint="use Django 6.0, or leave the setting out and serve the items by Celery",
            )
        from . import tasks

        tasks.check(queue)
    return bell == "tasks"


def _ring(bells: Sequence[tuple[str, int, str]]) -> int:
    """Ring, and say for how many of the first it was heard; a broker that is away is no error of
    who saves: `ring_again` finds what waits."""
    return _ring_by_tasks(bells) if _by_tasks() else _ring_by_celery(bells)


def _ring_by_tasks(bells: Sequence[tuple[str, int, str]]) -> int:
    from . import tasks

    try:
        tasks.ring(bells)
    except Exception as error:  # each backend has its own for one that is away
        logger.error("no task can be enqueued, ring_again will find what waits: %s", error)
        return 0
    return len(bells)


def _ring_by_celery(bells: Sequence[tuple[str, int, str]]) -> int:
    from celery import current_app

    from ..bells import Unheard, bell

    heard = 0
    try:
        with bell(current_app, TASK) as ring:
            for batch, chunk, queue in bells:
                ring(queue or None, batch=batch, chunk=chunk)
                heard += 1
    except Unheard as error:
        logger.error("the broker cannot be reached, ring_again will find what waits: %s", error)
    return heard


def _wrong(args: tuple[Any, ...], said: dict[str, Any]) -> str | None:
    """What is wrong with a message, if it is not a bell."""
    if args or set(said) != {"batch", "chunk"}:
        return f"it must say batch and chunk, and says {short(sorted(said) + list(args))}"
    batch, chunk = said["batch"], said["chunk"]
    if not isinstance(batch, str) or len(batch) != 32:
        return f"{short(batch)} is no batch"
    if not isinstance(chunk, int) or isinstance(chunk, bool) or not 0 < chunk < 2**31:
        return f"{short(chunk)} is no chunk"
    return None
