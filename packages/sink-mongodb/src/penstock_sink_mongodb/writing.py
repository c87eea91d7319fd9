"""Bulk writes, and which of their documents were refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from bson.errors import BSONError
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError

from penstock import RecordError, RunError, TransientError
from penstock_mongodb.client import broken, passing_codes

from .documents import Document, Documents

__all__ = ["Refused", "Send", "Write", "put"]

Write = tuple[Document, Document]
"""What a document replaces, as a filter, and the document."""
Send = Callable[[Sequence[Any]], None]
Refused = dict[int, RecordError]

_NOT_ENCODED = (BSONError, OverflowError, UnicodeError, TypeError)
_NO_RECORDS_FAULT = frozenset({13, 18, 20, 26, 48, 59, 73, 166, 8000, 14031})
"""Codes of what is refused whatever the document is: rights, disk, the collection itself."""


def put(
    send: Send,
    writes: list[Write],
    documents: Documents,
    where: str,
    after_error: Literal["all", "rest", "nothing"],
) -> Refused:
    """Send all of them but those that are refused, which are returned by index, with the reason.

    `after_error` says what a refused one has left to be sent: everything, in a transaction, which
    it ends; the rest, of ordered writes; nothing, of others. `writes` may be mended in place.
    """
    refused: Refused = {}
    at = list(range(len(writes)))
    checked = documents.may_be_too_large(document for _, document in writes)
    if checked:
        at = _check(writes, documents, refused)
    while at:
        try:
            send([ReplaceOne(*writes[index], upsert=True) for index in at])
            break
        except BulkWriteError as error:
            found = _refused_by(error, where)
            refused.update({at[index]: reason for index, reason in found.items()})
            if after_error == "nothing":
                break
            rest = at if after_error == "all" else at[max(found) + 1 :]
            at = [index for index in rest if index not in refused]
        except _NOT_ENCODED as error:
            if checked:
                raise RunError(f"cannot be written: {error}", where=where) from error
            at, checked = _check(writes, documents, refused), True
        except PyMongoError as error:
            raise broken(error, where) from error
    return refused


def _check(writes: list[Write], documents: Documents, refused: Refused) -> list[int]:
    """Look at each document by itself, since one of them cannot be sent; those that can."""
    for index, (target, document) in enumerate(writes):
        found = documents.checked(document)
        if isinstance(found, RecordError):
            refused[index] = found
        elif found is not document:
            writes[index] = ({name: found.get(name) for name in target}, found)
    return [index for index in range(len(writes)) if index not in refused]


def _refused_by(error: BulkWriteError, where: str) -> Refused:
    """The documents that the server refused, by index; raises what is no document's fault."""
    details: Mapping[str, Any] = error.details or {}
    if unsure := details.get("writeConcernErrors"):
        what = f"written, but not confirmed as wanted: {unsure[0].get('errmsg', '')}"
        raise TransientError(f"{where}: {what}") from error
    found: Refused = {}
    for one in details.get("writeErrors") or ():
        what = " ".join(str(one.get("errmsg")).split())
        if one.get("code") in passing_codes:
            raise TransientError(f"{where}: {what}") from error
        if one.get("code") in _NO_RECORDS_FAULT:
            raise RunError(what, where=where) from error
        found[one["index"]] = RecordError(what)
    if not found:
        raise broken(error, where) from error
    return found
