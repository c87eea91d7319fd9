"""The input `mongodb`: the documents of a collection, in an order in which it can go on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock import Batch, ConnectError, Context, Duration, Input, RunError, component, option
from penstock.errors import nearest
from penstock_mongodb.uris import check_uri, database_of, shown

if TYPE_CHECKING:
    from penstock_mongodb.client import Client

__all__ = ["MongoInput"]

_TRIES = 5


def _positive(value: float) -> None:
    if value <= 0:
        raise ValueError("must be more than 0")


def _not_empty(value: str) -> None:
    if not value.strip():
        raise ValueError("must not be empty")


@component
class MongoInput(Input):
    """Read the documents of a collection of MongoDB."""

    uri: str = option(
        help="Server, as in 'mongodb://user:password@host:27017/'.",
        secret=True,
        check=check_uri,
        example="mongodb://localhost:27017",
    )
    database: str = option(default="", help="Database; that of the uri if left out.")
    collection: str = option(help="Collection or view to read.", check=_not_empty)
    filter: dict[str, Any] = option(
        default={}, help="Which documents, as find() takes it; Extended JSON for other values."
    )
    fields: list[str] = option(default=[], help="Fields to read; all if left out.")
    order_by: list[str] = option(
        default=[], help="Fields that give documents their order, before _id; '-at' is descending."
    )
    cursor: str = option(
        default="", help="Field that grows: each run goes on after the last document read."
    )
    batch_size: int = option(default=1000, help="Documents in a batch.", check=_positive)
    server_timeout: Duration = option(
        default=30.0, help="How long to wait for the server.", check=_positive, example="5s"
    )

    _low: str = ""
    _high: str = ""
    """Where a part begins and ends, by _id, as in a position; nothing for no bound."""

    def check(self) -> None:
        if not self.database and not database_of(self.uri):
            raise ValueError("give the database, here or in the uri")
        if self.cursor and self.order_by:
            raise ValueError("give either a cursor or order_by; a cursor is the order")

    @property
    def finite(self) -> bool:  # type: ignore[override]
        """With a cursor, the documents are a log."""
        return not self.cursor

    @property
    def _order(self) -> list[tuple[str, int]]:
        names = [self.cursor] if self.cursor else self.order_by
        order = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in names]
        return order if "_id" in dict(order) else [*order, ("_id", 1)]

    # ---- opening, closing -----------------------------------------------------------------------

    def open(self, context: Context) -> None:
        super().open(context)
        self._client = self._connect()
        self._check_there()

    def close(self) -> None:
        if hasattr(self, "_client"):  # the server could be reached
            self._client.close()

    def _connect(self) -> Client:
        from penstock_mongodb.client import connect

        client, _ = connect(self.uri, self.server_timeout)
        return client

    def _check_there(self) -> None:
        from penstock_mongodb.client import sentences

        with sentences(self._where, ConnectError):
            there = self._client[self._base].list_collection_names()
        if self.collection not in there:
            near = nearest(self.collection, there)
            names = ", ".join(sorted(there))
            hint = f"there are {names}" if there else "the database is empty"
            raise ConnectError(
                f"there is no collection {self.collection!r}",
                where=f"{shown(self.uri)}: {self._base}",
                hint=f"did you mean {near!r}?" if near else hint,
            )

    @property
    def _base(self) -> str:
        return self.database or database_of(self.uri)

    @property
    def _where(self) -> str:
        return f"{shown(self.uri)}: collection '{self._base}.{self.collection}'"

    # ---- reading --------------------------------------------------------------------------------

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        from pymongo.errors import PyMongoError

        from penstock_mongodb.client import broken, may_pass

        from .values import records_of

        position = positions.get(self.context.name)
        after, done = self._understood(position)
        hidden = self._hidden()
        lost = 0
        while True:
            try:
                for page in self._pages(after):
                    lost = 0
                    if not page:
                        continue
                    records, after = records_of(page), self._values_of(page)
                    for record in records if hidden else ():
                        for name in hidden:
                            record.pop(name, None)
                    first, done = done + 1, done + len(records)
                    yield Batch(records, "", range(first, done + 1), self._position(after, done))
                return
            except PyMongoError as error:
                lost += 1
                if not may_pass(error) or lost == _TRIES:
                    what = broken(error, self._where)
                    raise what if not may_pass(error) else RunError(str(what)) from error
            self.context.clock.sleep(0.1 * 2.0**lost)

    def _pages(self, after: Sequence[Any]) -> Iterator[bytes]:
        """What the server sends at a time, from after a document with these values."""
        from .values import EXACT

        found = self._client[self._base].get_collection(self.collection, codec_options=EXACT)
        fields = dict.fromkeys([*self.fields, *self._named()], 1) if self.fields else None
        pages: Any = found.find_raw_batches(
            self._query(after), fields, sort=self._order, batch_size=self.batch_size
        )
        return iter(pages)

    def _query(self, values: Sequence[Any]) -> dict[str, Any]:
        from .order import after, at_least, before
        from .values import as_filter, from_text

        parts = [as_filter(self.filter)] if self.filter else []
        if self.cursor:
            parts.append({self.cursor: {"$ne": None}})
        if values:
            parts.append(after(self._order, values))
        elif self._low:
            parts.append(at_least("_id", *from_text(self._low)))
        if self._high:
            parts.append(before("_id", *from_text(self._high)))
        return {"$and": parts} if parts else {}

    def _named(self) -> list[str]:
        return [name for name, _ in self._order]

    def _hidden(self) -> list[str]:
        """What is read for the position alone."""
        wanted = {name.partition(".")[0] for name in self.fields}
        return [name for name in self._named() if self.fields and name not in wanted]

    # ---- positions ------------------------------------------------------------------------------

    def _position(self, values: Sequence[Any], done: int) -> dict[str, Any]:
        from .values import as_text

        return {"by": self._written_order(), "after": as_text(values), "documents": done}

    def _written_order(self) -> list[str]:
        return [f"-{name}" if way < 0 else name for name, way in self._order]

    def _understood(self, position: Any) -> tuple[Sequence[Any], int]:
        from .values import from_text

        if position is None:
            return (), 0
        if position["by"] != self._written_order():
            raise RunError(
                f"the kept position is in the order of {', '.join(position['by'])}, "
                f"documents are read by {', '.join(self._written_order())}",
                hint="put the order back, or start over with --fresh",
            )
        return from_text(position["after"]), position["documents"]

    def _values_of(self, page: bytes) -> list[Any]:
        """The values that give the last document of a page its place."""
        from .values import last_of

        document = last_of(page)
        values = []
        for name in self._named():
            value: Any = document
            for step in name.split("."):
                if not isinstance(value, list):
                    value = value.get(step) if isinstance(value, dict) else None
            if isinstance(value, list):
                raise RunError(
                    f"field {name!r} of document {document['_id']!r} is a list, which has no one "
                    "place in the order",
                    where=self._where,
                    hint="order by another field, or leave such documents out by the filter",
                )
            values.append(value)
        return values

    # ---- parts ----------------------------------------------------------------------------------

    def split(self, n: int) -> Sequence[Input]:
        """At most `n` inputs with about as many documents each, by ranges of _id."""
        from penstock_mongodb.client import sentences

        from .values import EXACT, as_text

        client = self._connect()
        try:
            with sentences(self._where, ConnectError):
                found = client[self._base].get_collection(self.collection, codec_options=EXACT)
                query = self._query(())
                count = found.count_documents(query)
                bounds: list[str] = []
                for part in range(1, n):
                    at = count * part // n
                    ids = found.find(query, {"_id": 1}).sort("_id", 1).skip(at).limit(1)
                    bound = [as_text([one["_id"]]) for one in ids]
                    if at and bound and bound[0] not in bounds:
                        bounds += bound
        finally:
            client.close()
        parts: list[Input] = []
        for low, high in zip([self._low, *bounds], [*bounds, self._high]):
            part_of = copy.copy(self)
            part_of._low, part_of._high = low, high
            parts.append(part_of)
        return parts
