"""Which record each document came from, in the field `_penstock`, and taking them back by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from penstock import Batch, Retraction

__all__ = ["FIELD", "Lineage"]

FIELD = "_penstock"
_AT_ONCE = 500
Record = tuple[str, int]


class Lineage:
    """The lineage of the documents that `owner`, as "pipeline/output", writes to a collection."""

    def __init__(self, collection: Collection[dict[str, Any]], owner: str) -> None:
        self.collection = collection
        self.owner = owner

    def of(self, batch: Batch, index: int, epoch: int) -> dict[str, Any]:
        """What stands in the document of a record."""
        ordinal = batch.ordinals[index]
        return {"output": self.owner, "source": batch.source, "ordinal": ordinal, "epoch": epoch}

    def retract(self, session: ClientSession | None, what: Retraction, *, keyed: bool) -> None:
        """Delete what is meant; `keyed` documents that were written again are of a later epoch."""
        mine = {f"{FIELD}.output": self.owner}
        old = {**mine, f"{FIELD}.epoch": {"$lte": what.epoch}}
        if what.only is not None:
            for records in _parts(what.only):
                self.collection.delete_many({**old, "$or": _of(records)}, session=session)
            return
        kept = {**mine, f"{FIELD}.kept": True}
        for records in _parts(what.keep):  # marked first: they may be too many for one query
            if not keyed:  # what came again of such a record would stand beside what it had
                records = records - self._written_since(session, what.epoch, records)
            if records:
                mark = {"$set": {f"{FIELD}.kept": True}}
                self.collection.update_many({**old, "$or": _of(records)}, mark, session=session)
        spared = [{f"{FIELD}.source": {"$regex": _of_input(name)}} for name in what.spare]
        gone = {**old, f"{FIELD}.kept": {"$ne": True}}
        self.collection.delete_many({**gone, "$nor": spared} if spared else gone, session=session)
        self.collection.update_many(kept, {"$unset": {f"{FIELD}.kept": ""}}, session=session)

    def take_back(self, session: ClientSession | None, epoch: int) -> None:
        """Delete what was written after an epoch."""
        late = {f"{FIELD}.output": self.owner, f"{FIELD}.epoch": {"$gt": epoch}}
        self.collection.delete_many(late, session=session)

    def _written_since(
        self, session: ClientSession | None, epoch: int, records: set[Record]
    ) -> set[Record]:
        query = {
            f"{FIELD}.output": self.owner,
            f"{FIELD}.epoch": {"$gt": epoch},
            "$or": _of(records),
        }
        found = self.collection.find(query, {FIELD: 1}, session=session)
        return {(one[FIELD]["source"], one[FIELD]["ordinal"]) for one in found}


def _of(records: Iterable[Record]) -> list[dict[str, Any]]:
    return [
        {f"{FIELD}.source": source, f"{FIELD}.ordinal": ordinal}
        for source, ordinal in sorted(records)
    ]


def _of_input(name: str) -> str:
    return f"^{re.escape(name)}(/|$)"


def _parts(records: Iterable[Record]) -> Iterator[set[Record]]:
    """As many at a time as are no burden in one query."""
    iterator = iter(records)
    while part := set(islice(iterator, _AT_ONCE)):
        yield part
