"""An epoch in one transaction of the server, done again as often as need be.

A transaction of MongoDB ends at the first document that is refused, at a write conflict, when
another server takes over, and after a minute. So what the epoch has written is kept until it is
committed, and written again in a new transaction. Each commit compares the checkpoint that is
there, so one that turns out to have happened after all is not done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from penstock import Checkpoint, PenstockError, RunError, TransientError
from penstock.schedule import Clock
from penstock_mongodb.client import Client, explain, may_pass, sentences

from .checkpoints import Checkpoints, identity
from .documents import Documents
from .kept import Kept
from .writing import Refused, Write, put

__all__ = ["Transactions"]

_TRIES = 7
_CONFLICT = 112  # WriteConflict
_AGAIN = "run the pipeline again: it goes on after its last checkpoint"
T = TypeVar("T")
Deed = Callable[[ClientSession], None]


class Transactions:
    """The transactions of one output. What was accepted is in the next commit."""

    def __init__(
        self,
        client: Client,
        collection: Collection[dict[str, Any]],
        checkpoints: Checkpoints,
        sure: WriteConcern,
        clock: Clock,
        where: str,
    ) -> None:
        self.collection = collection
        self._client = client
        self._checkpoints = checkpoints
        self._sure = sure
        self._clock = clock
        self._where = where
        self._kept = Kept()
        self._deeds: list[Deed] = []
        self._session: ClientSession | None = None
        self._before: Any = None
        self._open = False

    def close(self) -> None:
        self._abort()
        self._kept.clear()
        if self._session is not None:
            with suppress(PyMongoError):
                self._session.end_session()

    def take_over(self, pipeline: str) -> None:
        """End what a run that died has left open: for a minute, it would be in the way of this
        one. A run that still lives finds out when it compares the checkpoint."""
        if self._session is None:
            self._session = self._client.start_session()
        mine = self._session.session_id["id"]
        before = self._checkpoints.take_session(pipeline, mine)
        if before is not None and before != mine:
            self._before = before
            self._end_what_was_open()

    def _end_what_was_open(self) -> None:
        if self._before is not None:
            with suppress(OperationFailure):  # where it is not allowed, the minute passes
                self._client.admin.command("killSessions", [{"id": self._before}])

    # ---- writing --------------------------------------------------------------------------------

    def put(self, writes: list[Write], documents: Documents) -> Refused:
        """Write in the transaction; those that are refused are not in it."""
        try:
            refused = put(self._send, writes, documents, self._where, "all")
        except PenstockError:
            self._abort()
            raise
        self._kept.add([one for index, one in enumerate(writes) if index not in refused])
        return refused

    def do(self, deed: Deed) -> None:
        """Do something else in the transaction, after what was written so far."""
        self._in_transaction(deed)
        self._deeds.append(deed)

    def _send(self, operations: Sequence[Any]) -> None:
        def work(session: ClientSession) -> None:
            self.collection.bulk_write(operations, ordered=True, session=session)

        try:
            self._in_transaction(work)
        except BaseException:
            self._abort()
            raise

    def _in_transaction(self, work: Callable[[ClientSession], T]) -> T:
        """Do it in the transaction, begun anew with all that was kept when it is lost."""
        for attempt in range(_TRIES):
            try:
                return work(self._begun())
            except PyMongoError as error:
                self._abort()
                if not may_pass(error):
                    raise
                last = error
            self._clock.sleep(0.05 * 2.0**attempt)
            if getattr(last, "code", None) == _CONFLICT:
                # The last that it had sent may have come after it was ended, and begun a new one.
                with sentences(self._where):
                    self._end_what_was_open()
        raise TransientError(f"{self._where}: {explain(last)}") from last

    def _begun(self) -> ClientSession:
        if self._session is None:
            self._session = self._client.start_session()
        session = self._session
        if self._open:
            return session
        # The same session: if it has left a transaction behind, the server ends that one now.
        session.start_transaction(ReadConcern("snapshot"), self._sure)
        self._open = True
        for writes in self._kept:
            operations = [ReplaceOne(target, one, upsert=True) for target, one in writes]
            self.collection.bulk_write(operations, ordered=True, session=session)
        for deed in self._deeds:
            deed(session)
        return session

    def _abort(self) -> None:
        self._open = False
        if self._session is not None and self._session.in_transaction:
            with suppress(PyMongoError):  # then the server ends it, at the latest after a minute
                self._session.abort_transaction()

    # ---- the commit -----------------------------------------------------------------------------

    def commit(self, checkpoint: Checkpoint) -> None:
        """Commit what was written, together with `checkpoint`."""
        try:
            for attempt in range(_TRIES):
                if self._commit(checkpoint, tried=attempt > 0):
                    break
                self._clock.sleep(0.05 * 2.0**attempt)
            else:
                what = f"epoch {checkpoint.epoch} could not be committed in {_TRIES} tries"
                raise RunError(what, where=self._where, hint=_AGAIN)
        except PyMongoError as error:
            what = f"the epoch could not be committed: {explain(error)}"
            raise RunError(what, where=self._where, hint=_AGAIN) from error
        finally:
            self._abort()
        self._kept.clear()
        self._deeds.clear()

    def _commit(self, checkpoint: Checkpoint, *, tried: bool) -> bool:
        """Whether it is committed now; False when it has to be written again."""

        def advance(session: ClientSession) -> bool:
            return self._checkpoints.advance(session, checkpoint, tried=tried)

        if not self._in_transaction(advance):
            return True  # an earlier try has come through
        session = self._begun()
        try:
            self._patiently(session.commit_transaction)
        except PyMongoError as error:
            self._abort()
            if not may_pass(error) and not error.has_error_label("UnknownTransactionCommitResult"):
                raise
            return self._has_happened(checkpoint, error)
        return True

    def _patiently(self, commit: Callable[[], None]) -> None:
        """Ask again while nobody knows: a commit that has happened is not done twice."""
        for attempt in range(_TRIES):
            try:
                commit()
                return
            except PyMongoError as error:
                unknown = error.has_error_label("UnknownTransactionCommitResult")
                if not unknown or attempt == _TRIES - 1:
                    raise
            self._clock.sleep(0.05 * 2.0**attempt)

    def _has_happened(self, checkpoint: Checkpoint, error: PyMongoError) -> bool:
        """The answer to a commit was lost, or was that nobody knows: look what is there."""
        for attempt in range(_TRIES):
            try:
                there = self._checkpoints.latest(checkpoint.pipeline)
                return there is not None and identity(there) == identity(checkpoint)
            except PyMongoError as unread:
                if not may_pass(unread):
                    raise
            self._clock.sleep(0.05 * 2.0**attempt)
        what = f"the connection was lost while epoch {checkpoint.epoch} was committed"
        raise RunError(what, where=self._where, hint=_AGAIN) from error
