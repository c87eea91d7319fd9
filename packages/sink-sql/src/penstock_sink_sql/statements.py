"""The statements that write rows, as text. Names come quoted; values are always bound."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["copy", "insert"]


def insert(
    dialect: str,
    table: str,
    columns: Sequence[str],
    marker: str,
    rows: int = 1,
    key: Sequence[str] = (),
) -> str:
    """INSERT of a number of rows; with a key, rows that are there are changed."""
    row = f"({', '.join([marker] * len(columns))})"
    values = ", ".join([row] * rows)
    text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 (names are quoted)
    return f"{text}{_on_conflict(dialect, columns, key)}" if key else text


def _on_conflict(dialect: str, columns: Sequence[str], key: Sequence[str]) -> str:
    others = [name for name in columns if name not in key]
    if dialect in ("mysql", "mariadb"):
        changes = [f"{name} = VALUES({name})" for name in others or key]
        return f" ON DUPLICATE KEY UPDATE {', '.join(changes)}"
    if not others:
        return f" ON CONFLICT ({', '.join(key)}) DO NOTHING"
    changes = [f"{name} = excluded.{name}" for name in others]
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"


def copy(table: str, columns: Sequence[str]) -> str:
    """PostgreSQL's COPY of rows that follow."""
    # It takes no parameters, so a % in a name stands for itself.
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN".replace("%%", "%")
