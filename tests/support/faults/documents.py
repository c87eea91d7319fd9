"""Collections that a broken run writes to: fresh names for every try, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from penstock_testkit.servers import MongoDB

__all__ = ["Documents"]


@dataclass(frozen=True)
class Documents:
    """A database of a server; `name` is that of the collection, `port` another one by which the
    server is reached."""

    server: MongoDB
    database: str
    name: str = "c"
    port: int = 0

    def named(self, name: str) -> Documents:
        return replace(self, name=name)

    def by_port(self, port: int) -> Documents:
        return replace(self, port=port)

    def words(self) -> Mapping[str, str]:
        """What stands in a pipeline for `{first}`, `{second}` and `{table}`."""
        url = self.server.url()
        if self.port:
            url = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"
        return {"first": url, "second": self.database, "table": self.name}

    def records(self, which: str) -> list[dict[str, Any]]:
        """The documents in the order of their numbers."""
        with self.server.client() as client:
            found: list[dict[str, Any]] = list(client[self.database][self.name].find())
        return sorted(found, key=lambda one: int(one["id"]))
