"""What the double keeps: collections in memory, every change in a log that a restart reads.

A transaction has its own view. Who writes what another transaction has written, or what was
changed since his own began, is refused with a write conflict, as in MongoDB.

Needs `penstock-testkit[mongodb]`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson

from .query import MISSING, CommandError, Document, at, matches, order

__all__ = ["Collection", "Locked", "Store", "Transaction", "View"]

Key = tuple[int, Any]
TRANSIENT = "TransientTransactionError"


@dataclass
class Index:
    """A unique one knows which document has an entry."""

    spec: Document
    unique: bool
    owners: dict[tuple[Key, ...], Key] = field(default_factory=dict)

    def entry(self, document: Document) -> tuple[Key, ...]:
        return tuple(order(at(document, path)) for path in self.spec["key"])


@dataclass
class Collection:
    documents: dict[Key, Document] = field(default_factory=dict)
    changed: dict[Key, int] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=dict)
    options: Document = field(default_factory=dict)

    def unique(self) -> list[Index]:
        return [index for index in self.indexes.values() if index.unique]

    def put(self, key: Key, document: Document | None, clock: int) -> None:
        before = self.documents.get(key)
        for index in self.unique():
            if before is not None:
                index.owners.pop(index.entry(before), None)
        if document is None:
            self.documents.pop(key, None)
        else:
            self.documents[key] = document
            for index in self.unique():
                index.owners[index.entry(document)] = key
        self.changed[key] = clock


class Locked(Exception):
    """An open transaction has written this document; who is in none waits for its end."""


@dataclass
class Transaction:
    """`changes` by collection and key; None for a document that is gone."""

    identity: tuple[bytes, int]
    begun: int
    changes: dict[tuple[str, Key], Document | None] = field(default_factory=dict)
    entries: dict[tuple[str, str, tuple[Key, ...]], Key] = field(default_factory=dict)
    """Who had an entry of a unique index last, among those that were changed."""


class Store:
    """All collections, by "database.collection"."""

    def __init__(self, log: Path) -> None:
        self.collections: dict[str, Collection] = {}
        self.open: dict[tuple[bytes, int], Transaction] = {}
        self.done: dict[tuple[bytes, int], Document] = {}
        """Replies to writes that may be tried again, and to commits."""
        self.clock = 0
        self._replay(log)
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    # ---- the log --------------------------------------------------------------------------------

    def _replay(self, log: Path) -> None:
        """Read what was kept; a change that was being written when the process died is cut off."""
        data = log.read_bytes() if log.exists() else b""
        start = 0
        while len(data) - start >= 4:
            size: int = struct.unpack_from("<i", data, start)[0]
            if size > len(data) - start:
                break
            self._take(bson.decode(data[start : start + size]))
            start += size
        if start < len(data):
            os.truncate(log, start)

    def _take(self, frame: Mapping[str, Any]) -> None:
        self.clock += 1
        for one in frame["changes"]:
            collection = self.collections.setdefault(one["in"], Collection())
            key = order(one["id"]["v"])
            collection.put(key, one.get("document"), self.clock)
        if "shape" in frame:
            self._shape(frame["shape"])
        if "session" in frame:
            self.done[frame["session"], frame["number"]] = frame["reply"]

    def _shape(self, change: Mapping[str, Any]) -> None:
        """A collection is made, dropped, renamed or given an index."""
        name = change["of"]
        if change["what"] == "make":
            self.collections[name] = Collection(options=dict(change["options"]))
        elif change["what"] == "drop":
            self.collections.pop(name, None)
        elif change["what"] == "rename":
            self.collections[change["to"]] = self.collections.pop(name)
        else:
            spec = dict(change["index"])
            collection = self.collections.setdefault(name, Collection())
            index = Index(spec, bool(spec.get("unique")))
            for key, document in collection.documents.items() if index.unique else ():
                if index.owners.setdefault(index.entry(document), key) != key:
                    raise duplicate(name, index, document)
            collection.indexes[spec["name"]] = index

    def keep(self, changes: list[Document], **more: Any) -> None:
        """Make a change, durably: a process that is killed after this has it."""
        frame = {"changes": changes, **more}
        encoded = bson.encode(frame)
        self._take(bson.decode(encoded))
        os.write(self._log, encoded)

    # ---- transactions ---------------------------------------------------------------------------

    def begin(self, identity: tuple[bytes, int]) -> Transaction:
        session, number = identity
        for other in [one for one in self.open if one[0] == session and one[1] < number]:
            del self.open[other]
        self.open[identity] = made = Transaction(identity, self.clock)
        return made

    def commit(self, transaction: Transaction) -> Document:
        """Commit; the reply, which is kept for one who asks again."""
        session, number = transaction.identity
        changes: list[Document] = []
        for (name, _), (identity, document) in _with_ids(self, transaction):
            change: Document = {"in": name, "id": {"v": identity}}
            changes.append(change if document is None else {**change, "document": document})
        self.keep(changes, session=session, number=number, reply={"ok": 1.0})
        del self.open[transaction.identity]
        return {"ok": 1.0}


def _with_ids(
    store: Store, transaction: Transaction
) -> Iterator[tuple[tuple[str, Key], tuple[Any, Document | None]]]:
    for place, document in transaction.changes.items():
        if document is not None:
            yield place, (document["_id"], document)
        else:
            name, key = place
            before = store.collections.get(name, Collection()).documents.get(key)
            if before is not None:
                yield place, (before["_id"], None)


def duplicate(name: str, index: Index, document: Document) -> CommandError:
    values = ", ".join(f"{path}: {at(document, path)!r}" for path in index.spec["key"])
    what = f"E11000 duplicate key error collection: {name} index: {index.spec['name']}"
    return CommandError(11000, "DuplicateKey", f"{what} dup key: {{ {values} }}")


class View:
    """The documents as one command sees and changes them, inside a transaction or not."""

    def __init__(self, store: Store, transaction: Transaction | None) -> None:
        self.store = store
        self.transaction = transaction
        changed = transaction or Transaction((b"", 0), 0)
        self.changes, self.entries = changed.changes, changed.entries
        self.ids: dict[tuple[str, Key], Any] = {}

    def get(self, name: str, key: Key) -> Document | None:
        if (name, key) in self.changes:
            return self.changes[name, key]
        collection = self.store.collections.get(name)
        return collection.documents.get(key) if collection is not None else None

    def all(self, name: str) -> Iterator[Document]:
        collection = self.store.collections.get(name)
        for key, document in (collection.documents if collection is not None else {}).items():
            if (name, key) not in self.changes:
                yield document
        for (other, _), changed in self.changes.items():
            if other == name and changed is not None:
                yield changed

    def find(self, name: str, query: Mapping[str, Any]) -> Iterator[Document]:
        """What a query means; one that names its document by a unique key does not look at all."""
        key = self._named(name, query)
        if key is None:
            yield from (one for one in list(self.all(name)) if matches(one, query))
            return
        found = self.get(name, key)
        if found is not None and matches(found, query):
            yield found

    def _named(self, name: str, query: Mapping[str, Any]) -> Key | None:
        collection = self.store.collections.get(name, Collection())
        wanted = query.get("_id", MISSING)
        if wanted is not MISSING and _is_value(wanted):
            return order(wanted)
        for index in collection.unique():
            if all(_is_value(query.get(path)) for path in index.spec["key"]):
                entry = tuple(order(query[path]) for path in index.spec["key"])
                return self._owner(name, index, entry) or (-1, 0)
        return None

    def _owner(self, name: str, index: Index, entry: tuple[Key, ...]) -> Key | None:
        """Whose an entry of a unique index is."""
        for key in (self.entries.get((name, index.spec["name"], entry)), index.owners.get(entry)):
            document = self.get(name, key) if key is not None else None
            if document is not None and index.entry(document) == entry:
                return key
        return None

    def put(self, name: str, document: Document) -> None:
        key = order(document["_id"])
        self._may_write(name, key)
        collection = self.store.collections.get(name, Collection())
        validator = collection.options.get("validator")
        if validator and not matches(document, validator):
            raise CommandError(121, "DocumentValidationFailure", "Document failed validation")
        for index in collection.unique():
            entry = index.entry(document)
            if self._owner(name, index, entry) not in (None, key):
                raise duplicate(name, index, document)
            self.entries[name, index.spec["name"], entry] = key
        self.changes[name, key] = document
        self.ids[name, key] = document["_id"]

    def insert(self, name: str, document: Document) -> None:
        key = order(document["_id"])
        if self.get(name, key) is not None:
            raise duplicate(name, Index({"name": "_id_", "key": {"_id": 1}}, True), document)
        self.put(name, document)

    def remove(self, name: str, document: Document) -> None:
        key = order(document["_id"])
        self._may_write(name, key)
        self.changes[name, key] = None
        self.ids[name, key] = document["_id"]

    def _may_write(self, name: str, key: Key) -> None:
        """Nobody else has it, and in a transaction nobody has changed it since."""
        mine = self.transaction
        for other in self.store.open.values():
            if other is not mine and (name, key) in other.changes:
                if mine is None:
                    raise Locked
                raise CommandError(112, "WriteConflict", "Write conflict", [TRANSIENT])
        collection = self.store.collections.get(name, Collection())
        if mine is not None and collection.changed.get(key, 0) > mine.begun:
            raise CommandError(112, "WriteConflict", "Write conflict", [TRANSIENT])

    def settle(self, **more: Any) -> None:
        """Outside a transaction: keep what was changed."""
        if self.transaction is not None or not (self.changes or more):
            return
        made: list[Document] = []
        for place, document in self.changes.items():
            change: Document = {"in": place[0], "id": {"v": self.ids[place]}}
            made.append(change if document is None else {**change, "document": document})
        self.store.keep(made, **more)


def _is_value(wanted: Any) -> bool:
    """Whether it means this very value, and not what an operator says of it."""
    if isinstance(wanted, Mapping):
        return not any(name.startswith("$") for name in wanted)
    return wanted is not None
