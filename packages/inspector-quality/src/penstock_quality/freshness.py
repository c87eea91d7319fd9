"""How old the newest record of a stream may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from penstock import Batch, Context, Duration, RecordError, component, inspect_each, option

from .judging import Action, EndJudge, end_action, no_field, no_fields

__all__ = ["Freshness"]


@component
class Freshness(EndJudge):
    """Object, when the stream has ended, if its newest value of a field is older than allowed.

    The field holds datetimes or dates. One without a zone is taken as UTC, a date as its
    beginning, and null is no value. A record with anything else in the field fails.
    """

    field: str = option(help="The field with the time of each record.", example="updated_at")
    max_age: Duration = option(help="How old the newest one may be.", example="24h")
    action: Action = end_action()

    def open(self, context: Context) -> None:
        super().open(context)
        self._newest: datetime | None = None

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield inspect_each(self.inspect, batch)

    def inspect(self, record: Any) -> None:
        if not isinstance(record, Mapping):
            raise no_fields(record)
        if self.field not in record:
            raise no_field(self.field, record)
        value = record[self.field]
        if value is None:
            return
        moment = _moment(value)
        if moment is None:
            raise RecordError(f"{self.field}: must be a datetime or a date, got {value!r}")
        if self._newest is None or moment > self._newest:
            self._newest = moment

    def finish(self) -> Iterable[Batch]:
        newest, self._newest = self._newest, None
        self.context.observe("newest", newest and newest.isoformat())
        self.object(self._judged(newest), "look whether the source still delivers")
        return ()

    def _judged(self, newest: datetime | None) -> list[str]:
        if newest is None:
            return [f"no record has a value in {self.field!r}, so nothing is known to be fresh"]
        age = self.context.clock.now() - newest.timestamp()
        self.context.observe("age", round(age, 3))
        if age <= self.max_age:
            return []
        old = timedelta(seconds=int(age))
        allowed = timedelta(seconds=self.max_age)
        return [f"the newest {self.field!r} is {newest.isoformat()}, {old} ago, over {allowed}"]

    def snapshot(self) -> Any:
        return {"newest": self._newest and self._newest.isoformat()}

    def restore(self, state: Any) -> None:
        newest = state["newest"]
        self._newest = newest and datetime.fromisoformat(newest)


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.utcoffset() is not None else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime.combine(value, time(), timezone.utc)
    return None
