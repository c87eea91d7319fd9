"""The transformer `slug`."""

from collections.abc import Mapping
from typing import Any

from penstock import Context, RecordError, Transformer, component, option


@component
class Slug(Transformer):
    """Add a `slug` made of a field; the second record of a name gets `-2`, and so on.

    It remembers how often each slug was given.
    """

    field: str = option(help="Field to make it of.", example="title")

    def open(self, context: Context) -> None:
        super().open(context)
        self.given: dict[str, int] = {}

    def transform(self, record: Any) -> Any:
        if not isinstance(record, Mapping) or self.field not in record:
            raise RecordError(f"{self.field} is missing")
        slug = "-".join(str(record[self.field]).lower().split())
        self.given[slug] = count = self.given.get(slug, 0) + 1
        return {**record, "slug": slug if count == 1 else f"{slug}-{count}"}

    def snapshot(self) -> Any:
        return self.given

    def restore(self, state: Any) -> None:
        self.given = dict(state)
