"""Connections to a server, and the sentences for what goes wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pymongo
from pymongo import errors

from penstock import ConnectError, PenstockError, RunError, TransientError

from .uris import shown

__all__ = [
    "Client",
    "broken",
    "connect",
    "explain",
    "has_transactions",
    "may_pass",
    "passing_codes",
    "sentences",
]

Client = pymongo.MongoClient[dict[str, Any]]

_NO_SUCH_COMMAND = 59
passing_codes = frozenset(
    {
        *(6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 10058),
        *(24, 43, 46, 50, 63, 64, 112, 133, 150, 175, 202, 225, 234, 237, 251, 13388),
    }
)
"""Codes of errors that a later try may not meet: elections, lost hosts, locks, time limits."""


def connect(uri: str, timeout: float, **options: Any) -> tuple[Client, Mapping[str, Any]]:
    """A client that has reached the server, and how the server greets. ConnectError if it cannot.

    No call waits longer than `timeout` seconds for a server or for an answer.
    """
    limit = int(timeout * 1000)
    where = shown(uri)
    waits = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
    options.update(dict.fromkeys(waits, limit))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it warns of parameters that it does not know
            client: Client = pymongo.MongoClient(uri, appname="penstock", **options)
    except (errors.PyMongoError, ValueError, Warning) as error:
        raise ConnectError(f"cannot be used: {explain(error)}", where=where) from error
    try:
        with sentences(where, ConnectError):
            return client, _greeting(client)
    except BaseException:
        client.close()
        raise


def _greeting(client: Client) -> Mapping[str, Any]:
    try:
        return client.admin.command("hello")
    except errors.OperationFailure as error:
        if error.code != _NO_SUCH_COMMAND:
            raise
        return client.admin.command("isMaster")  # as it was called until MongoDB 4.4


def has_transactions(hello: Mapping[str, Any]) -> bool:
    """Whether a server that greets so has transactions over several documents."""
    wire = hello.get("maxWireVersion", 0)
    in_set = "setName" in hello and wire >= 7
    routes = hello.get("msg") == "isdbgrid" and wire >= 8
    return "logicalSessionTimeoutMinutes" in hello and (in_set or routes)


def may_pass(error: BaseException) -> bool:
    """Whether a later try may go well."""
    if isinstance(error, errors.ConnectionFailure):
        return True
    if isinstance(error, errors.PyMongoError) and (
        error.has_error_label("TransientTransactionError")
        or error.has_error_label("RetryableWriteError")
    ):
        return True
    return isinstance(error, errors.OperationFailure) and error.code in passing_codes


def explain(error: BaseException) -> str:
    """What the server or the client library says, in a line."""
    details = getattr(error, "details", None)
    said = details.get("errmsg") if isinstance(details, Mapping) else None
    text = " ".join(str(said or error).split())
    for tail in (" (configured timeouts", ", Timeout: ", ", Topology Description", ", full error"):
        text = text.partition(tail)[0]
    return text or type(error).__name__


def broken(error: BaseException, where: str, kind: type[PenstockError] = RunError) -> Exception:
    """The error of ours to raise for one of the client library's."""
    what = explain(error)
    if isinstance(error, errors.OperationFailure) and error.code in (13, 18, 8000):
        hint = "see the user and the roles"
        return ConnectError(f"is not allowed: {what}", where=where, hint=hint)
    if kind is ConnectError and isinstance(error, errors.ConnectionFailure):
        hint = "is the server there, and its address right?"
        return ConnectError(f"could not be reached: {what}", where=where, hint=hint)
    if may_pass(error) and kind is not ConnectError:
        return TransientError(f"{where}: {what}")
    return kind(what, where=where)


@contextmanager
def sentences(where: str, kind: type[PenstockError] = RunError) -> Iterator[None]:
    """Errors of the client library as ours: those that may pass are worth another try."""
    try:
        yield
    except errors.PyMongoError as error:
        raise broken(error, where, kind) from error
