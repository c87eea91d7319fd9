"""The commands of the double, each a function of its command, the view and the server.

Needs `penstock-testkit[mongodb]`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bson
from bson import Binary, Int64, ObjectId, Timestamp

from .query import CommandError, Document, matches, projected, sorted_by, updated
from .store import TRANSIENT, Collection, Locked, Store, View, duplicate

__all__ = ["Server"]

MOST_BYTES = 16 * 1024 * 1024
_PATIENCE = 5.0


class Dropped(Exception):
    """Close the connection in place of an answer."""


class Server:
    """Answers one command at a time. `replica_set` says whether it has transactions."""

    def __init__(self, store: Store, address: str, *, replica_set: bool) -> None:
        self.store, self.address, self.replica_set = store, address, replica_set
        self._changed = threading.Condition()
        self._cursors: dict[int, tuple[str, list[Document]]] = {}
        self._numbers = itertools.count(1)
        self._faults: list[Document] = []

    # ---- one command ----------------------------------------------------------------------------

    def answer(self, command: Document) -> Document:
        name = next(iter(command))
        fault = None
        with self._changed:
            fault = self._fault_for(name)
        if fault is not None and not fault.get("doneFirst"):
            reply = self._failed(fault)
            if reply is not None:
                if fault.get("errorLabels") == [TRANSIENT]:
                    self._forget(command)
                return reply
        reply = self._answer(name, command)
        if fault is not None and fault.get("doneFirst"):
            reply = self._failed(fault) or reply
        if fault is not None and "writeConcernError" in fault:
            reply = {**reply, "writeConcernError": fault["writeConcernError"]}
        return {**reply, "operationTime": Timestamp(int(time.time()), 1)}

    def _answer(self, name: str, command: Document) -> Document:
        end = time.monotonic() + _PATIENCE
        with self._changed:
            while True:
                try:
                    return self._do(name, command)
                except Locked:
                    if not self._changed.wait(end - time.monotonic()):
                        return CommandError(50, "MaxTimeMSExpired", "waited for a lock").reply()
                except CommandError as error:
                    return error.reply()
                finally:
                    self._changed.notify_all()

    def _do(self, name: str, command: Document) -> Document:
        do = COMMANDS.get(name.lower())
        if do is None:
            raise CommandError(59, "CommandNotFound", f"no such command: '{name}'")
        identity = None
        if "txnNumber" in command:
            if not self.replica_set:
                what = "Transaction numbers are only allowed on a replica set member or mongos"
                raise CommandError(20, "IllegalOperation", what)
            identity = (bytes(command["lsid"]["id"]), int(command["txnNumber"]))
        if identity is None or "autocommit" in command:
            return {**do(self, command, self._view(identity, command)), "ok": 1.0}
        if identity in self.store.done:  # a write that is tried again is done once
            return self.store.done[identity]
        view = View(self.store, None)
        reply = {**do(self, command, view), "ok": 1.0}
        view.settle(session=identity[0], number=identity[1], reply=reply)
        return reply

    def _view(self, identity: tuple[bytes, int] | None, command: Document) -> View:
        if identity is None:
            return View(self.store, None)
        if command.get("startTransaction"):
            return View(self.store, self.store.begin(identity))
        found = self.store.open.get(identity)
        if found is None and next(iter(command)) != "commitTransaction":
            what = "Given transaction number does not match any in-progress transactions"
            raise CommandError(251, "NoSuchTransaction", what, [TRANSIENT])
        return View(self.store, found)

    def _forget(self, command: Document) -> None:
        if "txnNumber" in command:
            with self._changed:
                identity = (bytes(command["lsid"]["id"]), int(command["txnNumber"]))
                self.store.open.pop(identity, None)
                self._changed.notify_all()

    # ---- faults ---------------------------------------------------------------------------------

    def _fault_for(self, name: str) -> Document | None:
        for fault in self._faults:
            if name in fault["failCommands"] and fault["times"] > 0:
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    return None
                fault["times"] -= 1
                return fault
        return None

    def _failed(self, fault: Document) -> Document | None:
        if fault.get("closeConnection"):
            raise Dropped
        if "errorCode" not in fault:
            return None
        labels = fault.get("errorLabels", [])
        return CommandError(
            fault["errorCode"], "FailPoint", "a fault was asked for", labels
        ).reply()

    # ---- what is in a reply ---------------------------------------------------------------------

    def cursor(self, name: str, found: list[Document], size: int) -> Document:
        number = next(self._numbers) if found[size:] else 0
        if number:
            self._cursors[number] = (name, found[size:])
        return {"cursor": {"firstBatch": found[:size], "id": Int64(number), "ns": name}}

    def more(self, number: int, size: int) -> Document:
        if number not in self._cursors:
            raise CommandError(43, "CursorNotFound", f"cursor id {number} not found")
        name, rest = self._cursors.pop(number)
        if rest[size:]:
            self._cursors[number] = (name, rest[size:])
        left = Int64(number if rest[size:] else 0)
        return {"cursor": {"nextBatch": rest[:size], "id": left, "ns": name}}

    def kill(self, numbers: Sequence[int]) -> Document:
        return {"cursorsKilled": [one for one in numbers if self._cursors.pop(one, None)]}

    def fail(self, command: Document) -> Document:
        mode = command["mode"]
        if mode == "off":
            self._faults.clear()
            return {}
        times = mode.get("times", 1) if isinstance(mode, Mapping) else 1 << 30
        skip = mode.get("skip", 0) if isinstance(mode, Mapping) else 0
        self._faults.append({**command["data"], "times": times, "skip": skip})
        return {}


Command = Callable[[Server, Document, View], Document]


def _place(command: Document) -> str:
    return f"{command['$db']}.{command[next(iter(command))]}"


def _hello(server: Server, command: Document, view: View) -> Document:
    now = {
        "isWritablePrimary": True,
        "ismaster": True,
        "helloOk": True,
        "readOnly": False,
        "maxBsonObjectSize": MOST_BYTES,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "minWireVersion": 0,
        "maxWireVersion": 21,
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": 1,
    }
    if not server.replica_set:
        return now
    me = server.address
    return {**now, "setName": "rs0", "setVersion": 1, "hosts": [me], "primary": me, "me": me}


# ---- writes --------------------------------------------------------------------------------------


def _each(
    view: View, operations: Sequence[Document], ordered: bool, one: Callable[[int, Document], None]
) -> Document:
    """Do each operation; the errors of those that are refused, by index. In a transaction the first
    one ends it."""
    errors: list[Document] = []
    for index, operation in enumerate(operations):
        try:
            one(index, operation)
        except CommandError as error:
            if view.transaction is not None:
                view.store.open.pop(view.transaction.identity, None)
                if error.labels:
                    raise
            errors.append({"index": index, **error.reply()})
            if ordered or view.transaction is not None:
                break
    return {"writeErrors": errors} if errors else {}


def _insert(server: Server, command: Document, view: View) -> Document:
    place, count = _place(command), 0

    def one(_: int, document: Document) -> None:
        nonlocal count
        view.insert(place, {"_id": document.get("_id", ObjectId()), **document})
        count += 1

    errors = _each(view, command["documents"], command.get("ordered", True), one)
    view.settle() if "txnNumber" not in command else None
    return {**errors, "n": count}


def _update(server: Server, command: Document, view: View) -> Document:
    place = _place(command)
    counts, upserted = {"n": 0, "nModified": 0}, []

    def one(index: int, operation: Document) -> None:
        query, change = operation["q"], operation["u"]
        operators = any(name.startswith("$") for name in change)
        found = list(view.find(place, query))[: None if operation.get("multi") else 1]
        for document in found:
            if operators:
                new = updated(document, change)
            else:
                new = {"_id": document["_id"], **change}
                if new["_id"] != document["_id"]:
                    raise CommandError(66, "ImmutableField", "_id is immutable")
            if new != document:
                view.put(place, new)
                counts["nModified"] += 1
            counts["n"] += 1
        if not found and operation.get("upsert"):
            equal = {name: value for name, value in query.items() if name[:1] != "$"}
            plain = {
                name: value
                for name, value in equal.items()
                if not (isinstance(value, Mapping) and next(iter(value), "")[:1] == "$")
            }
            base = {"_id": plain.get("_id", ObjectId())}
            new = (
                updated({**base, **plain}, change, inserts=True)
                if operators
                else {**base, **change}
            )
            view.insert(place, new)
            upserted.append({"index": index, "_id": new["_id"]})
            counts["n"] += 1

    errors = _each(view, command["updates"], command.get("ordered", True), one)
    view.settle() if "txnNumber" not in command else None
    return {**errors, **counts, **({"upserted": upserted} if upserted else {})}


def _delete(server: Server, command: Document, view: View) -> Document:
    place, count = _place(command), 0

    def one(_: int, operation: Document) -> None:
        nonlocal count
        for document in list(view.find(place, operation["q"]))[: operation.get("limit") or None]:
            view.remove(place, document)
            count += 1

    errors = _each(view, command["deletes"], command.get("ordered", True), one)
    view.settle() if "txnNumber" not in command else None
    return {**errors, "n": count}


# ---- reads ---------------------------------------------------------------------------------------


def _found(view: View, place: str, stages: Sequence[Mapping[str, Any]]) -> list[Document]:
    found: list[Document] = list(view.all(place))
    for stage in stages:
        [(name, value)] = stage.items()
        if name == "$match":
            found = [one for one in found if matches(one, value)]
        elif name == "$sort":
            found = sorted_by(found, value)
        elif name == "$skip":
            found = found[value:]
        elif name == "$limit":
            found = found[:value] if value else found
        elif name == "$project":
            found = [projected(one, value) for one in found]
        elif name == "$group" and value == {"_id": 1, "n": {"$sum": 1}}:
            found = [{"_id": 1, "n": len(found)}] if found else []
        else:
            raise CommandError(40324, "Location40324", f"Unrecognized pipeline stage: {name}")
    return found


def _find(server: Server, command: Document, view: View) -> Document:
    place = _place(command)
    found = list(view.find(place, command.get("filter") or {}))
    found = sorted_by(found, command.get("sort") or {})[command.get("skip", 0) :]
    limit = abs(command.get("limit", 0))
    made = [
        projected(one, command.get("projection")) for one in (found[:limit] if limit else found)
    ]
    return server.cursor(place, made, command.get("batchSize", 101))


def _aggregate(server: Server, command: Document, view: View) -> Document:
    place = _place(command)
    size = command.get("cursor", {}).get("batchSize", 101)
    return server.cursor(place, _found(view, place, command["pipeline"]), size)


# ---- collections ---------------------------------------------------------------------------------


def _create(server: Server, command: Document, view: View) -> Document:
    if _place(command) in server.store.collections:
        raise CommandError(48, "NamespaceExists", f"Collection {_place(command)} already exists")
    options = {name: command[name] for name in ("validator",) if name in command}
    server.store.keep([], shape={"what": "make", "of": _place(command), "options": options})
    return {}


def _drop(server: Server, command: Document, view: View) -> Document:
    if _place(command) not in server.store.collections:
        raise CommandError(26, "NamespaceNotFound", "ns not found")
    server.store.keep([], shape={"what": "drop", "of": _place(command)})
    return {}


def _drop_database(server: Server, command: Document, view: View) -> Document:
    for name in list(server.store.collections):
        if name.startswith(f"{command['$db']}."):
            server.store.keep([], shape={"what": "drop", "of": name})
    return {}


def _rename(server: Server, command: Document, view: View) -> Document:
    old, new = command["renameCollection"], command["to"]
    if old not in server.store.collections:
        raise CommandError(26, "NamespaceNotFound", f"Source collection {old} does not exist")
    if new in server.store.collections and not command.get("dropTarget"):
        raise CommandError(48, "NamespaceExists", "target namespace exists")
    server.store.keep([], shape={"what": "rename", "of": old, "to": new})
    return {}


def _create_indexes(server: Server, command: Document, view: View) -> Document:
    place = _place(command)
    there = server.store.collections.get(place, Collection()).indexes
    for index in command["indexes"]:
        if index["name"] in there:
            if there[index["name"]].spec != index:
                what = f"An existing index has the same name: {index['name']}"
                raise CommandError(86, "IndexKeySpecsConflict", what)
            continue
        if index.get("unique"):
            _check_unique(server, place, index)
        server.store.keep([], shape={"what": "index", "of": place, "index": index})
    return {}


def _check_unique(server: Server, place: str, spec: Document) -> None:
    from .store import Index

    index, seen = Index(spec, True), set()
    for document in server.store.collections.get(place, Collection()).documents.values():
        entry = index.entry(document)
        if entry in seen:
            raise duplicate(place, index, document)
        seen.add(entry)


def _list_indexes(server: Server, command: Document, view: View) -> Document:
    place = _place(command)
    if place not in server.store.collections:
        raise CommandError(26, "NamespaceNotFound", f"ns does not exist: {place}")
    specs = [index.spec for index in server.store.collections[place].indexes.values()]
    return server.cursor(place, [{"v": 2, "key": {"_id": 1}, "name": "_id_"}, *specs], 1000)


def _list_collections(server: Server, command: Document, view: View) -> Document:
    database = command["$db"]
    found = [
        {"name": name.split(".", 1)[1], "type": "collection", "options": one.options}
        for name, one in server.store.collections.items()
        if name.startswith(f"{database}.")
    ]
    wanted = [one for one in found if matches(one, command.get("filter") or {})]
    return server.cursor(f"{database}.$cmd.listCollections", wanted, 10_000)


# ---- transactions --------------------------------------------------------------------------------


def _commit(server: Server, command: Document, view: View) -> Document:
    identity = (bytes(command["lsid"]["id"]), int(command["txnNumber"]))
    if view.transaction is not None:
        return server.store.commit(view.transaction)
    if identity in server.store.done:
        return server.store.done[identity]
    what = "Transaction was aborted, or never begun"
    raise CommandError(251, "NoSuchTransaction", what, [TRANSIENT])


def _abort(server: Server, command: Document, view: View) -> Document:
    assert view.transaction is not None
    del server.store.open[view.transaction.identity]
    return {}


def _kill_sessions(server: Server, command: Document, view: View) -> Document:
    killed = {bytes(one["id"]) for one in command["killSessions"]}
    for identity in [one for one in server.store.open if one[0] in killed]:
        del server.store.open[identity]
    return {}


def _nothing(server: Server, command: Document, view: View) -> Document:
    return {}


COMMANDS: Mapping[str, Command] = {
    "hello": _hello,
    "ismaster": _hello,
    "ping": _nothing,
    "endsessions": _nothing,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
    "find": _find,
    "aggregate": _aggregate,
    "getmore": lambda server, command, _: server.more(
        int(command["getMore"]), command.get("batchSize") or 1000
    ),
    "killcursors": lambda server, command, _: server.kill(command["cursors"]),
    "count": lambda server, command, view: {
        "n": sum(matches(one, command.get("query") or {}) for one in view.all(_place(command)))
    },
    "create": _create,
    "drop": _drop,
    "dropdatabase": _drop_database,
    "renamecollection": _rename,
    "createindexes": _create_indexes,
    "listindexes": _list_indexes,
    "listcollections": _list_collections,
    "committransaction": _commit,
    "aborttransaction": _abort,
    "killsessions": _kill_sessions,
    "buildinfo": lambda *_: {"version": "7.0.0", "versionArray": [7, 0, 0, 0], "double": True},
    "configurefailpoint": lambda server, command, _: server.fail(command),
    "startsession": lambda *_: {"id": {"id": Binary(bson.ObjectId().binary + b"0000", 4)}},
}
