"""The story of one record or item: what became of it in every run that is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

__all__ = ["Line", "Story", "of_item", "of_record"]


@dataclass(frozen=True)
class Line:
    """Something that happened; `run_id` is "" where that is not known."""

    at: datetime
    what: str
    where: str
    run_id: str = ""
    text: str = ""
    who: str = ""


@dataclass(frozen=True)
class Story:
    """What is known of `title`, oldest first. `keys` are the keys that the record carried."""

    title: str
    lines: Sequence[Line]
    keys: Sequence[str] = ()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def of_record(pipeline: str, source: str, ordinal: int) -> Story:
    """A record that was read: the runs that noted its key, what set it aside, who mended it, and
    whether it came through. A run that read it, noted no key and set nothing aside leaves no trace.
    """
    from .models import Event, RecordKey, RunReport

    this = {"pipeline": pipeline, "source": source, "ordinal": ordinal}
    keys = list(RecordKey.objects.filter(**this).order_by("pk"))
    began = dict(
        RunReport.objects.filter(run_id__in={key.run_id for key in keys}).values_list(
            "run_id", "started"
        )
    )
    lines = [
        Line(_time(began.get(key.run_id, 0.0)), "read", key.source, key.run_id, key.key)
        for key in keys
    ]
    for event in Event.objects.filter(**this):
        part = f"#{event.part}" if event.part else ""
        where, at = f"{event.node}{part}", _time(event.at)
        lines.append(Line(at, event.what, where, event.run_id, event.text, event.who))
    lines.sort(key=lambda line: line.at)
    names = dict.fromkeys(key.key for key in keys)
    return Story(f"{pipeline}: {source}:{ordinal}", lines, list(names))


def of_item(type_id: int, key: str) -> Story:
    """An item of pipes: its errors and what it gave, in every pipeline; and which pipeline made it,
    of which item."""
    from .items import object_of
    from .models import PipelineError, PipelineTrack

    lines = []
    for error in PipelineError.objects.filter(item_type_id=type_id, item_id=key):
        tries = f" ({error.attempts} times)" if error.attempts > 1 else ""
        lines.append(Line(error.created, f"failed{tries}", error.pipeline_name, text=error.message))
        if error.fixed is not None:
            lines.append(Line(error.fixed, "fixed", error.pipeline_name))
    tracks = PipelineTrack.objects.all()
    for track in tracks.filter(item_type_id=type_id, item_id=key):
        lines.append(Line(track.created_date, "processed", track.pipeline_name, text=_gave(track)))
    for track in tracks.filter(result_type_id=type_id, result_id=key).exclude(
        item_type_id=type_id, item_id=key
    ):
        what = f"made of {track.item_type.model} {track.item_id}"
        lines.append(Line(track.created_date, what, track.pipeline_name))
    lines.sort(key=lambda line: line.at)
    item = object_of(type_id, key)
    return Story(_title(type_id, key, item), lines)


def _title(type_id: int, key: str, item: Any) -> str:
    from django.contrib.contenttypes.models import ContentType

    kind = ContentType.objects.get_for_id(type_id).model
    return f"{kind} {key}" if item is not None else f"{kind} {key}, which is gone"


def _gave(track: Any) -> str:
    return ", ".join(f"{label} {', '.join(map(str, keys))}" for label, keys in track.created_info)
