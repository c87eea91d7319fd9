"""Indexes that a collection is to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from penstock import ConnectError
from penstock_mongodb.client import explain

if TYPE_CHECKING:
    from .output import IndexOptions

__all__ = ["ensure"]


def ensure(
    collection: Collection[dict[str, Any]],
    key: Sequence[str],
    wanted: Sequence[str | IndexOptions],
    where: str,
) -> None:
    """Make the indexes that are not there; a key has a unique one, or two runs could write it
    twice."""
    for one in wanted:
        if isinstance(one, str):
            _make(collection, [name.strip() for name in one.split(",")], where)
        else:
            options = {} if one.expire_after is None else {"expireAfterSeconds": one.expire_after}
            _make(collection, one.fields, where, unique=one.unique, **options)
    if key and list(key) != ["_id"] and not _is_unique(collection, key):
        _make(collection, key, where, unique=True)


def _is_unique(collection: Collection[dict[str, Any]], key: Sequence[str]) -> bool:
    return any(
        one.get("unique") and [name for name, _ in one["key"]] == list(key)
        for one in collection.index_information().values()
    )


def _make(
    collection: Collection[dict[str, Any]], fields: Sequence[str], where: str, **options: Any
) -> None:
    keys = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in fields]
    given = {name: value for name, value in options.items() if value is not False}
    try:
        collection.create_index(keys, **given)
    except OperationFailure as error:
        shown = ", ".join(fields)
        raise ConnectError(
            f"the index on {shown} cannot be made: {explain(error)}",
            where=where,
            hint="look at the documents and indexes that are there",
        ) from error
