"""Ringing: a message for each chunk, to a broker that is not waited for without an end.

A RabbitMQ that wants memory or disk stops reading from whoever publishes, and answers nothing more
on that connection, not even that it may be closed. So the connection is one of our own, each answer
is waited for so long, and a broker that says that it is blocked is believed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.exceptions import OperationalError

__all__ = ["PATIENCE", "Unheard", "bell"]

PATIENCE = 5.0
"""Seconds that an answer of the broker is waited for."""

_FULL = "used memory > 'maxmemory'"  # how Redis says it


class Unheard(Exception):
    """The broker was not rung: it cannot be reached or, where it is `blocked`, takes no messages
    for now."""

    def __init__(self, why: str, *, blocked: bool) -> None:
        super().__init__(why)
        self.blocked = blocked


class _Blocked(OSError):
    """The broker says that it takes nothing."""


@contextmanager
def bell(app: Celery, task: str) -> Iterator[Callable[..., None]]:
    """A function that rings at the broker of an application: `ring(queue, **what)`. It has the
    broker's word for it when it returns; Unheard else, and then for all that would follow."""
    connection = app.connection_for_write(connect_timeout=PATIENCE)
    connection.transport_options = {
        **connection.transport_options,
        **_limits(connection.transport.driver_type),
    }
    producer = app.amqp.Producer(connection)
    errors = (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)

    def ring(queue: str | None, **what: Any) -> None:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)
            app.send_task(
                task,
                kwargs=what,
                queue=queue,
                serializer="json",
                ignore_result=True,
                producer=producer,
                retry=False,
            )
        except errors as error:
            _drop(connection)
            raise _unheard(error) from error

    try:
        yield ring
    finally:
        connection.release()


def _limits(kind: str) -> dict[str, Any]:
    """Options of a kind of broker, with which it is not waited for without an end."""
    if kind == "amqp":
        limits = {"read_timeout": PATIENCE, "write_timeout": PATIENCE}
        return {**limits, "confirm_publish": True, "on_blocked": _blocked}
    if kind == "redis":
        return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    return {}


def _blocked(reason: str) -> None:
    raise _Blocked("it takes no messages, for want of memory or disk")


def _drop(connection: Any) -> None:
    """Leave without a word: one that does not listen would be waited for."""
    collect = getattr(connection.connection, "collect", None) if connection.connected else None
    if collect is not None:
        collect()


def _unheard(error: Exception) -> Unheard:
    said = error.__cause__ or error
    what = str(said).rstrip(".") or type(said).__name__
    return Unheard(what, blocked=isinstance(said, _Blocked) or _FULL in what)
