"""The input `sql`: the rows of a table or a query, in the order of a key."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock import Batch, ConnectError, Context, Input, Rows, RunError, component, option
from penstock.store import decode_record, encode_record
from penstock_sql.urls import Url, check_url

if TYPE_CHECKING:
    from .pages import Pages

__all__ = ["SqlInput"]

_TRIES = 5


def _positive(value: int) -> None:
    if value < 1:
        raise ValueError("must be at least 1")


@component
class SqlInput(Input):
    """Read the rows of a table or a query of a SQL database."""

    url: Url = option(
        help="Database, as in 'sqlite:///shop.db' or 'postgresql://user:password@host/database'.",
        secret=True,
        check=check_url,
        example="sqlite:///shop.db",
    )
    table: str = option(default="", help="Table or view to read.")
    query: str = option(default="", help="SELECT to read the rows of, without ORDER BY.")
    schema: str = option(default="", help="Schema of the table; the database's own if left out.")
    columns: list[str] = option(default=[], help="Columns to read; all if left out.")
    order_by: list[str] = option(
        default=[], help="Columns that give each row its place; the primary key if left out."
    )
    cursor: str = option(
        default="", help="Column that grows: each run goes on after the last row read."
    )
    batch_size: int = option(default=1000, help="Rows in a batch, and in a page.", check=_positive)

    _range: tuple[Any, Any] = (None, None)

    def check(self) -> None:
        if bool(self.table) == bool(self.query):
            raise ValueError("give either a table or a query")
        if self.query and not (self.order_by or self.cursor):
            raise ValueError("a query needs order_by: the columns that give each row its place")
        if self.query and self.schema:
            raise ValueError("the schema is of a table; write it into the query")

    @property
    def finite(self) -> bool:  # type: ignore[override]
        """With a cursor, the rows are a log."""
        return not self.cursor

    def open(self, context: Context) -> None:
        super().open(context)
        self._pages = self._make_pages()
        try:
            self._pages.check()
        except Exception:
            self._pages.close()
            raise

    def _make_pages(self) -> Pages:
        from penstock_sql.database import Database

        from .pages import Pages

        return Pages(
            Database(self.url),
            table=self.table,
            query=self.query,
            schema=self.schema,
            columns=self.columns,
            order_by=self.order_by,
            cursor=self.cursor,
            between=self._range,
        )

    def close(self) -> None:
        if hasattr(self, "_pages"):  # it could be opened
            self._pages.close()

    def read(self, positions: Mapping[str, Any]) -> Iterator[Batch | None]:
        position = positions.get(self.context.name)
        after, done = None, 0
        if position is not None:
            after, done = self._understood(position), position["rows"]
        while True:
            rows, after = self._page(after)
            if not rows:
                return
            first, done = done + 1, done + len(rows)
            resume = {"by": self._pages.order, "after": encode_record(after), "rows": done}
            records = Rows(tuple(self._pages.columns), rows)
            yield Batch(records, "", range(first, done + 1), resume)
            # The end is found by an empty page: rows may have come since a short one.

    def _understood(self, position: Mapping[str, Any]) -> Any:
        if position["by"] != self._pages.order:
            there = ", ".join(position["by"])
            raise RunError(
                f"the kept position is in the order of {there}, "
                f"rows are read by {', '.join(self._pages.order)}",
                hint="put the order back, or start over with --fresh",
            )
        return decode_record(position["after"])

    def _page(self, after: Any) -> tuple[list[Any], Any]:
        """The next page; a lost connection is made again."""
        from penstock_sql.database import explain, verdict_on

        for attempt in range(1, _TRIES + 1):
            try:
                return self._pages.after(after, self.batch_size)
            except ConnectError:
                if attempt == _TRIES:
                    raise
            except Exception as error:
                self._pages.leave()
                if verdict_on(error) not in ("lost", "passing") or attempt == _TRIES:
                    raise RunError(explain(error), hint=self._pages.hint(error)) from error
            self.context.clock.sleep(0.1 * 2.0**attempt)
        raise AssertionError("the last try returns or raises")

    def split(self, n: int) -> Sequence[Input]:
        """At most `n` inputs with about as many rows each, by ranges of the key."""
        pages = self._make_pages()
        try:
            pages.check()
            bounds = pages.bounds(n)
        finally:
            pages.close()
        parts: list[Input] = []
        for low, high in zip([self._range[0], *bounds], [*bounds, self._range[1]]):
            part = copy.copy(self)
            part._range = (low, high)
            parts.append(part)
        return parts
