"""An item's unit of work: a savepoint that begins with its first query, and what it saves.

Many items only compute, and hand their results to `add_to_save`. They need no savepoint: there is
nothing to roll back but their results, which are saved with those of others, many at once. An item
that asks the database anything finds what the items before it gave, and has a savepoint from there
on. So each item is alone whether it fails itself or its results cannot be saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from .inserting import create
from .items import Key

if TYPE_CHECKING:
    from .tracking import Row, Tracker

__all__ = ["Done", "Unit", "save_now"]


class Done:
    """An item that was processed: what it gave, and its result. `error` is set when what it gave
    could not be saved."""

    __slots__ = ("created", "error", "item", "key", "result", "to_save")

    def __init__(
        self, item: Any, key: Key, created: list[Any], to_save: list[Any], result: Any
    ) -> None:
        self.item = item
        self.key = key
        self.created = created
        self.to_save = to_save
        self.result = result
        self.error: Exception | None = None


class Unit:
    """The items of one run of a pipeline, one after the other.

    `tracker` notes what items gave, once that is saved: of many `together`, where all items are one
    transaction. `created` is what the item that is being processed has saved directly.
    """

    def __init__(
        self,
        using: str,
        chunksize: int,
        tracker: Tracker | None,
        *,
        together: bool,
    ) -> None:
        self.using = using
        self.chunksize = chunksize
        self.tracker = tracker
        self.together = together
        self.connection = connections[using]
        self._atomic = transaction.atomic(using)  # it keeps nothing: one serves all items
        self._watcher = self._before_query  # the same object each time, so that it is found
        self._inside = self._entered = self._busy = False
        self._callbacks = 0
        self.created: list[Any] = []
        self._pending: list[Done] = []
        self._rows: list[Row] = []
        self._waiting = 0

    # ---- one item -------------------------------------------------------------------------------

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, an item's first query gives it a savepoint."""
        self._watch()
        try:
            yield
        finally:
            self._look_away()

    def _watch(self) -> None:
        wrappers = self.connection.execute_wrappers
        if self._watcher not in wrappers:
            wrappers.append(self._watcher)

    def _look_away(self) -> None:
        wrappers = self.connection.execute_wrappers
        if self._watcher in wrappers:
            wrappers.remove(self._watcher)

    def _before_query(
        self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """Around queries of this connection (see Django's `execute_wrapper`)."""
        if self._inside and not self._entered and not self._busy:
            self.enter()
        return execute(sql, params, many, context)

    def begin(self) -> None:
        """The next item begins."""
        self._inside = True
        self.created = []
        self._callbacks = len(self.connection.run_on_commit)

    def enter(self, *, noted: bool = False) -> None:
        """Give the item its savepoint now; what is `noted` are the items before it."""
        if self._entered:
            return
        self._busy = True
        try:
            if self._pending:
                self.flush()
            if noted:
                self.flush_tracks()
            self._atomic.__enter__()
            self._entered = True
            # Until the next item there is nothing more to wait for, and every query would pay.
            self._look_away()
        finally:
            self._busy = False

    def undo(self, error: BaseException) -> None:
        """Roll the item back."""
        self._inside = False
        if self._entered:
            self._leave(type(error), error, error.__traceback__)
        else:  # what a failed item wanted done after the commit must not be done
            del self.connection.run_on_commit[self._callbacks :]

    def done(self, done: Done) -> None:
        """The item has come through: save what it gave, now or with others."""
        if not self._entered:
            self._inside = False
            self._pending.append(done)
            self._waiting += len(done.to_save)
            if self._waiting >= self.chunksize:
                self.flush()
            return
        create(self.using, done.to_save)
        if self.tracker is not None:
            row = self.tracker.row(done)
            if row is not None:
                self._rows.append(row)
        if not self.together:
            self.flush_tracks()
        done.created = done.to_save = []  # noted; a batch of them need not be held
        self._inside = False
        self._leave(None, None, None)

    def _leave(self, *how: Any) -> None:
        """Out of the savepoint, back to waiting for a query."""
        self._entered = False
        self._watch()
        self._atomic.__exit__(*how)

    # ---- many items -----------------------------------------------------------------------------

    def flush(self) -> None:
        """Save what items gave that wait. Where that fails, each is saved alone, and those that
        cannot be have an `error`."""
        pending, self._pending = self._pending, []
        self._waiting = 0
        if not pending:
            return
        busy, self._busy = self._busy, True
        try:
            self._save(pending)
        finally:
            self._busy = busy

    def flush_tracks(self) -> None:
        """Note what items with a savepoint gave."""
        rows, self._rows = self._rows, []
        if self.tracker is not None:
            self.tracker.put(rows)

    def _tracks(self, items: Iterable[Done]) -> list[Row]:
        if self.tracker is None:
            return []
        return [row for row in map(self.tracker.row, items) if row is not None]

    def _save_all(self, items: Sequence[Done], objects: Sequence[Any]) -> None:
        with transaction.atomic(self.using):
            create(self.using, objects, mixed=len(items) > 1)
            if self.tracker is not None:
                self.tracker.put(self._tracks(items))

    def _save(self, pending: Sequence[Done]) -> None:
        if len(pending) > 1:
            objects = [one for done in pending for one in done.to_save]
            before = [(one, one.__dict__.copy(), one._state.adding) for one in objects]
            try:
                self._save_all(pending, objects)
                return
            except Exception:
                # Which item is to blame is found below. Keys that were given are not valid now.
                for one, values, adding in before:
                    one.__dict__.update(values)
                    one._state.adding = adding
        for done in pending:
            try:
                self._save_all([done], done.to_save)
            except Exception as error:
                done.error = error


def save_now(session: Any, objects: Sequence[Any]) -> None:
    """Save objects at once, as what the item gives that is being processed, if one is."""
    for one in objects:
        one.save(using=session.using)
    if session.unit is not None:
        session.unit.created.extend(objects)
