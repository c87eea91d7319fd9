"""The `uri` of a server: checked without the client library, shown without its password."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

__all__ = ["check_uri", "database_of", "names_replica_set", "shown"]

_URI = re.compile(r"mongodb(\+srv)?://([^/@]*@)?(?P<hosts>[^/?@]+)(/(?P<database>[^?@]*))?(\?.*)?")


def check_uri(uri: str) -> None:
    """Raise ValueError with what a URI must be."""
    if not _URI.fullmatch(uri):
        raise ValueError(
            "must begin with mongodb:// or mongodb+srv:// and name a host, as in "
            "'mongodb://localhost:27017'; percent-encode ':', '/' and '@' in a password"
        )


def shown(uri: str) -> str:
    """Where the server is, for messages: no user, no password, no parameters."""
    found = _URI.fullmatch(uri)
    return f"mongodb://{found['hosts']}" if found else "mongodb"


def database_of(uri: str) -> str:
    """The database that a URI names, or nothing."""
    found = _URI.fullmatch(uri)
    return unquote(found["database"] or "") if found else ""


def names_replica_set(uri: str) -> bool:
    """Whether the server must be part of a replica set, as far as the URI alone can say it."""
    parameters = parse_qs(uri.partition("?")[2])
    return uri.startswith("mongodb+srv:") or any(one.lower() == "replicaset" for one in parameters)
