"""The databases of these tests."""

from databases import mariadb, place, postgres, server, sqlite

__all__ = ["mariadb", "place", "postgres", "server", "sqlite"]
