"""How far the chunks of a batch are, for the pages of the project's admin."""

from __future__ import annotations

from .table import TABLE

__all__ = ["states_of"]

_STATES = f"SELECT state, COUNT(*), MIN(error) FROM {TABLE} WHERE batch = %s GROUP BY state"  # noqa: S608 (a constant)


def states_of(batch: str) -> dict[str, tuple[int, str | None]]:
    """How many chunks of a batch are waiting, running, done and failed, and an error of each."""
    from django.db import connections

    connection = connections["default"]
    if TABLE not in connection.introspection.table_names():
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_STATES, (batch,))
        return {state: (count, error) for state, count, error in cursor.fetchall()}
