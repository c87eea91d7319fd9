"""What an item gave, and taking it back: the reparse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from django.core import serializers
from django.db import connections, router, transaction
from django.db.models import Model
from django.utils import timezone

from .inserting import insert_into
from .items import Key, key_of, type_of
from .models import PipelineTrack

if TYPE_CHECKING:
    from .units import Done

__all__ = [
    "Tracker",
    "created_by",
    "keep_and_delete",
    "re_insert",
    "revert",
    "take_back",
    "tracks_of",
]


def tracks_of(pipeline: str, type_id: int, keys: Sequence[str]) -> dict[str, list[PipelineTrack]]:
    """The tracks of items in a pipeline, by the items' keys."""
    found: dict[str, list[PipelineTrack]] = {}
    for track in PipelineTrack.objects.filter(
        pipeline_name=pipeline, item_type_id=type_id, item_id__in=keys
    ):
        found.setdefault(track.item_id, []).append(track)
    return found


class Tracker:
    """Notes what items gave in one run of a pipeline.

    There is a track for nearly every item, so they are inserted without an object of the ORM for
    each: that would take longer than most items do.
    """

    def __init__(self, pipeline: str, trigger: str) -> None:
        self._using = router.db_for_write(PipelineTrack)
        fields = [PipelineTrack._meta.get_field(name) for name in _TRACK]
        self._insert = insert_into(self._using, PipelineTrack, fields)
        self._same = (pipeline, trigger, "")
        self._json = connections[self._using].ops.adapt_json_value

    def row(self, done: Done) -> Row | None:
        """The track of an item, whose objects are saved; None when there is nothing to note."""
        key, result = done.key, done.result
        created = done.created + done.to_save
        named = isinstance(result, Model)
        if key[0] is None or not (created or named):
            return None
        info = [
            [model._meta.label, [_json(one.pk) for one in objects]]
            for model, objects in groupby(created, _model_of)
        ]
        of: Key = (None, "")
        if named and result.pk is not None:
            of = key if result is done.item else key_of(result)
        return (*key, self._json(info, None), *of)

    def put(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        connection = connections[self._using]
        same = (*self._same, connection.ops.adapt_datetimefield_value(timezone.now()))
        with connection.cursor() as cursor:
            cursor.executemany(self._insert, [(*same, *row) for row in rows])


def _model_of(one: Any) -> Any:
    return type(one)


Row = tuple[Any, ...]
_TRACK = [
    "pipeline_name",
    "trigger_from_name",
    "kept",
    "created_date",
    "item_type",
    "item_id",
    "created_info",
    "result_type",
    "result_id",
]


def _json(key: Any) -> Any:
    return key if isinstance(key, (int, str)) else str(key)


def _models(track: PipelineTrack) -> Iterable[tuple[Any, list[Any]]]:
    from django.apps import apps

    for label, keys in track.created_info:
        try:
            yield apps.get_model(label), keys
        except LookupError:  # the model was removed, and its objects with it
            continue


def created_by(tracks: Iterable[PipelineTrack]) -> list[Any]:
    """The objects that were created, in that order; those that are gone are left out."""
    found: list[Any] = []
    for track in tracks:
        for model, keys in _models(track):
            there = {str(pk): one for pk, one in model._base_manager.in_bulk(keys).items()}
            found.extend(there[str(key)] for key in keys if str(key) in there)
    return found


def take_back(tracks: Sequence[PipelineTrack]) -> list[PipelineTrack]:
    """Delete what these tracks say was created, and what other pipelines made of it; then the
    tracks. Returned are tracks of triggered pipelines whose items are still there: they are
    replaced when those pipelines come to these items, or are to be reverted."""
    left: list[PipelineTrack] = []
    todo = list(tracks)
    while todo:
        track = todo.pop()
        for model, keys in reversed(list(_models(track))):
            made_of = PipelineTrack.objects.filter(
                item_type=type_of(model), item_id__in=[str(key) for key in keys]
            )
            todo.extend(made_of)
            made_of.delete()
            model._base_manager.filter(pk__in=keys).delete()
        if track.result_type_id is not None:
            left.extend(
                PipelineTrack.objects.filter(
                    trigger_from_name=track.pipeline_name,
                    item_type_id=track.result_type_id,
                    item_id=track.result_id,
                )
            )
        if track.pk is not None:
            track.delete()
    return left


def revert(tracks: Iterable[PipelineTrack]) -> None:
    """Take back what tracks created, and what came of it in triggered pipelines."""
    with transaction.atomic():
        todo = list(tracks)
        while todo:
            todo = take_back(todo)


def keep_and_delete(track: PipelineTrack) -> None:
    """Delete what a track created and keep it in the track."""
    with transaction.atomic():
        objects = created_by([track])
        track.kept = serializers.serialize("json", objects)
        track.save()
        for one in reversed(objects):
            one.delete()


def re_insert(track: PipelineTrack) -> None:
    """Put back what `keep_and_delete` kept."""
    with transaction.atomic():
        for one in serializers.deserialize("json", track.kept or "[]"):
            one.save()
        track.kept = ""
        track.save()
