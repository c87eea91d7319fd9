"""The databases of these tests."""

from databases import mariadb, place, postgres, server, sqlite
from servers import mariadb_server, postgresql

__all__ = ["mariadb", "mariadb_server", "place", "postgres", "postgresql", "server", "sqlite"]
