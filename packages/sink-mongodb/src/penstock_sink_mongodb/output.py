"""The output `mongodb`: documents in a collection, committed together with the checkpoint where the
server has transactions, and keyed so that a repeat overwrites where it has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

from penstock import (
    Batch,
    Checkpoint,
    ConnectError,
    Context,
    Duration,
    Failure,
    Input,
    RecordError,
    Retraction,
    RunError,
    TransactionalOutput,
    component,
    option,
)
from penstock_mongodb.uris import check_uri, database_of, names_replica_set, shown

if TYPE_CHECKING:
    from .documents import Document

__all__ = ["IndexOptions", "MongoOutput"]


def _not_empty(value: str) -> None:
    if not value.strip():
        raise ValueError("must not be empty")


def _positive(value: float) -> None:
    if value <= 0:
        raise ValueError("must be more than 0")


def _some(value: int | str) -> None:
    if value == 0 or value == "":
        raise ValueError("must be 1 or more, 'majority' or a tag: unconfirmed writes may be lost")


@component
class IndexOptions:
    """An index of the collection."""

    fields: list[str] = option(help="Its fields in order; '-at' is descending.")
    unique: bool = option(default=False, help="Refuse a second document with the same values.")
    expire_after: Duration | None = option(
        default=None, help="Let the server delete documents so long after the time in the field."
    )


@component
class MongoOutput(TransactionalOutput):
    """Write records to a collection of MongoDB, each epoch in one transaction where there are."""

    uri: str = option(
        help="Server, as in 'mongodb://user:password@host:27017/?replicaSet=rs0'.",
        secret=True,
        check=check_uri,
        example="mongodb://localhost:27017",
    )
    database: str = option(default="", help="Database; that of the uri if left out.")
    collection: str = option(help="Collection to write to.", check=_not_empty)
    mode: Literal["append", "upsert", "replace"] | None = option(
        default=None,
        help="Add documents; put them in the place of those with the same key; or replace the "
        "whole collection when the run ends well. With a key upsert, else append.",
    )
    key: str | list[str] = option(
        default=[], help="Fields that tell documents apart; _id if left out."
    )
    indexes: list[str | IndexOptions] = option(
        default=[], help="Indexes to have: fields, as 'user, -at', or mappings."
    )
    names: Literal["refuse", "replace", "keep"] = option(
        default="refuse",
        help="What to do with field names that begin with '$', hold '.' or NUL, or are empty: set "
        "the record aside, write '&', ':', '\ufffd' and '_' instead, or write them as they are.",
    )
    ordered: bool = option(
        default=False, help="Without a transaction: write one document after the other."
    )
    transactions: Literal["auto", "on", "off"] = option(
        default="auto", help="Whether an epoch is a transaction; auto: where the server has them."
    )
    w: int | str = option(
        default="majority", help="How many servers must have a write before it counts.", check=_some
    )
    j: bool = option(default=True, help="Whether it must be in their journals.")
    lineage: bool = option(
        default=False,
        help="Also write which record each document came from, in the field _penstock; then single "
        "documents can be taken back.",
    )
    server_timeout: Duration = option(
        default=30.0, help="How long to wait for the server.", check=_positive, example="5s"
    )

    _has_transactions: bool | None = None

    def check(self) -> None:
        if not self.database and not database_of(self.uri):
            raise ValueError("give the database, here or in the uri")
        if self.mode == "upsert" and not self.key:
            raise ValueError("mode 'upsert' needs the key: the fields that tell documents apart")
        if self.mode == "append" and self.key:
            raise ValueError("mode 'append' takes no key; with a key it is 'upsert'")

    @property
    def fields(self) -> list[str]:
        """The fields of the key; none where documents are told apart by where they came from."""
        return [self.key] if isinstance(self.key, str) else list(self.key)

    @property
    def delivery(self) -> str:  # type: ignore[override]
        """Known once a server was seen; before, what the uri says is believed."""
        if self.transactions != "auto":
            return "transactional" if self.transactions == "on" else "keyed"
        seen = self._has_transactions
        return (
            "transactional" if (names_replica_set(self.uri) if seen is None else seen) else "keyed"
        )

    @property
    def replaces(self) -> bool:  # type: ignore[override]
        """Whether a new run puts its documents in the place of all others."""
        return self.mode == "replace"

    def settles(self, source: Input) -> bool:
        """Its place in a stream or its key says where a record is, whoever writes it."""
        return True

    @property
    def retracts(self) -> bool:  # type: ignore[override]
        """Whether the documents of single records can be taken back."""
        return self.lineage

    # ---- opening, closing -----------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        from pymongo.write_concern import WriteConcern

        from penstock_mongodb.client import connect, has_transactions

        from .checkpoints import Checkpoints
        from .documents import Documents
        from .identity import Ids
        from .lineage import Lineage
        from .transactions import Transactions

        self._client, hello = connect(self.uri, self.server_timeout)
        self._has_transactions = has_transactions(hello)
        if self.transactions == "on" and not self._has_transactions:
            raise ConnectError(
                "the server has no transactions",
                where=shown(self.uri),
                hint="make it a replica set, or leave transactions at auto",
            )
        sure = WriteConcern(w=self.w, j=self.j)
        self._base = self._client[self.database or database_of(self.uri)]
        self._owner = f"{context.pipeline}/{context.name}"
        name = self._staged_name if self.replaces else self.collection
        self._target = self._base.get_collection(name, write_concern=sure)
        self._checkpoints = Checkpoints(self._base, context.name, sure)
        self._documents = Documents(self.names, hello.get("maxBsonObjectSize", 16 * 1024 * 1024))
        self._ids = Ids(context.pipeline, context.name, shared=context.shared)
        self._lineage = Lineage(self._target, self._owner) if self.lineage else None
        self._gone = False
        self._transactions = (
            Transactions(
                self._client, self._target, self._checkpoints, sure, context.clock, self._where
            )
            if self.delivery == "transactional"
            else None
        )

    def close(self) -> None:
        if getattr(self, "_transactions", None) is not None:
            self._transactions.close()  # type: ignore[union-attr]
        if hasattr(self, "_client"):  # the server could be reached
            self._client.close()

    @property
    def _where(self) -> str:
        base = self.database or database_of(self.uri)
        return f"{shown(self.uri)}: collection '{base}.{self.collection}'"

    @property
    def _staged_name(self) -> str:
        return f"{self.collection}_penstock_{crc32(self._owner.encode()):08x}"

    # ---- epochs ---------------------------------------------------------------------------------

    def checkpoint(self, pipeline: str) -> Checkpoint | None:
        from penstock_mongodb.client import sentences

        with sentences(self._where, ConnectError):
            return self._checkpoints.latest(pipeline)

    def resume(self, mark: Any, epoch: int) -> None:
        """What an earlier run had staged for a collection it did not come to replace is dropped."""
        from penstock_mongodb.client import sentences

        from .indexes import ensure

        self._ids.resume(mark, epoch)
        with sentences(self._where, ConnectError):
            if self._transactions is not None:
                self._transactions.take_over(self.context.pipeline)
            if self.replaces and mark is None:
                self._base.drop_collection(self._target.name)
                self._make(self._target.name)
            for name in self._made_before():
                self._make(name)
            if self.replaces and not self._is_staged():
                self._gone = True  # it has been put into place, or somebody has dropped it
                return
            ensure(self._target, self.fields, self.indexes, self._where)

    def _make(self, name: str) -> None:
        """Make a collection, or find that another run has made it meanwhile."""
        from pymongo.errors import CollectionInvalid, OperationFailure

        try:
            self._base.create_collection(name)
        except CollectionInvalid:  # seen by the client
            pass
        except OperationFailure as error:
            if error.code != _EXISTS:
                raise

    def _made_before(self) -> list[str]:
        """Collections to make by hand: not every server makes one in a transaction."""
        from .checkpoints import COLLECTION

        if self._transactions is None:
            return []
        wanted = [COLLECTION] if self.replaces else [COLLECTION, self.collection]
        there = self._base.list_collection_names(filter={"name": {"$in": wanted}})
        return [name for name in wanted if name not in there]

    def reopen(self, mark: Any, epoch: int) -> None:
        """Mended records are added to the collection, unless it was replaced as a whole."""
        if self.replaces:
            super().reopen(mark, epoch)
        else:
            self.resume(mark, epoch)

    def prepare(self, epoch: int) -> Any:
        """The mark says which series of documents goes on. Every write was confirmed already."""
        return self._ids.mark()

    def commit(self, checkpoint: Checkpoint) -> None:
        assert self._transactions is not None
        self._transactions.commit(checkpoint)

    def retract(self, what: Retraction) -> None:
        lineage, keyed = self._lineage, bool(self.fields)
        if lineage is not None:
            self._do(lambda session: lineage.retract(session, what, keyed=keyed))

    def take_back(self, epoch: int) -> None:
        """Documents that `upsert` has changed stay: they are written again."""
        lineage = self._lineage
        if lineage is not None and not self.fields:
            self._do(lambda session: lineage.take_back(session, epoch))

    def _do(self, deed: Any) -> None:
        from penstock_mongodb.client import sentences

        with sentences(self._where):
            if self._transactions is not None:
                self._transactions.do(deed)
            else:
                deed(None)

    def finish(self) -> None:
        from penstock_mongodb.client import sentences

        with sentences(self._where):
            last = None
            if self._transactions is not None:
                last = self._checkpoints.latest(self.context.pipeline)
                if last is None or last.finished:
                    return
            if self.replaces and self._is_staged():
                self._target.rename(self.collection, dropTarget=True)
            if last is not None:
                self._checkpoints.finish(last)

    def _is_staged(self) -> bool:
        name = self._target.name
        return name in self._base.list_collection_names(filter={"name": name})

    # ---- writing --------------------------------------------------------------------------------

    def write(self, batch: Batch) -> Sequence[Failure] | None:
        if not len(batch.records):
            return None
        if self._gone:
            raise RunError(
                "the documents that an earlier run had staged for it are gone",
                where=self._where,
                hint="start over with --fresh",
            )
        from .writing import put

        found = self._documents.made_of(batch.records)
        wrong = {at: one for at, one in enumerate(found) if isinstance(one, RecordError)}
        writes, at = self._writes(batch, found, wrong)
        if self._transactions is not None:
            refused = self._transactions.put(writes, self._documents)
        else:
            after_error: Literal["rest", "nothing"] = "rest" if self.ordered else "nothing"
            refused = put(self._send, writes, self._documents, self._where, after_error)
        self._ids.settle(batch)
        wrong.update({at[index]: reason for index, reason in refused.items()})
        return [
            Failure(batch.records[index], batch.ordinals[index], wrong[index])
            for index in sorted(wrong)
        ]

    def _send(self, operations: Sequence[Any]) -> None:
        self._target.bulk_write(operations, ordered=self.ordered)

    def _writes(
        self, batch: Batch, found: Sequence[Any], wrong: dict[int, RecordError]
    ) -> tuple[list[tuple[Document, Document]], list[int]]:
        """What to write, and the index in the batch of each; more may turn out to be wrong."""
        from .lineage import FIELD

        epoch, lineage, fields = self.context.epoch, self._lineage, self.fields
        ids: Sequence[str] = () if fields else self._ids.of(batch, epoch)
        if not (wrong or lineage or fields or any("_id" in one for one in found)):
            made = [{"_id": name, **one} for name, one in zip(ids, found)]  # nearly every batch
            return [({"_id": name}, one) for name, one in zip(ids, made)], list(range(len(made)))
        writes, at = [], []
        for index, one in enumerate(found):
            if index in wrong:
                continue
            if lineage is not None:
                one = {**one, FIELD: lineage.of(batch, index, epoch)}
            if not fields and one.get("_id") is None:
                one = {**one, "_id": ids[index]}
            missing = [name for name in fields if one.get(name) is None]
            if missing:
                wrong[index] = RecordError(f"has no {missing[0]!r}, which is in the key")
                continue
            writes.append((_is(one, *(fields or ["_id"])), one))
            at.append(index)
        return self._last_of_each(writes, at)

    def _last_of_each(
        self, writes: list[tuple[Document, Document]], at: Sequence[int]
    ) -> tuple[list[tuple[Document, Document]], list[int]]:
        """Of documents in the place of the same one the last: others may be written in any order,
        and would come to nothing."""
        last: dict[Any, int] = {}
        for index, (target, _) in enumerate(writes):
            last[repr(target)] = index
        if len(last) == len(writes):
            return writes, list(at)
        kept = sorted(last.values())
        return [writes[index] for index in kept], [at[index] for index in kept]


def _is(document: Document, *names: str) -> Document:
    """A filter for what has the same values. What could be taken for an operator is compared."""
    made: Document = {}
    for name in names:
        value = document[name]
        made[name] = value if type(value) in _SAFE else {"$eq": value}
    return made


_EXISTS = 48  # NamespaceExists
_SAFE = frozenset({str, int, float, bool})
