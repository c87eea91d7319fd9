"""What inspectors do with what they object to: reject it, or flag it and let it pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from penstock import Batch, Failure, Inspector, RecordError, RunError, inspect_each, option
from penstock.store import decode_record, encode_record

__all__ = [
    "Action",
    "EndJudge",
    "RecordJudge",
    "end_action",
    "field_names",
    "kept",
    "names",
    "no_field",
    "no_fields",
    "positive",
    "record_action",
]

Action = Literal["reject", "flag"]

_EXAMPLES = 5
"""Flagged records that the report shows."""


def record_action() -> Any:
    """The option `action` of an inspector that judges records."""
    return option(
        default="reject",
        help="reject: a record objected to fails, as on_error says; "
        "flag: it passes, and the report counts it and shows the first few.",
    )


def end_action() -> Any:
    """The option `action` of an inspector that judges the stream when it has ended."""
    return option(
        default="reject",
        help="reject: the run fails before its outputs are completed; flag: the report says so.",
    )


def names(given: str | Sequence[str]) -> list[str]:
    """An option that is a name or a list of names, as a list."""
    return [given] if isinstance(given, str) else list(given)


def field_names(given: str | Sequence[str]) -> None:
    """The `check` of such an option."""
    listed = names(given)
    if not listed or not all(listed):
        raise ValueError("must name at least one field")


def positive(value: int | None) -> None:
    """The `check` of a number that must not be zero."""
    if value is not None and value < 1:
        raise ValueError("must be at least 1")


class RecordJudge(Inspector):
    """An inspector whose subclass raises RecordError in `inspect` and has an option `action`."""

    action: Action

    def process(self, batch: Batch) -> Iterable[Batch]:
        yield self.judged(batch, inspect_each(self.inspect, batch))

    def judged(self, batch: Batch, inspected: Batch) -> Batch:
        """What to pass on of `batch`; the failures of `inspected` are what was objected to."""
        if self.action == "reject" or not inspected.failures:
            return inspected
        flagged = self.context.observed("flagged") or 0
        examples = list(self.context.observed("examples") or ())
        for failure in inspected.failures[: _EXAMPLES - len(examples)]:
            examples.append(_example(batch.source, failure))
        self.context.observe("flagged", flagged + len(inspected.failures))
        self.context.observe("examples", examples)
        return Batch(batch.records, batch.source, batch.ordinals)


def _example(source: str, failure: Failure) -> dict[str, Any]:
    return {"source": source, "ordinal": failure.ordinal, "reason": str(failure.error)}


class EndJudge(Inspector):
    """An inspector that passes everything on and may object when the stream has ended."""

    action: Action

    def object(self, sentences: Sequence[str], hint: str) -> None:
        """Fail the run, or put the sentences into the report; nothing for no sentences."""
        if sentences and self.action == "reject":
            raise RunError("; ".join(sentences), where=self.context.name, hint=hint)
        self.context.observe("objections", list(sentences))


def no_fields(record: Any) -> RecordError:
    """What to say of a record that is not a mapping."""
    return RecordError(f"a record of type {type(record).__name__} has no fields")


def no_field(name: str, record: Mapping[str, Any]) -> RecordError:
    """What to say of a mapping without this field."""
    from penstock_expressions import no_field as worded  # 20 ms, and rarely needed

    return RecordError(worded(name, record))


def kept(value: Any, where: str) -> str:
    """A part of a state as text of which `decode_record` makes equal values again."""
    text = encode_record(value)
    if '"$repr"' in text and decode_record(text) != value:
        raise RunError(
            "holds values that cannot be kept for resuming",
            where=where,
            hint="cast them to text, numbers or dates first",
        )
    return text
