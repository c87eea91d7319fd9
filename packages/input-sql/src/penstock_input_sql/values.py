"""Values as what their column was declared to hold, where a driver gives something else.

SQLite keeps whatever it was given, so a value that is not what the column says stays as it is.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["readers_of"]

Reader = Callable[[Any], Any]


def readers_of(dialect: str, kinds: Sequence[str]) -> Mapping[int, Reader]:
    """What to read the values of a column with, for those that need it."""
    readers = _READERS.get(dialect, {})
    return {index: readers[kind] for index, kind in enumerate(kinds) if kind in readers}


def _reading(parse: Callable[[str], Any]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except ValueError:
            return value

    return read


def _boolean(value: Any) -> Any:
    return bool(value) if value in (0, 1) and isinstance(value, int) else value


def _time_of_day(value: Any) -> Any:
    """MariaDB's driver gives spans of time, and a span may be longer than a day."""
    if isinstance(value, dt.timedelta) and dt.timedelta() <= value < dt.timedelta(days=1):
        return (dt.datetime.min + value).time()
    return value


_SQLITE: Mapping[str, Reader] = {
    "date": _reading(dt.date.fromisoformat),
    "datetime": _reading(dt.datetime.fromisoformat),
    "time": _reading(dt.time.fromisoformat),
    "json": _reading(json.loads),
    "boolean": _boolean,
}

_MARIADB: Mapping[str, Reader] = {
    "time": _time_of_day,
    "json": _reading(json.loads),
    "boolean": _boolean,
}
_READERS = {"sqlite": _SQLITE, "mysql": _MARIADB, "mariadb": _MARIADB}
