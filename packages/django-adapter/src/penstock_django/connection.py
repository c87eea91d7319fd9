"""A database connection that is not of one thread: an engine may open a component on one thread and
call it on another, while Django keeps its own connections apart by thread.

Outputs of one run that write to the same database share a connection, and on SQLite, which has one
writer at a time, so does the store: what it keeps in the middle of an epoch is committed with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

__all__ = ["Line", "line_for", "set_up"]

_open_lines: WeakValueDictionary[tuple[str, str], Line] = WeakValueDictionary()
_meeting = RLock()


def set_up() -> None:
    """Make Django ready where nobody has, as under `penstock run`."""
    import django
    from django.apps import apps

    from penstock import RunError

    if apps.ready:
        return
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except (ImproperlyConfigured, ImportError) as error:
        raise RunError(
            f"Django cannot be set up: {error}",
            hint="set DJANGO_SETTINGS_MODULE, or run `manage.py penstock`",
        ) from error


def line_for(alias: str, pipeline: str) -> Line:
    """The connection that the parts of a run share."""
    with _meeting:
        line = _open_lines.get((alias, pipeline))
        if line is None:
            line = _open_lines[alias, pipeline] = Line(alias)
        line.users += 1
        return line


class Line:
    """A connection of its own, with at most one transaction that outlives a call.

    `dirty` are the outputs with rows in the transaction, by their identity; `committed` what was
    committed last of those that another one's commit took along.
    """

    def __init__(self, alias: str = "default") -> None:
        from django import db  # here, as plugins are listed without it

        self.alias = alias
        self._db = db
        self.lock = RLock()
        self.users = 0
        self.dirty: dict[int, Any] = {}
        self.committed: dict[int, Any] = {}
        self._atomic: Any = None
        self._own = _connection_of(alias).copy()
        self._own.inc_thread_sharing()
        if self._own.vendor == "sqlite":
            options = self._own.settings_dict["OPTIONS"]
            # A transaction that reads first and writes later fails at once when another came first.
            settings = {"timeout": 30, **options, "transaction_mode": "IMMEDIATE"}
            self._own.settings_dict = {**self._own.settings_dict, "OPTIONS": settings}

    @property
    def vendor(self) -> str:
        return str(self._own.vendor)

    @contextmanager
    def bound(self) -> Iterator[Any]:
        """Let the ORM use this connection, on this thread, inside the block."""
        with self.lock:
            before = self._db.connections[self.alias]
            self._db.connections[self.alias] = self._own
            try:
                yield self._own
            finally:
                self._db.connections[self.alias] = before

    @contextmanager
    def step(self) -> Iterator[None]:
        """Everything inside the block, or nothing of it: a transaction, or a part of one."""
        with self.bound(), self._db.transaction.atomic(self.alias):
            yield

    @property
    def begun(self) -> bool:
        return self._atomic is not None

    def begin(self) -> None:
        """Begin the transaction of an epoch, unless it has begun. Inside `bound`."""
        if self._atomic is None:
            atomic = self._db.transaction.atomic(self.alias)
            atomic.__enter__()
            self._atomic = atomic

    def commit(self) -> None:
        """Commit the transaction of an epoch. Inside `bound`."""
        atomic, self._atomic = self._atomic, None
        atomic.__exit__(None, None, None)
        self.dirty.clear()

    def roll_back(self) -> None:
        """Give up the transaction of an epoch, if there is one."""
        atomic, self._atomic = self._atomic, None
        self.dirty.clear()
        if atomic is None:
            return
        with self.bound():
            # The connection may be gone, and the transaction with it.
            with suppress(self._db.DatabaseError):
                atomic.__exit__(_GivenUp, _GivenUp(), None)

    def reconnect(self) -> None:
        """Let go of a connection that was lost."""
        with self.bound() as own:
            own.close()

    def close(self) -> None:
        """Leave; the last one to do so closes the connection."""
        with _meeting:
            self.users -= 1
            if self.users <= 0:
                for key, line in list(_open_lines.items()):
                    if line is self:
                        del _open_lines[key]
                self.roll_back()
                self.reconnect()


def _connection_of(alias: str) -> Any:
    """The connection of a database in the settings; RunError when they name none so."""
    from django.db import connections
    from django.db.utils import ConnectionDoesNotExist

    from penstock import RunError
    from penstock.errors import nearest

    try:
        return connections[alias]
    except ConnectionDoesNotExist as error:
        near = nearest(alias, list(connections))
        raise RunError(
            f"there is no database {alias!r}",
            where="using",
            hint=f"did you mean {near!r}?" if near else "look at DATABASES in the settings",
        ) from error


class _GivenUp(Exception):
    """Makes a transaction roll back."""


def model_of(label: str) -> Any:
    """The model "app.Model"; RunError when there is none."""
    from django.apps import apps

    from penstock import RunError
    from penstock.errors import nearest

    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        near = nearest(label, [model._meta.label for model in apps.get_models()])
        raise RunError(
            f"there is no model {label!r}",
            hint=f"did you mean {near!r}?" if near else "look at INSTALLED_APPS",
        ) from error
