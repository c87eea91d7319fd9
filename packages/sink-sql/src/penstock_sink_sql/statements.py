"""The statements that write rows, as text. Names come quoted; values are always bound."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["copy", "insert"]

_MARIADB = ("mysql", "mariadb")


def insert(
    dialect: str,
    table: str,
    columns: Sequence[str],
    marker: str,
    rows: int = 1,
    key: Sequence[str] = (),
    version: str = "",
) -> str:
    """INSERT of a number of rows; with a key, rows that are there are changed, but not those whose
    `version` is a later one."""
    row = f"({', '.join([marker] * len(columns))})"
    values = ", ".join([row] * rows)
    named = f"{table} AS there" if version and dialect not in _MARIADB else table
    text = f"INSERT INTO {named} ({', '.join(columns)}) VALUES {values}"  # noqa: S608 (names are quoted)
    if not key:
        return text
    others = [name for name in columns if name not in key]
    if dialect in _MARIADB:
        return f"{text} ON DUPLICATE KEY UPDATE {_changes_of_mariadb(others or key, version)}"
    text += f" ON CONFLICT ({', '.join(key)}) DO"
    if not others:
        return f"{text} NOTHING"
    text += f" UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}"
    if version:
        text += f" WHERE there.{version} IS NULL OR excluded.{version} >= there.{version}"
    return text


def _changes_of_mariadb(columns: Sequence[str], version: str) -> str:
    if not version:
        return ", ".join(f"{name} = VALUES({name})" for name in columns)
    # They happen one after the other, so what is compared is changed last.
    in_order = sorted(columns, key=lambda name: name == version)
    newer = f"{version} IS NULL OR VALUES({version}) >= {version}"
    return ", ".join(f"{name} = IF({newer}, VALUES({name}), {name})" for name in in_order)


def copy(table: str, columns: Sequence[str]) -> str:
    """PostgreSQL's COPY of rows that follow."""
    # It takes no parameters, so a % in a name stands for itself.
    return f"COPY {table} ({', '.join(columns)}) FROM STDIN".replace("%%", "%")
