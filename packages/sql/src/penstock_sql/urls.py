"""The `url` of a database: checked without importing a driver, shown without its password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

__all__ = ["Url", "check_url", "dialect_of", "shown", "sqlite_file", "with_driver"]

_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mariadb": "mariadb+pymysql",
    "mysql": "mysql+pymysql",
}
_SCHEME = re.compile(r"(?P<dialect>[a-z]+)(\+(?P<driver>\w+))?://(?P<rest>.*)", re.DOTALL)
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]*)(?=@)")
_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&]*(?:password|passwd|secret|token)[^=&]*=)[^&]*")


class _AtFile:
    """Marks text whose relative SQLite path begins at the pipeline file's folder."""

    def place(self, url: str, base: Path) -> str:
        file = sqlite_file(url)
        scheme, _, rest = url.partition("://")
        if file is None or not rest.startswith("/"):  # a server's, or what check_url refuses
            return url
        placed = base / file.expanduser()
        if "?" in str(placed):
            raise ValueError(f"must not begin at folder {str(base)!r}: a URL cannot hold its '?'")
        _, mark, parameters = rest.partition("?")
        return f"{scheme}:///{placed.as_posix()}{mark}{parameters}"


Url = Annotated[str, _AtFile()]
"""The type of a `url` option; `check_url` is its check."""


def check_url(url: str) -> None:
    """Raise ValueError with what a URL must be."""
    found = _SCHEME.fullmatch(url)
    if not found or found["dialect"] not in _DRIVERS:
        raise ValueError(
            "must begin with sqlite://, postgresql://, mariadb:// or mysql://, "
            "as in 'sqlite:///shop.db'"
        )
    if found["dialect"] == "sqlite" and sqlite_file(url) is None:
        raise ValueError("must name a file, as in 'sqlite:///shop.db'")


def dialect_of(url: str) -> str:
    """The system that a URL is of: "sqlite", "postgresql", "mariadb" or "mysql"."""
    return with_driver(url).partition(":")[0].partition("+")[0]


def with_driver(url: str) -> str:
    """The URL with the driver that is used where none is named."""
    scheme, _, rest = url.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"


def sqlite_file(url: str) -> Path | None:
    """The file of a database of SQLite; None for one in memory and for every other system."""
    found = _SCHEME.fullmatch(url)
    if not found or found["dialect"] != "sqlite":
        return None
    path = found["rest"].partition("?")[0].removeprefix("/")
    return None if path in ("", ":memory:") or path.startswith("file:") else Path(path)


def shown(url: str) -> str:
    """The URL for messages: every password is `***`."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***", url))
