"""What a column holds: told from the types of Python values or from a table that is there.

A kind is a word, "integer", "float", "decimal", "boolean", "text", "date", "datetime", "time",
"binary" or "json"; "any" is a column whose type is left to the database.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection
    from sqlalchemy.types import TypeEngine

__all__ = [
    "PLAIN",
    "TABLE_OPTIONS",
    "TOO_MANY_DIGITS",
    "convert",
    "kind_of",
    "kind_of_type",
    "kinds_of_table",
    "text_of_json",
    "type_of",
    "wider",
]

PLAIN: Mapping[str, frozenset[type]] = {
    "integer": frozenset({int}),
    "float": frozenset({float, int}),
    "decimal": frozenset({Decimal, int}),
    "boolean": frozenset({bool}),
    "text": frozenset({str}),
    "date": frozenset({dt.date}),
    "datetime": frozenset({dt.datetime}),
    "time": frozenset({dt.time}),
    "binary": frozenset({bytes}),
    "json": frozenset(),  # always written as text
}
"""The types whose values a column of a kind takes as they are; None always."""

_KIND_OF: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "float",
    Decimal: "decimal",
    str: "text",
    uuid.UUID: "text",
    dt.date: "date",
    dt.datetime: "datetime",
    dt.time: "time",
    bytes: "binary",
    bytearray: "binary",
    dict: "json",
    list: "json",
    tuple: "json",
}
_WIDER = {
    frozenset({"integer", "float"}): "float",
    frozenset({"integer", "decimal"}): "decimal",
    frozenset({"float", "decimal"}): "decimal",
    frozenset({"date", "datetime"}): "datetime",
}
NoneType = type(None)

TOO_MANY_DIGITS = "a number of too many digits to be written as text"


def kind_of(types: Iterable[type]) -> str | None:
    """The kind that holds values of all these types; None when there is none."""
    kinds = {_kind(one) for one in types if one is not NoneType}
    found: str | None = None
    for kind in sorted(kinds):
        found = kind if found is None else wider(found, kind)
        if found is None:
            return None
    return found


def _kind(one: type) -> str:
    for base in one.__mro__:
        if base in _KIND_OF:
            return _KIND_OF[base]
    return "text" if issubclass(one, enum.Enum) else "unknown"


def wider(one: str, other: str) -> str | None:
    """The kind that holds what either kind holds, or None."""
    return one if one == other else _WIDER.get(frozenset({one, other}))


def type_of(kind: str, *, zoned: bool = False, key: bool = False) -> TypeEngine[Any]:
    """The type of a new column. SQLite has no exact decimals and no times: they are kept as text.

    `zoned` times carry an offset; a `key` must be short on systems that index no long text.
    """
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql, postgresql

    if kind == "integer":
        return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    if kind == "decimal":
        exact = sa.Numeric().with_variant(sa.Text(), "sqlite")
        return exact.with_variant(sa.Numeric(65, 18), "mysql", "mariadb")
    if kind == "datetime":
        fine = sa.DateTime(timezone=zoned)
        return fine.with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    if kind == "json":
        return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    if kind == "text":
        return sa.Text().with_variant(
            mysql.VARCHAR(255) if key else mysql.LONGTEXT(), "mysql", "mariadb"
        )
    if kind == "binary":
        return sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    if kind == "time":
        return sa.Time().with_variant(mysql.TIME(fsp=6), "mysql", "mariadb")
    plain = {"float": sa.Double, "boolean": sa.Boolean, "date": sa.Date}
    made: TypeEngine[Any] = plain[kind]()
    return made


TABLE_OPTIONS: Mapping[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
}
"""What a new table of SQLAlchemy is given: all text, no two texts equal, and transactions."""


def kinds_of_table(connection: Connection, table: str, schema: str = "") -> dict[str, str]:
    """The kind of each column of a table or view that is there."""
    import sqlalchemy as sa

    dialect = connection.dialect.name
    found = {
        column["name"]: kind_of_type(column["type"], dialect)
        for column in sa.inspect(connection).get_columns(table, schema=schema or None)
    }
    if dialect in (
        "mysql",
        "mariadb",
    ):  # SQLAlchemy leaves doubled what is doubled in a quoted name
        found = {name.replace("``", "`"): kind for name, kind in found.items()}
    if dialect == "mariadb":
        found.update(
            dict.fromkeys(found.keys() & _json_of_mariadb(connection, table, schema), "json")
        )
    return found


def _json_of_mariadb(connection: Connection, table: str, schema: str) -> set[str]:
    """MariaDB keeps JSON in a column of text with a constraint, which is all that tells it."""
    import sqlalchemy as sa

    clauses = sa.text(
        "SELECT check_clause FROM information_schema.check_constraints "
        "WHERE constraint_schema = COALESCE(:schema, DATABASE()) AND table_name = :table"
    )
    found = connection.execute(clauses, {"schema": schema or None, "table": table}).scalars()
    return {
        clause[len("json_valid(`") : -2].replace("``", "`")
        for clause in found
        if clause.startswith("json_valid(`") and clause.endswith("`)")
    }


def kind_of_type(type_: TypeEngine[Any], dialect: str) -> str:
    """The kind of a column that is there."""
    import sqlalchemy as sa

    order: list[tuple[type, str]] = [
        (sa.Boolean, "boolean"),
        (sa.JSON, "json"),
        (sa.Uuid, "any"),
        (sa.Enum, "any"),
        (sa.Integer, "integer"),
        (sa.Float, "float"),
        (sa.Numeric, "decimal"),
        (sa.DateTime, "datetime"),
        (sa.Date, "date"),
        (sa.Time, "time"),
        (sa.LargeBinary, "binary"),
        (sa.String, "text"),
    ]
    found = next((kind for known, kind in order if isinstance(type_, known)), "any")
    if dialect == "sqlite" and found == "decimal":
        return "float"  # a column of SQLite that is declared so holds floats
    if dialect in ("mysql", "mariadb") and type(type_).__name__ == "TINYINT":
        return "boolean" if getattr(type_, "display_width", None) == 1 else "integer"
    return found


# ---- values -------------------------------------------------------------------------------------


def text_of_json(value: Any) -> str:
    """Nested data as JSON text; values that JSON lacks are written as text."""
    return json.dumps(value, ensure_ascii=False, default=_json_default, allow_nan=False)


def _json_default(value: Any) -> Any:
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    raise ValueError(f"holds a value of type {type(value).__name__}, which JSON lacks")


_WORDS = {"true": True, "false": False, "1": True, "0": False}


def convert(kind: str, value: Any) -> Any:
    """A value as a column of a kind takes it; ValueError with what the column holds instead."""
    if value is None or kind == "any":
        return value
    if isinstance(value, enum.Enum):
        value = value.value
    try:
        made = _CONVERT[kind](value)
    except (ValueError, InvalidOperation, OverflowError):
        made = None
    if made is None:
        raise ValueError(f"holds {_NAMES[kind]}, got {_shown(value)}")
    return made


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python's limit, with advice that helps nobody who writes a pipeline
        return TOO_MANY_DIGITS


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return int(value) if value.strip().lstrip("+-").isascii() else None
    if isinstance(value, (float, Decimal)) and value == int(value):
        return int(value)
    return None


def _float(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if "_" not in value else None
    return float(value) if isinstance(value, (int, float, Decimal)) else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value) if isinstance(value, (int, str, Decimal)) else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return _WORDS.get(value.lower())
    return bool(value) if value in (0, 1) else None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, uuid.UUID)) else None


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date() if value.time() == dt.time() else None
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    return value if isinstance(value, dt.date) else None


def _datetime(value: Any) -> dt.datetime | None:
    if isinstance(value, dt.datetime):
        return value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return None


def _time(value: Any) -> dt.time | None:
    if isinstance(value, str):
        return dt.time.fromisoformat(value)
    return value if isinstance(value, dt.time) else None


def _binary(value: Any) -> bytes | None:
    return bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else None


def _json(value: Any) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return text_of_json(value)


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "float": _float,
    "decimal": _decimal,
    "boolean": _boolean,
    "text": _text,
    "date": _date,
    "datetime": _datetime,
    "time": _time,
    "binary": _binary,
    "json": _json,
}
_NAMES = {
    "integer": "whole numbers",
    "float": "numbers",
    "decimal": "decimal numbers",
    "boolean": "true or false",
    "text": "text",
    "date": "dates",
    "datetime": "dates with times",
    "time": "times",
    "binary": "bytes",
    "json": "JSON",
}
