"""The databases of these tests."""

from databases import place, postgres, sqlite
from servers import postgresql

__all__ = ["place", "postgres", "postgresql", "sqlite"]
