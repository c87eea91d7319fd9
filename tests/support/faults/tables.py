"""Tables that a broken run writes to: fresh names for every try, and what is in them afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from databases import Place

__all__ = ["Tables"]


@dataclass(frozen=True)
class Tables:
    """Two databases of one system, the second one for a second output; `name` is that of the table,
    in both."""

    first: Place
    second: Place
    name: str = "t"
    ports: tuple[str, str] = ("", "")

    @classmethod
    def inside(cls, folder: Path) -> Tables:
        """Files of SQLite in a folder, which come and go with it."""
        first, second = (Place(f"sqlite:///{folder}/{name}.db") for name in ("out", "also"))
        return cls(first, second)

    def named(self, name: str) -> Tables:
        return replace(self, name=name)

    def by_port(self, old: int, new: int) -> Tables:
        """The same, reached by another port."""
        return replace(self, ports=(f":{old}/", f":{new}/"))

    def words(self) -> Mapping[str, str]:
        """What stands in a pipeline for `{first}`, `{second}` and `{table}`."""
        first, second = (one.url.replace(*self.ports, 1) for one in (self.first, self.second))
        return {"first": first, "second": second, "table": self.name}

    def records(self, which: str) -> list[dict[str, Any]]:
        """The rows of the first or the second one, in the order of their numbers."""
        place: Place = getattr(self, which)
        if self.name not in place.tables():
            return []
        names = list(place.columns(self.name))
        found = [dict(zip(names, row, strict=True)) for row in place.rows(self.name)]
        for record in found:
            if isinstance(record.get("records"), str):  # systems differ in what a query gives
                record["records"] = json.loads(record["records"])
        return sorted(found, key=_number)


def _number(record: Mapping[str, Any]) -> int:
    first = record["records"][0] if "records" in record else record
    return int(first["id"])
