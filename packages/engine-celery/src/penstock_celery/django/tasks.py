"""A bell in the task framework of Django 6.0 and later, for projects whose workers are of that.

Needs `penstock-engine-celery[django]`.
Needs the module `django.tasks`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.tasks import task

from .running import answer

__all__ = ["check", "items", "ring"]


@task  # type: ignore[untyped-decorator]
def items(batch: str, chunk: int) -> str:
    """What a worker does; its arguments are looked at as a message of Celery is."""
    return answer((), {"batch": batch, "chunk": chunk})


def check(queue: str) -> None:
    """Raises what Django has against a task in this queue."""
    items.using(queue_name=queue or None)


def ring(bells: Iterable[tuple[str, int, str]]) -> None:
    for batch, chunk, queue in bells:
        items.using(queue_name=queue or None).enqueue(batch=batch, chunk=chunk)
