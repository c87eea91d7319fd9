"""Values as the driver of a database takes them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from penstock_sql.kinds import PLAIN, convert

__all__ = ["Column"]

NoneType: type = type(None)


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _iso_with_space(value: dt.datetime) -> str:
    return value.isoformat(" ")


_SQLITE: Mapping[str, Callable[[Any], Any]] = {
    "decimal": str,
    "date": _iso,
    "time": _iso,
    "datetime": _iso_with_space,
}
"""SQLite has no such values; text sorts as they do."""


_AS_TEXT: Mapping[type, Callable[[Any], str]] = {
    Decimal: str,
    dt.date: _iso,
    dt.time: _iso,
    dt.datetime: _iso_with_space,
}
"""So a table of SQLite that an earlier run has made for such values takes more of them."""


def _utc(value: dt.datetime) -> dt.datetime:
    return value if value.tzinfo is None else value.astimezone(dt.timezone.utc)


_MARIADB: Mapping[str, Callable[[Any], Any]] = {"datetime": _utc}
"""MariaDB keeps no offsets, and its driver would drop them."""

_BINDS = {"sqlite": _SQLITE, "mysql": _MARIADB, "mariadb": _MARIADB}


class Column:
    """How the values of one column are written."""

    def __init__(self, dialect: str, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.bind = _BINDS.get(dialect, {}).get(kind)
        plain = PLAIN.get(kind, frozenset()) if self.bind is None else ()
        self.takes: frozenset[type] = frozenset({NoneType, *plain})
        self.text_of = _AS_TEXT if (dialect, kind) == ("sqlite", "text") else None
        self.no_nan = dialect != "postgresql" and kind in ("float", "decimal")
        self.no_inf = self.no_nan and dialect != "sqlite"

    @property
    def surely_takes(self) -> frozenset[type]:
        """The types whose every value can be written as it is."""
        never_nan = {one for one in self.takes if one not in (float, Decimal)}
        return frozenset(never_nan) if self.no_nan else self.takes

    def ready(self, types: set[type]) -> bool:
        """Whether values of these types can be written as they are, nan aside."""
        return self.kind == "any" or types <= self.takes

    def converted(self, values: Sequence[Any]) -> tuple[list[Any], dict[int, str]]:
        """The values to write, and what is wrong with those that cannot be, by index."""
        made: list[Any] = []
        wrong: dict[int, str] = {}
        kind, bind = self.kind, self.bind
        for index, value in enumerate(values):
            try:
                if self.text_of is not None and type(value) in self.text_of:
                    made.append(self.text_of[type(value)](value))
                    continue
                new = convert(kind, value)
                if self.no_nan and new is not None and self._is_out_of_range(new):
                    raise ValueError(f"cannot hold {value!r} in this database")
            except ValueError as error:
                wrong[index] = f"column {self.name!r} {error}"
                new = None
            made.append(bind(new) if bind is not None and new is not None else new)
        return made, wrong

    def _is_out_of_range(self, number: Any) -> bool:
        return bool(number != number or (self.no_inf and abs(number) == math.inf))

    def may_hold_nan(self, values: Sequence[Any], types: set[type]) -> bool:
        """Whether a nan, or inf, is among the values where the database has no such number."""
        if not self.no_nan or not types & {float, Decimal}:
            return False
        total = sum(value for value in values if value is not None)
        return self._is_out_of_range(total)
