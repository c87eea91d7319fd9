"""What pytest finds in every session: the fixtures, and nothing that costs before one is used."""

from __future__ import annotations

from .servers.mariadb import mariadb_server
from .servers.postgresql import postgresql_server

__all__ = ["mariadb_server", "postgresql_server"]
